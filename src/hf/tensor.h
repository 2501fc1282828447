// A tensor as a file holds it: name, element type, shape, and bytes that may lie at any address.
#ifndef VKB_HF_TENSOR_H
#define VKB_HF_TENSOR_H

#include "base/file.h"

#define HF_MAX_RANK 8

// X(name in a file, bits of an element). vkbert computes with the first four; the others are known
// so that a file that holds them can be read and listed.
#define HF_DTYPE_LIST(X)                                                                           \
    X(F32, 32)                                                                                     \
    X(F16, 16)                                                                                     \
    X(BF16, 16)                                                                                    \
    X(F64, 64)                                                                                     \
    X(I64, 64)                                                                                     \
    X(U64, 64)                                                                                     \
    X(C64, 64)                                                                                     \
    X(I32, 32)                                                                                     \
    X(U32, 32)                                                                                     \
    X(I16, 16)                                                                                     \
    X(U16, 16)                                                                                     \
    X(I8, 8)                                                                                       \
    X(U8, 8)                                                                                       \
    X(BOOL, 8)                                                                                     \
    X(F8_E5M2, 8)                                                                                  \
    X(F8_E4M3, 8)                                                                                  \
    X(F8_E8M0, 8)                                                                                  \
    X(F8_E4M3FNUZ, 8)                                                                              \
    X(F8_E5M2FNUZ, 8)                                                                              \
    X(F6_E2M3, 6)                                                                                  \
    X(F6_E3M2, 6)                                                                                  \
    X(F4, 4)

typedef enum hf_dtype {
#define X(name, bits) HF_##name,
    HF_DTYPE_LIST(X)
#undef X
        HF_DTYPE_COUNT
} hf_dtype;

const char *hf_dtype_name(hf_dtype dtype);
uint32_t hf_dtype_bits(hf_dtype dtype);
bool hf_dtype_find(const char *name, hf_dtype *dtype);

typedef struct hf_tensor {
    const char *name;
    hf_dtype dtype;
    uint32_t rank; // 0: a scalar
    uint64_t shape[HF_MAX_RANK];
    uint64_t count;      // elements
    uint64_t bytes;      // of all elements
    const uint8_t *data; // of element [0,0,...], not aligned
    file_map map;        // the file that data lies in: file_map_release may follow its use
    // Elements do not lie one behind the other, last index fastest, but `stride` elements apart: a
    // transposed or cut tensor as a file may hold it. Of a dtype of whole bytes.
    bool strided;
    uint64_t stride[HF_MAX_RANK];
} hf_tensor;

// Fills count and bytes from dtype, rank and shape; false when they overflow, or are not whole
// bytes.
bool hf_tensor_measure(hf_tensor *tensor);

// Of tensors sorted by name; NULL: no such one.
const hf_tensor *hf_tensor_find(const hf_tensor *tensors, size_t count, const char *name);
int hf_tensor_compare(const void *a, const void *b); // by name, for qsort

// "[768,3072]", for sentences.
typedef struct hf_shape_text {
    char text[192];
} hf_shape_text;
hf_shape_text hf_shape(uint32_t rank, const uint64_t *shape);

// Elements first .. first+count-1, last index fastest, as floats, from F32, F16, BF16 or F64; false
// for another dtype. The range must lie inside the tensor.
bool hf_tensor_to_f32(const hf_tensor *tensor, uint64_t first, uint64_t count, float *out);

// count floats as elements of F32, F16 or BF16 at `out`, rounded to the nearest, ties to even, as
// torch rounds. Returns how many finite ones became infinite. out may be `values` itself.
uint64_t hf_tensor_from_f32(hf_dtype dtype, const float *values, uint64_t count, void *out);

#endif
