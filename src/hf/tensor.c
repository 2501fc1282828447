#include "hf/tensor.h"

#include "base/half.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[] = {
#define X(name, bits) {#name, bits},
    HF_DTYPE_LIST(X)
#undef X
};

const char *hf_dtype_name(hf_dtype dtype)
{
    return dtypes[dtype].name;
}

uint32_t hf_dtype_bits(hf_dtype dtype)
{
    return dtypes[dtype].bits;
}

bool hf_dtype_find(const char *name, hf_dtype *dtype)
{
    for (int i = 0; i < HF_DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *dtype = (hf_dtype)i;
            return true;
        }
    return false;
}

static bool multiply(uint64_t a, uint64_t b, uint64_t *product)
{
    *product = a * b;
    return a == 0 || *product / a == b;
}

bool hf_tensor_measure(hf_tensor *tensor)
{
    uint64_t count = 1, bits;
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (!multiply(count, tensor->shape[i], &count))
            return false;
    if (!multiply(count, dtypes[tensor->dtype].bits, &bits) || bits % 8)
        return false;
    tensor->count = count;
    tensor->bytes = bits / 8;
    return true;
}

int hf_tensor_compare(const void *a, const void *b)
{
    return strcmp(((const hf_tensor *)a)->name, ((const hf_tensor *)b)->name);
}

const hf_tensor *hf_tensor_find(const hf_tensor *tensors, size_t count, const char *name)
{
    const hf_tensor key = {.name = name};
    return bsearch(&key, tensors, count, sizeof(key), hf_tensor_compare);
}

hf_shape_text hf_shape(uint32_t rank, const uint64_t *shape)
{
    hf_shape_text out = {"["};
    size_t used = 1;
    for (uint32_t i = 0; i < rank; i++)
        used += (size_t)snprintf(out.text + used, sizeof(out.text) - used, "%s%llu", i ? "," : "",
                                 (unsigned long long)shape[i]);
    snprintf(out.text + used, sizeof(out.text) - used, "]");
    return out;
}

// ---- Conversion; the files and every host we run on are little-endian ----

uint64_t hf_tensor_from_f32(hf_dtype dtype, const float *values, uint64_t count, void *out)
{
    assert(dtype == HF_F32 || dtype == HF_F16 || dtype == HF_BF16);
    uint8_t *to = out;
    uint64_t overflowed = 0;
    if (dtype == HF_F32) {
        if (out != values)
            memcpy(out, values, count * sizeof(*values));
        return 0;
    }
    for (uint64_t i = 0; i < count;
         i++) { // forward: a half never lies before the float it came from
        const float value = values[i];
        const uint16_t half = dtype == HF_F16 ? half_from_float(value) : bfloat_from_float(value);
        overflowed += isfinite(value) && (half & 0x7FFF) == (dtype == HF_F16 ? 0x7C00 : 0x7F80);
        memcpy(to + 2 * i, &half, sizeof(half));
    }
    return overflowed;
}

// `count` elements of a dtype, one behind the other at `at`, as floats; false: not a dtype of floats.
static bool run_to_f32(hf_dtype dtype, const uint8_t *at, uint64_t count, float *out)
{
    uint16_t half;
    double wide;
    switch (dtype) {
    case HF_F32:
        if (count)
            memcpy(out, at, count * sizeof(*out));
        return true;
    case HF_F16:
        for (uint64_t i = 0; i < count; i++) {
            memcpy(&half, at + 2 * i, 2);
            out[i] = half_to_float(half);
        }
        return true;
    case HF_BF16:
        for (uint64_t i = 0; i < count; i++) {
            memcpy(&half, at + 2 * i, 2);
            out[i] = bfloat_to_float(half);
        }
        return true;
    case HF_F64:
        for (uint64_t i = 0; i < count; i++) {
            memcpy(&wide, at + 8 * i, 8);
            out[i] = (float)wide;
        }
        return true;
    default:
        return false;
    }
}

// Where element number `index` lies, in elements from the first.
static uint64_t strided_place(const hf_tensor *tensor, uint64_t index)
{
    uint64_t place = 0;
    for (uint32_t i = tensor->rank; i-- > 0;) {
        place += index % tensor->shape[i] * tensor->stride[i];
        index /= tensor->shape[i];
    }
    return place;
}

// Rows of a matrix whose columns lie one behind the other in the file, as many rows at a time as a
// cache line has floats: 345 MB of bert-base's kernels take 0.11 s, element by element 0.37 s, rows 64
// at a time 0.23 s (their lines evict each other); one thread of a server CPU.
static bool transposed_to_f32(const hf_tensor *tensor, uint64_t first_row, uint64_t rows,
                              float *out)
{
    enum { TILE = 16 };
    const uint64_t element = dtypes[tensor->dtype].bits / 8, cols = tensor->shape[1];
    float column[TILE];
    bool known = run_to_f32(tensor->dtype, tensor->data, 0, column);
    for (uint64_t r = 0; r < rows && known; r += TILE)
        for (uint64_t c = 0; c < cols; c++) {
            const uint64_t height = rows - r < TILE ? rows - r : TILE;
            const uint64_t place = first_row + r + c * tensor->stride[1];
            run_to_f32(tensor->dtype, tensor->data + place * element, height, column);
            for (uint64_t i = 0; i < height; i++)
                out[(r + i) * cols + c] = column[i];
        }
    return known;
}

bool hf_tensor_to_f32(const hf_tensor *tensor, uint64_t first, uint64_t count, float *out)
{
    assert(first <= tensor->count && count <= tensor->count - first);
    const uint64_t element = dtypes[tensor->dtype].bits / 8;
    if (!tensor->strided)
        return run_to_f32(tensor->dtype, tensor->data + first * element, count, out);
    if (tensor->rank == 2 && tensor->stride[0] == 1 && tensor->shape[1] &&
        first % tensor->shape[1] == 0 && count % tensor->shape[1] == 0)
        return transposed_to_f32(tensor, first / tensor->shape[1], count / tensor->shape[1], out);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t place = strided_place(tensor, first + i);
        if (!run_to_f32(tensor->dtype, tensor->data + place * element, 1, out + i))
            return false;
    }
    return run_to_f32(tensor->dtype, tensor->data, 0, out);
}
