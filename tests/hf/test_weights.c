// Which file holds a folder's weights, and what is said of one that holds none.
#include "tests/check.h"
#include "tests/temp.h"

#include "hf/weights.h"

static vkb_context *ctx;
static char *folder;

// ---- No weights ----

static void refuse_text(const char *name, const char *text, size_t count, const char *part)
{
    hf_weights weights = {0};
    temp_write(folder, name, text, count);
    check_case = name;
    CHECK_INT(hf_weights_open(ctx, temp_path(folder, name), &weights), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), temp_path(folder, name));
    CHECK_HAS(vkb_error(ctx), part);
    check_case = "";
}

#define REFUSE_TEXT(name, text, part) refuse_text(name, text, sizeof(text) - 1, part)

TEST(says_what_else_a_file_is)
{
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    static const char html[] = "\n<!DOCTYPE html>\n<html lang=\"en\">404</html>\n";
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "x.bin" : "x.safetensors";
        REFUSE_TEXT(name, lfs, "is a git-lfs pointer");
        REFUSE_TEXT(name, html, "is a page of HTML");
        REFUSE_TEXT(name, "", "is empty");
        REFUSE_TEXT(name, "\x80\4\x95", "is a pickle, but not of torch.save");
    }
    REFUSE_TEXT("x.bin", "hello, world", "is neither safetensors nor a file of torch.save");
    REFUSE_TEXT("x.bin", "    ", "is neither");
    REFUSE_TEXT("x.bin", "\0", "is neither");
    REFUSE_TEXT("x.bin", "PK\3", "is neither");
    REFUSE_TEXT("x.safetensors", "hello, world", "not a safetensors file");
    // A length that starts with '<' or 0x80 is one of safetensors.
    REFUSE_TEXT("x.bin", "<\0\0\0\0\0\0\0{}", "its header is 60 bytes long");
    REFUSE_TEXT("x.bin", "\x80\0\0\0\0\0\0\0{}", "its header is 128 bytes long");
}

// ---- Folders ----

static void copy_fixture(const char *fixture, const char *name)
{
    size_t count;
    char *text = temp_read("fixtures/torch", fixture, &count);
    temp_write(folder, name, text, count);
    free(text);
}

TEST(the_best_file_of_a_folder_is_taken)
{
    hf_weights_set set = {0};
    temp_empty(folder);
    CHECK_INT(hf_weights_set_open(ctx, folder, &set), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "has no weights, expected model.safetensors, pytorch_model.bin or");

    copy_fixture("training.bin", "pytorch_model-00001-of-00002.bin");
    copy_fixture("legacy.bin", "pytorch_model-00002-of-00002.bin");
    temp_write_text(folder, "pytorch_model.bin.index.json",
                    "{\"weight_map\":{\"f16\":\"pytorch_model-00002-of-00002.bin\","
                    "\"module.weight\":\"pytorch_model-00001-of-00002.bin\"}}");
    CHECK_INT(hf_weights_set_open(ctx, folder, &set), VKB_OK);
    CHECK_INT(set.file_count, 2);
    CHECK_STR(set.path, temp_path(folder, "pytorch_model.bin.index.json"));
    hf_weights_set_close(&set);
    temp_write_text(folder, "pytorch_model.bin.index.json",
                    "{\"weight_map\":{\"f16\":\"../pytorch_model.bin\"}}");
    CHECK_INT(hf_weights_set_open(ctx, folder, &set), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "is not the name of a file beside it");
    temp_write_text(folder, "pytorch_model.bin.index.json",
                    "{\"weight_map\":{\"f16\":\"/etc/passwd\"}}");
    CHECK_INT(hf_weights_set_open(ctx, folder, &set), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "is not the name of a file beside it");

    copy_fixture("zip.bin", "pytorch_model.bin");
    CHECK_INT(hf_weights_set_open(ctx, folder, &set), VKB_OK);
    CHECK_STR(set.path, temp_path(folder, "pytorch_model.bin"));
    hf_weights_set_close(&set);

    temp_write(folder, "model.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
    CHECK_INT(hf_weights_set_open(ctx, folder, &set), VKB_OK);
    CHECK_STR(set.path, temp_path(folder, "model.safetensors"));
    hf_weights_set_close(&set);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    folder = temp_folder();
    RUN(says_what_else_a_file_is);
    RUN(the_best_file_of_a_folder_is_taken);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
