// What the ways of attention share.
//
//   attention.c        checks; which way it goes
//   attention_plain.c  products with a softmax between them
//   attention_fused.c  fused kernels: what is recorded, by which of the two families
//   attention_coop.c   the family by cooperative matrices: whether a device admits it, and how
#ifndef VKB_OPS_ATTENTION_H
#define VKB_OPS_ATTENTION_H

#include "ops/internal.h"

enum {
    ATTENTION_SCRATCH = 2, // slot: the products between have 0 and 1
    ATTENTION_WIDEST = 128,
    ATTENTION_ROWS = 64, // of a workgroup of the fused kernels: shaders/attention_rows.glsl
};

uint64_t attention_probs(const op_attention *a); // elements of them
float attention_scale(const op_attention *a);    // of the scores
// Elements between rows of q, k, v and their gradients.
uint32_t attention_stride(const op_attention *a);

void attention_plain_fwd(gpu_stream *s, const op_attention *a);
void attention_plain_bwd(gpu_stream *s, const op_attention *a);
// family: "tile", or "coop" for the passes that the device admits; NULL: what is in use, else the
// best guess.
void attention_fused_fwd(gpu_stream *s, const op_attention *a, const char *family);
void attention_fused_bwd(gpu_stream *s, const op_attention *a, const char *family);

// ---- Kernels of the fused way ----

typedef enum attention_pass { ATTENTION_FWD, ATTENTION_BWD_Q, ATTENTION_BWD_KV } attention_pass;

typedef struct attention_kernel {
    gpu_kernel kernel;
    uint32_t spec[GPU_MAX_SPEC], spec_count, subgroup;
} attention_kernel;

// False: the device does not admit this pass by cooperative matrices, by its features and limits.
bool attention_coop_kernel(const vkb_device_info *info, const op_attention *a, attention_pass pass,
                           attention_kernel *out);
bool attention_has_coop(const vkb_device_info *info, const op_attention *a); // any of the passes

// Of notes (gpu_note): what the choice of a family is kept under, and a fault of cooperative
// matrices.
typedef struct attention_name {
    char text[80];
} attention_name;
attention_name attention_name_of(const op_attention *a);
const char *attention_coop_name(gpu_type type);

#endif
