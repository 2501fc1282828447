// Names, headers and answers of the hub: what may become a path, and what is read of them. The way
// over the network is tests/cli/test_hub.sh.
#include "tests/check.h"
#include "tests/temp.h"

#include "base/file.h"
#include "hf/hub_cache.h"
#include "hf/hub_http.h"
#include "hf/hub_model.h"

static vkb_context *ctx;
static const char commit[] = "0123456789abcdef0123456789abcdef01234567";

TEST(names_are_owner_and_name)
{
    static const struct {
        const char *text, *revision, *repo, *at;
    } good[] = {
        {"bert-base-uncased", NULL, "bert-base-uncased", "main"},
        {"google-bert/bert-base-uncased", "", "google-bert/bert-base-uncased", "main"},
        {"a/b@v1.0", NULL, "a/b", "v1.0"},
        {"a@refs/pr/1", NULL, "a", "refs/pr/1"},
        {"a@b", "c", "a", "c"},
        {"A_b.c-1", NULL, "A_b.c-1", "main"},
    };
    static const char *const bad[] = {
        "",      "/",  "a/",       "/a",  "a/b/c", "a b",  "a--b",   "a..b",  "-a",    "a.",
        "a.git", "a@", "\xC3\xA4", "a\n", "a@..",  "a@/b", "a@b//c", "a@b c", "a@b:c", "a@b@{1}~"};
    hub_name name;
    char text[256];
    for (size_t i = 0; i < BASE_COUNT(good); i++) {
        check_case = good[i].text;
        CHECK(!hub_name_parse(good[i].text, good[i].revision, &name));
        CHECK_STR(name.repo, good[i].repo);
        CHECK_STR(name.revision, good[i].at);
    }
    for (size_t i = 0; i < BASE_COUNT(bad); i++) {
        check_case = bad[i];
        CHECK(hub_name_parse(bad[i], NULL, &name) != NULL);
    }
    memset(text, 'x', sizeof(text));
    text[HUB_REPO_MAX + 1] = 0;
    CHECK(hub_name_parse(text, NULL, &name) != NULL);
    text[HUB_REPO_MAX] = 0;
    CHECK(hub_name_parse(text, NULL, &name) == NULL);
    memset(text, 'x', HUB_REVISION_MAX + 1);
    text[HUB_REVISION_MAX + 1] = 0;
    CHECK(hub_name_parse("a", text, &name) != NULL);
}

TEST(what_the_hub_names_stays_in_its_folder)
{
    static const char *const files[] = {"config.json", "onnx/model.onnx", ".gitattributes", "..x"};
    static const char *const out[] = {"",     ".",    "..", "/x",    "../x", "a/../b",
                                      "a/..", "a//b", "a/", "a/./b", "a\\b", "a\nb"};
    for (size_t i = 0; i < BASE_COUNT(files); i++)
        CHECK(hub_is_file(files[i]));
    for (size_t i = 0; i < BASE_COUNT(out); i++) {
        check_case = out[i];
        CHECK(!hub_is_file(out[i]));
    }
    CHECK(hub_is_commit(commit));
    CHECK(!hub_is_commit("main") && !hub_is_commit(commit + 1) && !hub_is_commit(""));
    CHECK(hub_is_etag(commit) && hub_is_etag("a-5"));
    CHECK(!hub_is_etag("") && !hub_is_etag("..") && !hub_is_etag("a/b") && !hub_is_etag("../x"));
    CHECK(hub_name_is_path("/a") && hub_name_is_path("./a") && hub_name_is_path("a/") &&
          hub_name_is_path("..") && hub_name_is_path("~/a"));
    CHECK(!hub_name_is_path("a/b") && !hub_name_is_path(".a") && !hub_name_is_path(""));
}

static void add(hub_headers *headers, const char *line)
{
    hub_headers_add(headers, line, strlen(line));
}

TEST(headers_are_read)
{
    hub_headers headers;
    hub_headers_clear(&headers);
    CHECK(headers.length == HUB_UNKNOWN && headers.retry_after < 0);
    add(&headers, "HTTP/1.1 302 Found\r\n");
    add(&headers, "X-Linked-ETag: \"abc\"\r\n");
    add(&headers, "x-linked-size:42\r\n");
    add(&headers, "ETag: W/\"def\"\r\n");
    add(&headers, "content-length: 7 \r\n");
    add(&headers, "X-Repo-Commit: 123");
    CHECK_STR(headers.linked_etag, "abc");
    CHECK_STR(headers.etag, "def");
    CHECK_STR(headers.commit, "123");
    CHECK_INT(headers.linked_size, 42);
    CHECK_INT(headers.length, 7);
    add(&headers, "HTTP/2 206\r\n"); // the next answer: what the hub said of the file stays
    CHECK_STR(headers.linked_etag, "abc");
    CHECK_STR(headers.etag, "");
    CHECK(headers.length == HUB_UNKNOWN);
    add(&headers, "Content-Range: bytes 10-99/100\r\n");
    CHECK_INT(headers.range_start, 10);
    CHECK_INT(headers.range_size, 100);
    add(&headers, "Retry-After: 17\r\n");
    CHECK_NEAR(headers.retry_after, 17, 0);
    add(&headers, "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    CHECK_NEAR(headers.retry_after, 0, 0);
}

TEST(wrong_headers_say_nothing)
{
    static const char *const lengths[] = {"", "-1", "x", "7x", "18446744073709551616", "0x10"};
    static const char *const ranges[] = {"", "bytes", "bytes x-1/2", "lines 1-2/3", "bytes */9"};
    hub_headers headers;
    char line[4096];
    for (size_t i = 0; i < BASE_COUNT(lengths); i++) {
        check_case = lengths[i];
        hub_headers_clear(&headers);
        snprintf(line, sizeof(line), "content-length: %s\r\n", lengths[i]);
        add(&headers, line);
        CHECK(headers.length == HUB_UNKNOWN);
    }
    for (size_t i = 0; i < BASE_COUNT(ranges); i++) {
        check_case = ranges[i];
        hub_headers_clear(&headers);
        snprintf(line, sizeof(line), "content-range: %s\r\n", ranges[i]);
        add(&headers, line);
        CHECK(headers.range_start == HUB_UNKNOWN);
    }
    check_case = "";
    hub_headers_clear(&headers);
    memset(line, 'a', sizeof(line));
    memcpy(line, "etag: ", 6);
    hub_headers_add(&headers, line, 1000); // cut
    CHECK_INT(strlen(headers.etag), sizeof(headers.etag) - 1);
    hub_headers_clear(&headers);
    hub_headers_add(&headers, line, sizeof(line)); // none that is long is of use
    CHECK_STR(headers.etag, "");
}

static vkb_status parse(const char *text, hub_model *model)
{
    return hub_model_parse(ctx, "answer", text, strlen(text), model);
}

#define FILES(...)                                                                                 \
    "{\"sha\":\"0123456789abcdef0123456789abcdef01234567\",\"siblings\":[" __VA_ARGS__ "]}"
#define FILE_(name) "{\"rfilename\":\"" name "\"}"

TEST(one_kind_of_weights_is_chosen)
{
    static const struct {
        const char *answer, *wanted;
    } cases[] = {
        {FILES(FILE_("config.json") "," FILE_("pytorch_model.bin") "," FILE_("model.safetensors")),
         "model.safetensors"},
        {FILES(FILE_("config.json") "," FILE_("model.safetensors.index.json") "," FILE_(
             "pytorch_model.bin")),
         "model.safetensors.index.json"},
        {FILES(FILE_("config.json") "," FILE_("pytorch_model.bin") "," FILE_("tf_model.h5")),
         "pytorch_model.bin"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        hub_model model = {0};
        hub_list files = {0};
        check_case = cases[i].wanted;
        CHECK_INT(parse(cases[i].answer, &model), VKB_OK);
        CHECK_STR(model.commit, commit);
        CHECK_INT(hub_model_choose(ctx, "a/b", &model, VKB_PART_WEIGHTS, &files), VKB_OK);
        CHECK_INT(files.count, 2);
        CHECK(hub_list_has(&files, "config.json") && hub_list_has(&files, cases[i].wanted));
        hub_list_free(&files);
        CHECK_INT(hub_model_choose(ctx, "a/b", &model, VKB_PART_TOKENIZER, &files), VKB_OK);
        CHECK_INT(files.count, 1);
        hub_list_free(&files);
        hub_model_free(&model);
    }
}

TEST(what_is_no_answer_is_one_sentence)
{
    static const struct {
        const char *answer, *sentence;
    } cases[] = {
        {"", "answer"},
        {"[]", "not an object"},
        {"{}", "sha is missing"},
        {"{\"sha\":\"main\",\"siblings\":[]}", "sha is \"main\""},
        {"{\"sha\":\"../../../../../../../../../../../../../../\",\"siblings\":[]}", "sha is"},
        {"{\"sha\":\"0123456789abcdef0123456789abcdef01234567\"}", "siblings is missing"},
        {FILES("7"), "rfilename is missing"},
        {FILES("{\"rfilename\":7}"), "rfilename is 7"},
        {FILES(FILE_("../../x")), "names a file \"../../x\""},
        {FILES(FILE_("/etc/x")), "outside the model's folder"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        hub_model model = {0};
        check_case = cases[i].sentence;
        CHECK_INT(parse(cases[i].answer, &model), VKB_BAD_FILE);
        CHECK_HAS(vkb_error(ctx), cases[i].sentence);
        CHECK(model.files.count == 0);
    }
}

TEST(a_cache_is_whole_or_it_is_not)
{
    char *folder = temp_folder();
    hub_cache cache;
    char found[HUB_COMMIT_DIGITS + 1];
    CHECK_INT(hub_cache_open(ctx, folder, "a/b", &cache), VKB_OK);
    CHECK_HAS(cache.model, "/models--a--b");
    CHECK(!hub_cache_read_ref(&cache, "main", found));
    CHECK_INT(hub_cache_make_folders(&cache, commit), VKB_OK);
    CHECK_INT(hub_cache_write_ref(&cache, "refs/pr/1", commit), VKB_OK);
    CHECK(hub_cache_read_ref(&cache, "refs/pr/1", found));
    CHECK_STR(found, commit);
    char *blobs = path_join(cache.model, "blobs");
    temp_write_text(blobs, "etag", "{}");
    CHECK_INT(hub_cache_link(&cache, commit, "config.json", "etag"), VKB_OK);
    CHECK_INT(hub_cache_link(&cache, commit, "config.json", "etag"), VKB_OK); // again
    CHECK(hub_cache_has_parts(&cache, commit, VKB_PART_CONFIG));
    CHECK(!hub_cache_has_parts(&cache, commit, VKB_PART_TOKENIZER));
    CHECK(!hub_cache_has_parts(&cache, commit, VKB_PART_WEIGHTS));
    CHECK_INT(hub_cache_link(&cache, commit, "vocab.txt", "etag"), VKB_OK);
    CHECK(hub_cache_has_parts(&cache, commit, VKB_PART_TOKENIZER));
    CHECK_INT(hub_cache_link(&cache, commit, "pytorch_model.bin", "gone"), VKB_OK);
    CHECK(!hub_cache_has_parts(&cache, commit, VKB_PART_WEIGHTS)); // leads nowhere
    int lock = -1, second = -1;
    CHECK_INT(hub_cache_lock(&cache, "etag", &lock), VKB_OK);
    CHECK(lock >= 0);
    CHECK_INT(hub_cache_lock(&cache, "etag", &second), VKB_OK);
    CHECK_INT(second, -1);
    hub_cache_unlock(&lock);
    CHECK_INT(hub_cache_lock(&cache, "etag", &second), VKB_OK);
    CHECK(second >= 0);
    hub_cache_unlock(&second);
    free(blobs);
    hub_cache_close(&cache);
    char command[4200];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    CHECK_INT(system(command), 0);
    free(folder);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    RUN(names_are_owner_and_name);
    RUN(what_the_hub_names_stays_in_its_folder);
    RUN(headers_are_read);
    RUN(wrong_headers_say_nothing);
    RUN(one_kind_of_weights_is_chosen);
    RUN(what_is_no_answer_is_one_sentence);
    RUN(a_cache_is_whole_or_it_is_not);
    vkb_context_destroy(&ctx);
    return check_report();
}
