// The safetensors reader against every file the format forbids, and the writer against the reader.
#include "tests/check.h"
#include "tests/temp.h"

#include "hf/safetensors.h"

#include <float.h>

static vkb_context *ctx;
static char *folder;

// ---- Crafted files ----

// Writes a file of header and `data` bytes counting up from 0; the length field says `length`.
static const char *craft_raw(uint64_t length, const char *header, size_t header_bytes, size_t data)
{
    uint8_t bytes[4096];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(length >> 8 * i);
    memcpy(bytes + 8, header, header_bytes);
    for (size_t i = 0; i < data; i++)
        bytes[8 + header_bytes + i] = (uint8_t)i;
    temp_write(folder, "x.safetensors", bytes, 8 + header_bytes + data);
    return temp_path(folder, "x.safetensors");
}

static const char *write_parts(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    const char *path = temp_path(folder, "x.safetensors");
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(a, 1, a_bytes, file) == a_bytes && fwrite(b, 1, b_bytes, file) == b_bytes);
    if (file)
        fclose(file);
    return path;
}

static const char *craft(const char *header, size_t data)
{
    return craft_raw(strlen(header), header, strlen(header), data);
}

static void check_refused(const char *path, const char *part)
{
    hf_safetensors file = {0};
    vkb_status status = hf_safetensors_open(ctx, path, &file);
    CHECK_INT(status, VKB_BAD_FILE);
    if (status == VKB_OK) {
        hf_safetensors_close(&file);
        return;
    }
    CHECK_HAS(vkb_error(ctx), path);
    CHECK_HAS(vkb_error(ctx), part);
    CHECK(!file.path);
}

static void refuse(const char *header, size_t data, const char *part)
{
    check_case = header;
    check_refused(craft(header, data), part);
    check_case = "";
}

static void accept(const char *header, size_t data, size_t tensors)
{
    hf_safetensors file = {0};
    check_case = header;
    vkb_status status = hf_safetensors_open(ctx, craft(header, data), &file);
    CHECK_INT(status, VKB_OK);
    if (status != VKB_OK) {
        CHECK_STR(vkb_error(ctx), "no error");
    } else {
        CHECK_INT(file.tensor_count, tensors);
        hf_safetensors_close(&file);
    }
    check_case = "";
}

#define F32(name, shape, offsets)                                                                  \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

// ---- Refused ----

TEST(refuses_a_broken_frame)
{
    check_refused(temp_path(folder, "absent"), "cannot be opened");
    check_refused(folder, "is a folder");
    temp_write(folder, "x.safetensors", "", 0);
    check_refused(temp_path(folder, "x.safetensors"), "0 bytes");
    temp_write(folder, "x.safetensors", "\2\0\0\0\0\0\0", 7);
    check_refused(temp_path(folder, "x.safetensors"), "7 bytes");
    check_refused(craft_raw(100000001, "{}", 2, 0), "100000001");
    check_refused(craft_raw(UINT64_MAX, "{}", 2, 0), "18446744073709551615");
    check_refused(craft_raw(3, "{}", 2, 0), "truncated");
    check_refused(craft_raw(0, "{}", 2, 0), "does not start with '{'");
    check_refused(craft(" {}", 0), "does not start with '{'");
}

TEST(refuses_a_header_that_is_not_json)
{
    refuse("{\"a\xff\":1}", 0, "UTF-8");
    refuse("{\"a\xc0\x80\":1}", 0, "UTF-8");     // overlong
    refuse("{\"a\xed\xa0\x80\":1}", 0, "UTF-8"); // a surrogate
    refuse("{", 0, "not JSON");
    refuse("{\"a\":}", 0, "not JSON");
    refuse("{\"a\":1,", 0, "not JSON");
    refuse("{} x", 0, "not JSON");
    check_refused(craft_raw(4, "{}\0 ", 4, 0), "NUL");
    refuse("{" F32("a\\u0000b", "[1]", "[0,4]") "}", 4, "escaped NUL");
    refuse("{" F32("a", "[1]", "[0,4]") "," F32("a", "[1]", "[4,8]") "}", 8,
           "\"a\" is there twice");
}

// {"a":[1,1,...]}, or as deep a list of lists; lists of zeros would become gigabytes of nodes.
static void refuse_list(size_t items, const char *item, char last, const char *part)
{
    const size_t bytes = 6 + 2 * items;
    char *header = malloc(bytes);
    memcpy(header, "{\"a\":[", 6);
    for (size_t i = 0; i < items; i++)
        memcpy(header + 6 + 2 * i, item, 2);
    header[bytes - 1] = last;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bytes >> 8 * i);
    check_refused(write_parts(length, 8, header, bytes), part);
    free(header);
}

TEST(refuses_a_header_that_would_outgrow_the_file)
{
    refuse_list(1 << 20, "1,", ',', "values, at most");
    refuse_list(1 << 20, "{}", '{', "values, at most");
    refuse_list(510000, "1,", ',', "is not JSON"); // as many as the largest vocabulary are read
    refuse_list(100, "[[", '[', "nested more than 64 deep");
    refuse("{\"a\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\":1}",
           0,
           "tensor a\"[[["); // in a string
}

TEST(refuses_a_bad_entry)
{
    refuse("{\"a\":1}", 0, "tensor a lacks");
    refuse("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor a lacks");
    refuse("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor a lacks");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor a lacks");
    refuse("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
           "tensor a has the unknown dtype F33");
    refuse("{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "f32");
    refuse("{" F32("a", "[-1]", "[0,4]") "}", 4, "tensor a: dimension 1");
    refuse("{" F32("a", "[1,1.5]", "[0,4]") "}", 4, "tensor a: dimension 2");
    refuse("{" F32("a", "[\"1\"]", "[0,4]") "}", 4, "tensor a: dimension 1");
    refuse("{" F32("a", "[1e300]", "[0,4]") "}", 4, "tensor a: dimension 1");
    refuse("{" F32("a", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "more than 8 dimensions");
    refuse("{" F32("a", "[1]", "[0]") "}", 4, "data_offsets");
    refuse("{" F32("a", "[1]", "[0,4,4]") "}", 4, "data_offsets");
    refuse("{" F32("a", "[1]", "[-4,0]") "}", 4, "data_offsets");
    refuse("{" F32("a", "[1]", "[4,0]") "}", 4, "data_offsets");
    refuse("{" F32("a", "[2]", "[0,4]") "}", 4, "has 4 bytes of data, expected 8 for F32 [2]");
    refuse("{" F32("a", "[4294967296,4294967296]", "[0,4]") "}", 4, "overflows");
    refuse("{" F32("a", "[4611686018427387904]", "[0,4]") "}", 4, "dimension 1");
    refuse("{" F32("a", "[2147483648,2147483648]", "[0,4]") "}", 4, "overflows");
    refuse("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "overflows");
    refuse("{\"__metadata__\":{\"format\":1}}", 0, "format is not a string");
    refuse("{\"__metadata__\":[]}", 0, "__metadata__");
}

TEST(refuses_data_that_does_not_fit)
{
    refuse("{" F32("a", "[1]", "[4,8]") "}", 8, "tensor a starts at byte 4");
    refuse("{" F32("a", "[1]", "[0,4]") "," F32("b", "[1]", "[8,12]") "}", 12,
           "tensor b starts at byte 8 of the data, leaving a hole, expected 4");
    refuse("{" F32("a", "[2]", "[0,8]") "," F32("b", "[1]", "[4,8]") "}", 8,
           "tensor b starts at byte 4 of the data, inside another tensor, expected 8");
    refuse("{" F32("a", "[1]", "[0,4]") "," F32("b", "[1]", "[0,4]") "}", 4, "inside another");
    refuse("{" F32("a", "[2]", "[0,8]") "}", 7, "truncated");
    refuse("{" F32("a", "[2]", "[0,8]") "}", 9, "1 bytes behind its last tensor");
    refuse("{}", 1, "1 bytes behind its last tensor");
}

TEST(accepts_what_the_format_allows)
{
    accept("{}", 0, 0);
    accept("{}      ", 0, 0);
    accept("{\"__metadata__\":null}", 0, 0);
    accept("{\"__metadata__\":{}," F32("a", "[]", "[0,4]") "}", 4, 1);
    accept("{" F32("a", "[0]", "[0,0]") "," F32("b", "[1]", "[0,4]") "}", 4, 2);
    accept("{" F32("b", "[1]", "[4,8]") "," F32("a", "[1]", "[0,4]") "}", 8, 2);
    accept("{\"a\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16],\"more\":[{}]}}", 16,
           1);
    accept("{\"a\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}", 2, 1);
}

// Every shorter file is refused, every longer one too; under the address sanitizer this also shows
// that nothing is read outside.
TEST(refuses_a_file_cut_anywhere)
{
    const char header[] = "{\"__metadata__\":{\"format\":\"pt\"}," F32(
        "a", "[2,1]", "[0,8]") "," F32("b", "[]", "[8,12]") "}";
    hf_safetensors file = {0};
    craft(header, 12);
    size_t bytes;
    char *whole = temp_read(folder, "x.safetensors", &bytes);
    for (size_t cut = 0; cut < bytes; cut++) {
        temp_write(folder, "x.safetensors", whole, cut);
        CHECK_INT(hf_safetensors_open(ctx, temp_path(folder, "x.safetensors"), &file),
                  VKB_BAD_FILE);
    }
    temp_write(folder, "x.safetensors", whole, bytes + 1); // the NUL behind
    CHECK_INT(hf_safetensors_open(ctx, temp_path(folder, "x.safetensors"), &file), VKB_BAD_FILE);
    free(whole);
}

// ---- Values ----

TEST(converts_to_float)
{
    static const uint16_t half[] = {0x0000, 0x8000, 0x3C00, 0xC000, 0x7BFF, 0x0001,
                                    0x83FF, 0x0400, 0x7C00, 0xFC00, 0x7E00};
    static const float half_value[] = {
        0,        -0.0f,    1,         -2, 65504, 0x1p-24f, -1023.0f / 16777216.0f,
        0x1p-14f, INFINITY, -INFINITY, NAN};
    static const uint16_t bf16[] = {0x3F80, 0xC000, 0x7F80, 0x0001};
    static const float bf16_value[] = {1, -2, INFINITY, 0x1p-133f};
    static const double f64[] = {1.5, -1e300, 1e-3};
    float out[16];

    hf_tensor tensor = {.dtype = HF_F16, .count = 11, .data = (const uint8_t *)half};
    CHECK(hf_tensor_to_f32(&tensor, 0, 11, out));
    CHECK(memcmp(out, half_value, 10 * sizeof(float)) == 0);
    CHECK(isnan(out[10]));
    CHECK(hf_tensor_to_f32(&tensor, 2, 2, out)); // a part
    CHECK(out[0] == 1 && out[1] == -2);
    CHECK(hf_tensor_to_f32(&tensor, 11, 0, out));

    tensor = (hf_tensor){.dtype = HF_BF16, .count = 4, .data = (const uint8_t *)bf16};
    CHECK(hf_tensor_to_f32(&tensor, 0, 4, out));
    CHECK(memcmp(out, bf16_value, sizeof(bf16_value)) == 0);

    tensor = (hf_tensor){.dtype = HF_F64, .count = 3, .data = (const uint8_t *)f64};
    CHECK(hf_tensor_to_f32(&tensor, 0, 3, out));
    CHECK(out[0] == 1.5f && out[1] == -INFINITY && out[2] == 1e-3f);

    tensor = (hf_tensor){.dtype = HF_I64, .count = 1, .data = (const uint8_t *)f64};
    CHECK(!hf_tensor_to_f32(&tensor, 0, 1, out));
}

static uint16_t rounded(hf_dtype dtype, float value)
{
    uint16_t half;
    hf_tensor_from_f32(dtype, &value, 1, &half);
    return half;
}

static float widened(hf_dtype dtype, uint16_t half)
{
    const hf_tensor tensor = {.dtype = dtype, .count = 1, .data = (const uint8_t *)&half};
    float value;
    hf_tensor_to_f32(&tensor, 0, 1, &value);
    return value;
}

// Every half comes back from the float it means; what lies between two goes to the nearer, and from the
// middle to the even one.
static void check_rounding(hf_dtype dtype, uint16_t infinity)
{
    long wrong = 0;
    for (uint32_t half = 0; half < infinity; half++) {
        const float low = widened(dtype, (uint16_t)half);
        // Above the greatest finite one lies what would be the next if the exponents went on.
        const double high = half + 1 == infinity
                                ? low + ((double)low - widened(dtype, (uint16_t)(half - 1)))
                                : widened(dtype, (uint16_t)(half + 1));
        const double exact = (low + high) / 2;
        const float middle = (float)exact;
        for (int sign = 0; sign < 2; sign++) {
            const float s = sign ? -1 : 1;
            const uint16_t bit = sign ? 0x8000 : 0;
            wrong += rounded(dtype, s * low) != (half | bit);
            wrong += rounded(dtype, s * middle) != ((half + half % 2) | bit);
            wrong += rounded(dtype, s * nextafterf(middle, 0)) != (half | bit);
            wrong += rounded(dtype, s * nextafterf(middle, INFINITY)) != ((half + 1) | bit);
        }
        wrong += (double)middle != exact; // fp32 holds it
    }
    CHECK_INT(wrong, 0);
    for (uint32_t half = infinity + 1u; half < 0x8000; half++)
        wrong += !isnan(widened(dtype, rounded(dtype, widened(dtype, (uint16_t)half))));
    CHECK_INT(wrong, 0);
    CHECK_INT(rounded(dtype, INFINITY), infinity);
    CHECK_INT(rounded(dtype, -INFINITY), infinity | 0x8000);
    CHECK_INT(rounded(dtype, FLT_TRUE_MIN), 0);
    CHECK_INT(rounded(dtype, -FLT_TRUE_MIN), 0x8000);
}

TEST(rounds_to_the_nearest_even_half)
{
    check_case = "F16";
    check_rounding(HF_F16, 0x7C00);
    check_case = "BF16";
    check_rounding(HF_BF16, 0x7F80);
    check_case = "";
}

TEST(counts_what_became_infinite)
{
    float values[] = {65519.9f, 65520, -1e30f, INFINITY, NAN, FLT_MAX, 1};
    uint16_t half[7];
    CHECK_INT(hf_tensor_from_f32(HF_F16, values, 7, half), 3);
    CHECK_INT(half[0], 0x7BFF);
    CHECK_INT(half[2], 0xFC00);
    CHECK_INT(hf_tensor_from_f32(HF_BF16, values, 7, half), 1); // FLT_MAX
    CHECK_INT(half[6], 0x3F80);
    float copied[7];
    CHECK_INT(hf_tensor_from_f32(HF_F32, values, 7, copied), 0);
    CHECK(memcmp(values, copied, sizeof(values)) == 0);
    hf_tensor_from_f32(HF_BF16, values, 7, values); // in place
    CHECK(memcmp(values, half, sizeof(half)) == 0);
}

TEST(converts_strided_tensors)
{
    const float file[] = {0, 1, 2, 3, 4, 5, 6, 7};
    float out[6];
    // [2,3] of a file that holds [4,2]: rows 1 to 3, transposed
    const hf_tensor tensor = {.dtype = HF_F32,
                              .rank = 2,
                              .shape = {2, 3},
                              .count = 6,
                              .data = (const uint8_t *)(file + 2),
                              .strided = true,
                              .stride = {1, 2}};
    const float expected[] = {2, 4, 6, 3, 5, 7};
    CHECK(hf_tensor_to_f32(&tensor, 0, 6, out) && memcmp(out, expected, sizeof(out)) == 0);
    CHECK(hf_tensor_to_f32(&tensor, 4, 2, out) && out[0] == 5 && out[1] == 7);
    hf_tensor other = tensor;
    other.dtype = HF_I32;
    CHECK(!hf_tensor_to_f32(&other, 0, 1, out));
}

// Element i of the file is i; halves and floats hold these numbers exactly.
TEST(converts_matrices_that_are_stored_by_columns)
{
    enum {
        ROWS = 37,
        COLS = 5,
        PITCH = 41,
        FIRST = 2
    }; // rows in no multiple of what is done at once
    static float file[COLS * PITCH], out[ROWS * COLS];
    static uint16_t halves[COLS * PITCH];
    hf_tensor tensor = {.dtype = HF_F32,
                        .rank = 2,
                        .shape = {ROWS, COLS},
                        .count = ROWS * COLS,
                        .data = (const uint8_t *)(file + FIRST),
                        .strided = true,
                        .stride = {1, PITCH}};
    for (int i = 0; i < COLS * PITCH; i++) {
        file[i] = (float)i;
        uint32_t bits;
        memcpy(&bits, &file[i], 4);
        halves[i] = (uint16_t)(bits >> 16); // BF16 of what has 8 bits or less
    }
    for (int rows = 1; rows <= ROWS; rows++)
        for (int from = 0; from + rows <= ROWS; from += 3) {
            memset(out, 0xFF, sizeof(out));
            CHECK(hf_tensor_to_f32(&tensor, (uint64_t)from * COLS, (uint64_t)rows * COLS, out));
            for (int i = 0; i < rows * COLS; i++)
                CHECK_INT(out[i], FIRST + from + i / COLS + i % COLS * PITCH);
            if (rows < ROWS)
                CHECK(isnan(out[rows * COLS])); // and not a float more
        }
    tensor.dtype = HF_BF16;
    tensor.data = (const uint8_t *)(halves + FIRST);
    CHECK(hf_tensor_to_f32(&tensor, 0, ROWS * COLS, out));
    for (int i = 0; i < ROWS * COLS; i++)
        CHECK_INT(out[i], FIRST + i / COLS + i % COLS * PITCH);
    tensor.dtype = HF_I64;
    CHECK(!hf_tensor_to_f32(&tensor, 0, ROWS * COLS, out));
    CHECK(!hf_tensor_to_f32(&tensor, 0, 0, out));
}

TEST(reads_unaligned_data)
{
    hf_safetensors file = {0};
    float out[2], expected[2];
    const char *header = "{" F32("a", "[2]", "[0,8]") "}";
    uint8_t bytes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    CHECK(strlen(header) % 4 != 0);
    CHECK_INT(hf_safetensors_open(ctx, craft(header, 8), &file), VKB_OK);
    memcpy(expected, bytes, 8);
    CHECK(hf_tensor_to_f32(&file.tensors[0], 0, 2, out));
    CHECK(memcmp(out, expected, 8) == 0);
    CHECK(hf_tensor_to_f32(&file.tensors[0], 1, 1, out) && out[0] == expected[1]);
    hf_safetensors_close(&file);
}

// ---- Writing ----

TEST(reads_back_what_it_wrote)
{
    const char *path = temp_path(folder, "out.safetensors");
    hf_tensor tensors[] = {
        {.name = "z", .rank = 2, .shape = {2, 3}},
        {.name = "a\"\xc3\xa4\n", .rank = 1, .shape = {4}},
        {.name = "step", .dtype = HF_I64, .rank = 0},
        {.name = "empty", .rank = 2, .shape = {0, 5}},
    };
    const hf_metadata metadata[] = {{"step", "17"}};
    hf_safetensors_writer *writer = NULL;
    float values[10];
    int64_t step = -5;
    for (int i = 0; i < 10; i++)
        values[i] = (float)i + 0.5f;
    CHECK_INT(hf_safetensors_create(ctx, path, tensors, 4, metadata, 1, &writer), VKB_OK);
    CHECK_STR(tensors[0].name, "step"); // widest first, then by name
    CHECK_STR(tensors[2].name, "empty");
    CHECK_INT(tensors[3].bytes, 24);
    CHECK_INT(hf_safetensors_write(writer, &step, 8), VKB_OK);
    CHECK_INT(hf_safetensors_write(writer, values, 7), VKB_OK); // cut anywhere
    CHECK_INT(hf_safetensors_write(writer, (char *)values + 7, 33), VKB_OK);
    CHECK(access(path, F_OK) != 0); // not there before it is whole
    CHECK_INT(hf_safetensors_commit(&writer), VKB_OK);
    CHECK(!writer);

    size_t bytes;
    char *text = temp_read(folder, "out.safetensors", &bytes);
    CHECK_INT((uint8_t)text[0] % 8, 0); // the header is padded
    CHECK_HAS(text + 8, "\"format\":\"pt\"");
    free(text);

    hf_safetensors file = {0};
    CHECK_INT(hf_safetensors_open(ctx, path, &file), VKB_OK);
    CHECK_INT(file.tensor_count, 4);
    CHECK_STR(hf_safetensors_metadata(&file, "step"), "17");
    CHECK_STR(hf_safetensors_metadata(&file, "format"), "pt");
    CHECK(!hf_safetensors_metadata(&file, "absent"));
    const hf_tensor *a = hf_safetensors_find(&file, "a\"\xc3\xa4\n");
    const hf_tensor *z = hf_safetensors_find(&file, "z");
    const hf_tensor *s = hf_safetensors_find(&file, "step");
    CHECK(a && z && s && !hf_safetensors_find(&file, "b"));
    CHECK(a && memcmp(a->data, values, 16) == 0);
    CHECK(z && z->rank == 2 && z->shape[1] == 3 && memcmp(z->data, values + 4, 24) == 0);
    CHECK(s && s->dtype == HF_I64 && memcmp(s->data, &step, 8) == 0);
    hf_safetensors_close(&file);
}

TEST(keeps_the_old_file_until_the_new_one_is_whole)
{
    const char *path = temp_path(folder, "kept.safetensors");
    hf_tensor tensor = {.name = "a", .rank = 1, .shape = {2}};
    hf_safetensors_writer *writer = NULL;
    float values[2] = {1, 2};
    temp_write_text(folder, "kept.safetensors", "old");
    CHECK_INT(hf_safetensors_create(ctx, path, &tensor, 1, NULL, 0, &writer), VKB_OK);
    CHECK_INT(hf_safetensors_write(writer, values, 4), VKB_OK);
    CHECK_INT(hf_safetensors_commit(&writer), VKB_FAILED);
    CHECK_HAS(vkb_error(ctx), "4 bytes of data written, 8 declared");
    CHECK_INT(hf_safetensors_create(ctx, path, &tensor, 1, NULL, 0, &writer), VKB_OK);
    hf_safetensors_abandon(&writer);
    hf_safetensors_abandon(&writer);
    char *text = temp_read(folder, "kept.safetensors", NULL);
    CHECK_STR(text, "old");
    free(text);

    CHECK_INT(hf_safetensors_create(ctx, temp_path(folder, "no/x"), &tensor, 1, NULL, 0, &writer),
              VKB_IO);
    tensor.shape[0] = UINT64_MAX / 2;
    CHECK_INT(hf_safetensors_create(ctx, path, &tensor, 1, NULL, 0, &writer), VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "overflows");
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    folder = temp_folder();
    RUN(refuses_a_broken_frame);
    RUN(refuses_a_header_that_is_not_json);
    RUN(refuses_a_header_that_would_outgrow_the_file);
    RUN(refuses_a_bad_entry);
    RUN(refuses_data_that_does_not_fit);
    RUN(accepts_what_the_format_allows);
    RUN(refuses_a_file_cut_anywhere);
    RUN(converts_to_float);
    RUN(rounds_to_the_nearest_even_half);
    RUN(counts_what_became_infinite);
    RUN(converts_strided_tensors);
    RUN(converts_matrices_that_are_stored_by_columns);
    RUN(reads_unaligned_data);
    RUN(reads_back_what_it_wrote);
    RUN(keeps_the_old_file_until_the_new_one_is_whole);
    temp_remove(folder);
    vkb_context_destroy(&ctx);
    return check_report();
}
