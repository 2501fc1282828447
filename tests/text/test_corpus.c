// The corpus reader by properties: batches of any size give the same texts; documents, long lines,
// duplicates. The formats themselves are tests/cli/test_corpus.sh's.
#include "fixture.h"

#include "text/corpus.h"

typedef struct text_list {
    char *all; // each text, a flag for a document's begin, a newline
    size_t used, room, count;
} text_list;

static void add(text_list *list, const corpus_text *text)
{
    if (list->used + text->bytes + 64 > list->room) {
        list->room = (list->used + text->bytes + 64) * 2;
        list->all = realloc(list->all, list->room);
    }
    list->used += (size_t)sprintf(list->all + list->used, "%llu%s:", (unsigned long long)text->line,
                                  text->begins_document ? "*" : "");
    memcpy(list->all + list->used, text->at, text->bytes);
    list->used += text->bytes;
    list->all[list->used++] = '|';
    list->all[list->used] = 0;
    list->count++;
}

static text_list read_all(const vkb_text_source *source, size_t batch_bytes)
{
    corpus *c = NULL;
    corpus_batch batch = {0};
    text_list list = {0};
    vkb_status status = corpus_open(ctx, source, &c);
    do {
        if (status == VKB_OK)
            status = corpus_read(c, batch_bytes, &batch);
        for (size_t i = 0; status == VKB_OK && i < batch.count; i++)
            add(&list, &batch.at[i]);
    } while (status == VKB_OK && batch.count);
    CHECK_INT(status, VKB_OK);
    if (status == VKB_OK)
        corpus_log_doubts(c);
    corpus_batch_free(&batch);
    corpus_close(&c);
    return list;
}

#define TEXTS(expected, name, content, ...)                                                        \
    do {                                                                                           \
        const char *path_ = fixture_write(name, content);                                          \
        const vkb_text_source source_ = {.paths = &path_, .path_count = 1, ##__VA_ARGS__};         \
        check_case = content;                                                                      \
        for (size_t bytes_ = 1; bytes_ < 1000; bytes_ *= 4) {                                      \
            text_list list_ = read_all(&source_, bytes_);                                          \
            CHECK_STR(list_.all ? list_.all : "", expected);                                       \
            free(list_.all);                                                                       \
        }                                                                                          \
        check_case = "";                                                                           \
    } while (0)

TEST(lines_and_documents)
{
    TEXTS("1*:a|2:b c|", "lines.txt", "a\nb c\n");
    TEXTS("1*:a|2:b|", "lines.txt", "a\r\nb");
    TEXTS("1*:a|2:|3*:b|4:|5:|6*:c|", "lines.txt", "a\n\nb\n \t\n\nc\n");
    TEXTS("1*:\xEF\xBB\xBF"
          "b|",
          "lines.txt",
          "\xEF\xBB\xBF\xEF\xBB\xBF"
          "b\n"); // one mark is dropped
}

TEST(rows)
{
    TEXTS("2*:a|3*:b,\"c|4*:d\ne|", "rows.csv", "n,text\n1,a\n2,\"b,\"\"c\"\n3,\"d\ne\"\n");
    TEXTS("2*:1|3*:2|", "rows.csv", "n,m\n1,a\n2,b\n"); // the first column
    TEXTS("2*:a|3*:b|", "rows.csv", "n,m\n1,a\n2,b\n", .text_column = "m");
    TEXTS("2*:\"a|", "rows.tsv", "text\tn\n\"\"\"a\"\t1\n");
    TEXTS("1*:a|3*:b|", "rows.jsonl",
          "{\"text\": \"a\"}\n\n{\"x\": 1, \"text\": \"b\"}\n{\"text\": \"\"}\n");
    TEXTS("1*:a]}|2*:b|", "rows.json", "[{\"text\": \"a]}\", \"l\": [1, {}]},\n{\"text\": \"b\"}]");
    TEXTS("1*:a|1*:b|", "rows.json",
          "{\"data\": [{\"text\": \"a\"}, {\"text\": \"b\"}], \"v\": 1}");
    TEXTS("1*:a|2*:b|", "rows.json", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
    TEXTS("1*:\xC3\xA9|", "rows.jsonl", "{\"text\": \"\\u00e9\"}\n");
}

TEST(duplicates_are_left_out_and_counted)
{
    fixture_log[0] = 0;
    TEXTS("1*:a|2:b|4:|6*:c|", "twice.txt", "a\nb\na\n\nb\nc\n", .drop_duplicates = true);
    CHECK_HAS(fixture_log, "2 duplicate texts were left out");
}

// A line of 65 MiB comes in two pieces, cut between characters, and is told of.
TEST(a_long_line_comes_in_pieces)
{
    const size_t bytes = (size_t)65 << 20;
    char *text = malloc(bytes + 3);
    text[0] = 'a'; // so that no two-byte character ends at an even place
    for (size_t i = 1; i < bytes; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    memcpy(text + bytes - 1 + bytes % 2, "\nb", 3);
    const char *path = fixture_write("long.txt", text);
    corpus *c = NULL;
    corpus_batch batch = {0};
    size_t pieces = 0, all = 0;
    fixture_log[0] = 0;
    CHECK_INT(corpus_open(ctx, SOURCE(&path, 1), &c), VKB_OK);
    do {
        CHECK_INT(corpus_read(c, 1, &batch), VKB_OK);
        for (size_t i = 0; i < batch.count; i++) {
            CHECK(batch.at[i].bytes <= (size_t)64 << 20);
            CHECK((batch.at[i].at[0] & 0xC0) != 0x80);
            all += batch.at[i].bytes;
            pieces++;
        }
    } while (batch.count);
    CHECK_INT(pieces, 3);
    CHECK_INT(all, bytes - 1 + bytes % 2 + 1);
    CHECK_HAS(fixture_log, "line 1 is longer than 64 MiB");
    corpus_batch_free(&batch);
    corpus_close(&c);
    free(text);
}

int main(void)
{
    fixture_start();
    RUN(lines_and_documents);
    RUN(rows);
    RUN(duplicates_are_left_out_and_counted);
    RUN(a_long_line_comes_in_pieces);
    fixture_end();
    return check_report();
}
