// pytorch_model.bin of both containers: what torch itself wrote (tools/make_torch_fixtures.py), and files
// made here that are right, hostile or cut off.
#include "tests/check.h"
#include "tests/hf/torch_build.h"
#include "tests/temp.h"

#include "hf/weights.h"

static vkb_context *ctx;
static char *folder;

// ---- torch's own files ----

static const struct {
    const char *name, *shape;
    hf_dtype dtype;
    uint64_t count;
} saved[] = {
    {"bf16", "[2,3]", HF_BF16, 6},       {"bool", "[2]", HF_BOOL, 2},
    {"cut", "[2,2]", HF_F32, 4},         {"empty", "[0,4]", HF_F32, 0},
    {"f16", "[7]", HF_F16, 7},           {"f64", "[4]", HF_F64, 4},
    {"i16", "[2]", HF_I16, 2},           {"i32", "[2]", HF_I32, 2},
    {"i64", "[1,6]", HF_I64, 6},         {"i8", "[2]", HF_I8, 2},
    {"module.f32", "[3,5]", HF_F32, 15}, {"parameter", "[4]", HF_F32, 4},
    {"scalar", "[]", HF_F32, 1},         {"tied", "[3,5]", HF_F32, 15},
    {"transposed", "[5,3]", HF_F32, 15}, {"u8", "[2]", HF_U8, 2},
};

static void check_values(const hf_tensor *tensor)
{
    float values[16] = {0};
    const bool is_float = hf_tensor_to_f32(tensor, 0, tensor->count, values);
    CHECK(is_float == (tensor->dtype <= HF_F64));
    for (uint64_t i = 0; i < tensor->count && is_float; i++)
        CHECK(values[i] == ((float)i - 3) / 2);
    const int64_t bits = (int64_t)hf_dtype_bits(tensor->dtype);
    for (uint64_t i = 0; i < tensor->count && !is_float && tensor->dtype != HF_BOOL; i++) {
        int64_t value = 0;
        memcpy(&value, tensor->data + i * (uint64_t)bits / 8, (size_t)bits / 8);
        CHECK_INT(value, ((int64_t)i - 3) & (bits == 64 ? -1 : (INT64_C(1) << bits) - 1));
    }
    if (tensor->dtype == HF_BOOL)
        CHECK(tensor->data[0] == 1 && tensor->data[1] == 0);
}

TEST(reads_what_torch_wrote)
{
    static const char *const files[] = {"zip.bin", "protocol4.bin", "legacy.bin"};
    for (size_t f = 0; f < BASE_COUNT(files); f++) {
        hf_weights weights = {0};
        check_case = files[f];
        CHECK_INT(hf_weights_open(ctx, temp_path("fixtures/torch", files[f]), &weights), VKB_OK);
        CHECK_STR(weights.path, temp_path("fixtures/torch", files[f]));
        CHECK_INT(weights.tensor_count, BASE_COUNT(saved));
        for (size_t i = 0; i < weights.tensor_count && i < BASE_COUNT(saved); i++) {
            const hf_tensor *tensor = &weights.tensors[i];
            CHECK_STR(tensor->name, saved[i].name);
            CHECK_STR(hf_shape(tensor->rank, tensor->shape).text, saved[i].shape);
            CHECK_STR(hf_dtype_name(tensor->dtype), hf_dtype_name(saved[i].dtype));
            CHECK_INT(tensor->count, saved[i].count);
            CHECK_INT(tensor->bytes, saved[i].count * hf_dtype_bits(saved[i].dtype) / 8);
            CHECK(tensor->strided ==
                  (strcmp(tensor->name, "cut") == 0 || strcmp(tensor->name, "transposed") == 0));
            check_values(tensor);
        }
        const hf_tensor *one = hf_weights_find(&weights, "module.f32"),
                        *two = hf_weights_find(&weights, "tied");
        CHECK(one && two && one->data == two->data);
        hf_weights_close(&weights);
    }
    check_case = "";
}

TEST(finds_the_state_dict_of_a_training_script)
{
    hf_weights weights = {0};
    CHECK_INT(hf_weights_open(ctx, "fixtures/torch/training.bin", &weights), VKB_OK);
    CHECK_INT(weights.tensor_count, 1);
    const hf_tensor *weight = hf_weights_find(&weights, "module.weight");
    CHECK(weight && weight->rank == 2 && weight->shape[1] == 2);
    if (weight)
        check_values(weight);
    hf_weights_close(&weights);
}

// ---- Made here ----

static vkb_status open_bytes(const blob *b, hf_weights *weights)
{
    *weights = (hf_weights){0};
    temp_write(folder, "x.bin", b->at, b->count);
    return hf_weights_open(ctx, temp_path(folder, "x.bin"), weights);
}

// Frees b.
static void refuse(blob *b, const char *part)
{
    hf_weights weights;
    vkb_status status = open_bytes(b, &weights);
    CHECK_INT(status, VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "x.bin: ");
    CHECK_HAS(vkb_error(ctx), part);
    if (status == VKB_OK)
        hf_weights_close(&weights);
    blob_free(b);
}

// Frees pickle, refused in both containers with a storage "0" of `elements` floats; 0: with none.
static void refuse_pickle(blob *pickle, size_t elements, const char *part)
{
    static const uint8_t data[64];
    blob file = {0};
    check_case = part;
    build_zip(&file, pickle, elements ? "0" : NULL, data, 4 * elements);
    refuse(&file, part);
    build_legacy(&file, pickle, elements ? "0" : NULL, elements, data, 4 * elements);
    refuse(&file, part);
    blob_free(pickle);
    check_case = "";
}

// A tensor "a" in a storage "0" of 6 floats, in a file whose storage has as many.
static void refuse_tensor(const char *type, int64_t count, int64_t offset, const char *sizes,
                          const char *strides, const char *part)
{
    blob p = {0};
    build_start(&p);
    build_text(&p, "a");
    build_tensor(&p, type, "0", count, offset, sizes, strides);
    build_stop(&p);
    refuse_pickle(&p, 6, part);
}

TEST(reads_what_is_made_here)
{
    const float data[6] = {0, 1, 2, 3, 4, 5};
    blob p = {0}, file = {0};
    hf_weights weights;
    build_start(&p);
    build_text(&p, "a");
    build_tensor(&p, "FloatStorage", "0", 6, 1, "\2\1\2", "\1\7\3"); // 1 4 / 2 5
    build_text(&p, "b");
    build_tensor(&p, "FloatStorage", "0", 6, 2, "\1\2\2", "\x63\2\1"); // 2 3 / 4 5
    build_stop(&p);
    for (int legacy = 0; legacy < 2; legacy++) {
        if (legacy)
            build_legacy(&file, &p, "0", 6, data, sizeof(data));
        else
            build_zip(&file, &p, "0", data, sizeof(data));
        float values[4] = {0};
        CHECK_INT(open_bytes(&file, &weights), VKB_OK);
        CHECK_INT(weights.tensor_count, 2);
        const hf_tensor *a = hf_weights_find(&weights, "a"), *b = hf_weights_find(&weights, "b");
        CHECK(a && a->strided && hf_tensor_to_f32(a, 0, 4, values));
        CHECK(values[0] == 1 && values[1] == 4 && values[2] == 2 && values[3] == 5);
        CHECK(b && !b->strided && hf_tensor_to_f32(b, 0, 4, values)); // a size of 1 has no stride
        CHECK(values[0] == 2 && values[3] == 5);
        hf_weights_close(&weights);
    }
    blob_free(&file);
    blob_free(&p);
}

// A file cut at every `step`th byte is refused; one with a bit changed there may open, and then nothing
// is read outside it, as the sanitizers see.
static void damage(uint8_t *whole, size_t count, size_t step)
{
    size_t opened = 0;
    for (size_t at = 0; at < count; at += step) {
        hf_weights weights = {0};
        temp_write(folder, "x.bin", whole, at);
        CHECK_INT(hf_weights_open(ctx, temp_path(folder, "x.bin"), &weights), VKB_BAD_FILE);
        whole[at] ^= (uint8_t)(1 << at % 8);
        temp_write(folder, "x.bin", whole, count);
        whole[at] ^= (uint8_t)(1 << at % 8);
        if (hf_weights_open(ctx, temp_path(folder, "x.bin"), &weights) != VKB_OK)
            continue;
        opened++;
        float value;
        for (size_t i = 0; i < weights.tensor_count; i++)
            for (uint64_t k = 0; k < weights.tensors[i].count; k++)
                hf_tensor_to_f32(&weights.tensors[i], k, 1, &value);
        hf_weights_close(&weights);
    }
    CHECK(opened > 10); // of changed values and names
}

TEST(no_damage_leads_outside)
{
    static const char *const files[] = {"zip.bin", "protocol4.bin", "legacy.bin", "training.bin"};
    for (size_t i = 0; i < BASE_COUNT(files); i++) {
        size_t count;
        uint8_t *whole = (uint8_t *)temp_read("fixtures/torch", files[i], &count);
        check_case = files[i];
        damage(whole, count, 13);
        free(whole);
    }
    check_case = "made here";
    blob p = {0}, file = {0};
    build_start(&p);
    build_text(&p, "a");
    build_tensor(&p, "FloatStorage", "0", 6, 0, "\2\3", "\1\2");
    build_stop(&p);
    build_zip(&file, &p, "0", "123456781234567812345678", 24);
    damage(file.at, file.count, 1);
    build_legacy(&file, &p, "0", 6, "123456781234567812345678", 24);
    damage(file.at, file.count, 1);
    blob_free(&file);
    blob_free(&p);
    check_case = "";
}

TEST(refuses_tensors_outside_their_storage)
{
    const char *outside = "tensor a reaches outside its storage", *f = "FloatStorage";
    refuse_tensor(f, 6, 0, "\7", "\1", outside);
    refuse_tensor(f, 6, 1, "\6", "\1", outside);
    refuse_tensor(f, 6, 6, "\1", "\1", outside);
    refuse_tensor(f, 6, 6, "", "", outside);
    refuse_tensor(f, 6, 7, "", "", outside);
    refuse_tensor(f, 6, -1, "\1", "\1", outside);
    refuse_tensor(f, 6, INT64_MIN, "\1", "\1", outside);
    refuse_tensor(f, 6, INT64_MAX, "\1", "\1", outside);
    refuse_tensor(f, 6, 0, "\2\3", "\3\2", outside);
    refuse_tensor(f, 6, 0, "\2\4", "\3\1", outside);
    refuse_tensor(f, 6, 0, "\2\1", "\6\1", outside);
    refuse_tensor(f, 6, 0, "\7\1", "\1\1", outside);
    refuse_tensor(f, 6, 0, "\3\3", "\1\1", outside); // 9 of 6 elements, in five places
    refuse_tensor(f, 5, 0, "\6", "\1", "storage 0 has 24 bytes, expected 5 elements of F32");
    refuse_tensor("LongStorage", 6, 0, "\6", "\1", "storage 0 "); // of 24 bytes; cut off
    refuse_tensor(f, INT64_MAX, 0, "\6", "\1", "storage 0 has 24 bytes");
    refuse_tensor(f, 6, 0, "\1\1\1\1\1\1\1\1\1", "\1\1\1\1\1\1\1\1\1", "more than 8 dimensions");
    refuse_tensor(f, 6, 0, "\1\1", "\1", "not as many strides");
    refuse_tensor(f, 6, 0, "\1", "", "not as many strides");
}

// A tensor of one size and stride of any value.
static void refuse_size(int64_t size, int64_t second, int64_t stride, const char *part)
{
    blob p = {0};
    build_start(&p);
    build_text(&p, "a");
    build_global(&p, "torch._utils", "_rebuild_tensor_v2");
    PUT(&p, "(");
    build_storage(&p, "FloatStorage", "0", 6);
    PUT(&p, "K\0(");
    build_int(&p, size);
    build_int(&p, second);
    PUT(&p, "t(");
    build_int(&p, stride);
    PUT(&p, "K\1t\x89NtR");
    build_stop(&p);
    refuse_pickle(&p, 6, part);
}

TEST(refuses_sizes_that_overflow)
{
    refuse_size(-1, 1, 1, "a size or stride that is not a whole number");
    refuse_size(1, 1, -1, "a size or stride that is not a whole number");
    refuse_size(INT64_MAX, 1, 0, "a size that overflows");
    refuse_size(INT64_MAX, 3, 0, "a size that overflows");
    refuse_size(INT64_C(1) << 62, 4, 0, "a size that overflows");
    refuse_size(INT64_C(1) << 40, 1, 0, "reaches outside"); // an expanded tensor of any size
    refuse_size(3, 1, INT64_MAX, "reaches outside");
    refuse_size(2, 1, INT64_MAX, "reaches outside");
    refuse_size(5, 1, INT64_C(1) << 62, "reaches outside");
    refuse_size(INT64_C(1) << 33, 1, INT64_C(1) << 33, "reaches outside");
}

TEST(refuses_what_is_no_state_dict)
{
    blob p = {0};
    PUT(&p, "\x80\2N.");
    refuse_pickle(&p, 0, "holds no dict");
    PUT(&p, "\x80\2]");
    build_tensor(&p, "FloatStorage", "0", 1, 0, "", "");
    PUT(&p, "a.");
    refuse_pickle(&p, 1, "holds no dict");
    PUT(&p, "\x80\2}U\1a");
    build_storage(&p, "FloatStorage", "0", 1);
    PUT(&p, "s.");
    refuse_pickle(&p, 1, "tensor a is something else than a tensor");
    PUT(&p, "\x80\2}K\1");
    build_tensor(&p, "FloatStorage", "0", 1, 0, "", "");
    PUT(&p, "s.");
    refuse_pickle(&p, 1, "the name of a tensor is not a string");
    static const char *const names[] = {"U\1\xff", "X\3\0\0\0a\0b", "U\2\xc3("};
    static const size_t name_bytes[] = {3, 8, 4};
    for (size_t i = 0; i < 3; i++) {
        PUT(&p, "\x80\2}");
        put(&p, names[i], name_bytes[i]);
        build_tensor(&p, "FloatStorage", "0", 1, 0, "", "");
        PUT(&p, "s.");
        refuse_pickle(&p, 1, "has a name that is too long or not text");
    }
    char name[600] = {0};
    memset(name, 'a', 513);
    PUT(&p, "\x80\2}");
    build_text(&p, name);
    build_tensor(&p, "FloatStorage", "0", 1, 0, "", "");
    PUT(&p, "s.");
    refuse_pickle(&p, 1, "has a name that is too long or not text");
    build_start(&p);
    for (int i = 0; i < 2; i++) {
        build_text(&p, "a");
        build_tensor(&p, "FloatStorage", "0", 1, 0, "", "");
    }
    build_stop(&p);
    refuse_pickle(&p, 1, "tensor a is there twice");
    PUT(&p, "\x80\2cposix\nsystem\nU\2id\x85R.");
    refuse_pickle(&p, 0, "unsupported global posix.system at byte ");
}

// A dict of one tensor, again and again under one name: entries of 4 bytes become tensors of many.
TEST(refuses_more_tensors_than_the_file_pays_for)
{
    blob p = {0};
    build_start(&p);
    build_text(&p, "a");
    PUT(&p, "q\0");
    build_tensor(&p, "FloatStorage", "0", 1, 0, "", "");
    PUT(&p, "q\1");
    for (int i = 0; i < 20000; i++)
        PUT(&p, "h\0h\1");
    build_stop(&p);
    refuse_pickle(&p, 1, "more memory than the file itself");
}

static void refuse_zip(zip_parts *zip, const char *part)
{
    check_case = part;
    zip_finish(zip);
    refuse(&zip->file, part);
    zip->count = 0;
    check_case = "";
}

TEST(refuses_zip_archives_of_something_else)
{
    blob p = {0};
    zip_parts zip = {0};
    build_start(&p);
    build_text(&p, "a");
    build_tensor(&p, "FloatStorage", "0", 1, 0, "", "");
    build_stop(&p);
    zip_add(&zip, "word/document.xml", "<", 1);
    refuse_zip(&zip, "a zip archive without data.pkl");
    zip_add(&zip, "data.pkl", p.at, p.count);
    refuse_zip(&zip, "a zip archive without data.pkl");
    zip_add(&zip, "x/data.pkl", p.at, p.count);
    refuse_zip(&zip, "storage 0 is missing");
    zip_add(&zip, "x/data.pkl", p.at, p.count);
    zip_add(&zip, "y/data/0", "1234", 4);
    refuse_zip(&zip, "storage 0 is missing");
    zip_add(&zip, "x/data.pkl", p.at, p.count);
    zip_add(&zip, "x/data/0", "12345", 5);
    refuse_zip(&zip, "storage 0 has 5 bytes, expected 1 elements of F32");
    zip_add(&zip, "x/data.pkl", p.at, p.count);
    zip_add(&zip, "y/data.pkl", p.at, p.count);
    refuse_zip(&zip, "has two data.pkl");
    zip_add(&zip, "x/data.pkl", p.at, p.count);
    zip_add(&zip, "x/byteorder", "big", 3);
    refuse_zip(&zip, "big-endian");
    zip_add(&zip, "x/data.pkl", "", 0);
    refuse_zip(&zip, "truncated");
    blob_free(&p);
}

// A legacy file up to the state dict, of the caller's protocol and machine.
static void refuse_legacy(const char *head, size_t head_bytes, const char *part)
{
    blob b = {0};
    build_legacy_start(&b);
    b.count = 15; // the magic number
    put(&b, head, head_bytes);
    PUT(&b, "\x80\2}.\x80\2].");
    check_case = part;
    refuse(&b, part);
    check_case = "";
}

TEST(refuses_legacy_files_of_something_else)
{
    refuse_legacy("\x80\2M\xe8\3.", 6, "another protocol");
    refuse_legacy("\x80\2N.", 4, "another protocol");
    refuse_legacy("\x80\2M\xe9\3.\x80\2}U\x0dlittle_endian\x89s.", 27, "big-endian");
    refuse_legacy("\x80\2M\xe9\3.\x80\2}.", 10, "big-endian"); // not said
    refuse_legacy("\x80\2M\xe9\3.\x80\2N.", 10, "big-endian");

    blob b = {0}, p = {0};
    build_legacy_start(&b);
    PUT(&b, "\x80\2}.\x80\2N.");
    refuse(&b, "no list of storages");
    build_legacy_start(&b);
    PUT(&b, "\x80\2}.\x80\2]K\1a.");
    refuse(&b, "the key of a storage is not a string");
    PUT(&p, "\x80\2}.");
    build_legacy(&b, &p, "0", 0, "", 0);
    refuse(&b, "storage 0 belongs to no tensor");
    p.count = 0;
    build_start(&p);
    build_text(&p, "a");
    build_tensor(&p, "FloatStorage", "0", 1, 0, "", "");
    build_stop(&p);
    build_legacy(&b, &p, NULL, 0, NULL, 0);
    refuse(&b, "storage 0 is missing");
    build_legacy(&b, &p, "1", 1, "1234", 4);
    refuse(&b, "storage 1 belongs to no tensor");
    build_legacy(&b, &p, "0", 1, "123", 3);
    refuse(&b, "truncated: storage 0 is cut off");
    build_legacy(&b, &p, "0", UINT64_MAX, "1234", 4);
    refuse(&b, "truncated: storage 0 is cut off");
    build_legacy(&b, &p, "0", UINT64_C(1) << 62, "1234", 4); // times 4: 0
    refuse(&b, "truncated: storage 0 is cut off");
    build_legacy(&b, &p, "0", 0, "", 0);
    refuse(&b, "storage 0 has 0 bytes, expected 1 elements of F32");
    build_legacy_start(&b);
    put(&b, p.at, p.count);
    PUT(&b, "\x80\2](U\1"
            "0U\1"
            "0e.\1\0\0\0\0\0\0\0"
            "1234\1\0\0\0\0\0\0\0"
            "1234");
    refuse(&b, "storage 0 is there twice");
    // one storage of two types
    p.count -= 2;
    build_text(&p, "b");
    build_tensor(&p, "LongStorage", "0", 1, 0, "", "");
    build_stop(&p);
    build_legacy(&b, &p, "0", 1, "12345678", 8);
    refuse(&b, "storage 0 has ");
    blob_free(&p);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    folder = temp_folder();
    RUN(reads_what_torch_wrote);
    RUN(finds_the_state_dict_of_a_training_script);
    RUN(reads_what_is_made_here);
    RUN(no_damage_leads_outside);
    RUN(refuses_tensors_outside_their_storage);
    RUN(refuses_sizes_that_overflow);
    RUN(refuses_what_is_no_state_dict);
    RUN(refuses_more_tensors_than_the_file_pays_for);
    RUN(refuses_zip_archives_of_something_else);
    RUN(refuses_legacy_files_of_something_else);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
