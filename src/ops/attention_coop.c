// Attention's fused kernels by cooperative matrices, of 16-bit activations: the first of the device's
// fragments, and the most columns a tile, that its limits have room for (shaders/attention_coop.glsl).
#include "ops/attention.h"

// Where subgroups may be smaller than 32 (Intel's), registers are a subgroup's, which its lanes share, and
// an invocation of the smallest that holds more spills (shaders/README.md).
enum { MOST_WORDS = 64 };

typedef struct coop {
    attention_pass pass;
    uint32_t width, cols, lanes;
    const vkb_cooperative_matrix *f;
} coop;

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

// The columns of the rows that the tiles have room for at a time.
static uint32_t chunk_of(const coop *c)
{
    return c->cols < 32 ? c->width / 2 : c->width;
}

// 16 bytes each, of one subgroup; every row has one more.
static uint32_t strip_fours(const coop *c)
{
    return c->pass == ATTENTION_BWD_KV ? c->cols * (c->f->m / 4 + 1) : c->f->m * (c->cols / 4 + 1);
}

static uint32_t weight_eights(const coop *c)
{
    return c->pass == ATTENTION_BWD_KV ? c->cols * (c->f->m / 8 + 1) : c->f->m * (c->cols / 8 + 1);
}

static uint32_t shared_bytes(const coop *c)
{
    const uint32_t subgroups = ATTENTION_ROWS / c->f->m;
    const uint32_t tiles =
        most(2 * c->cols * (c->width / 8 + 1), ATTENTION_ROWS * (chunk_of(c) / 8 + 1));
    const uint32_t strips = c->pass == ATTENTION_FWD ? 1 : 2;
    const uint32_t weights = c->pass == ATTENTION_BWD_KV ? 2 : 1;
    // Segments, and numbers of a row or column: a vec3 counts as four.
    const uint32_t others = 4 * ATTENTION_ROWS + 20 * c->cols + 64;
    return 16 * (tiles + subgroups * (strips * strip_fours(c) + weights * weight_eights(c))) +
           others;
}

// Words that an invocation holds all the time: sums, and fragments of its rows.
static uint32_t held_words(const coop *c)
{
    static const uint32_t halves[] = {
        [ATTENTION_FWD] = 3, [ATTENTION_BWD_Q] = 4, [ATTENTION_BWD_KV] = 6};
    return c->width * c->f->m / c->lanes * halves[c->pass] / 2;
}

static bool fits(const vkb_device_info *info, const coop *c)
{
    const vkb_cooperative_matrix *f = c->f;
    const bool scarce =
        info->min_subgroup_size < 32 && info->min_subgroup_size != info->max_subgroup_size;
    return (!scarce || held_words(c) * c->lanes <= MOST_WORDS * info->min_subgroup_size) &&
           ATTENTION_ROWS % f->m == 0 && c->lanes % f->m == 0 && c->cols % f->n == 0 &&
           c->cols % f->k == 0 && c->width % f->n == 0 && chunk_of(c) % f->k == 0 &&
           c->lanes <= strip_fours(c) &&
           ATTENTION_ROWS / f->m * c->lanes <= info->max_workgroup_invocations &&
           shared_bytes(c) <= info->max_shared_memory;
}

static bool find(const vkb_device_info *info, gpu_type type, coop *c)
{
    const op_lanes lanes = op_fragment_lanes(info);
    for (uint32_t i = 0; i < info->matrix_count && i < BASE_COUNT(info->matrix); i++)
        for (size_t j = 0; j < BASE_COUNT(lanes.sizes); j++)
            for (c->cols = 32; c->cols >= 16; c->cols /= 2) {
                c->f = &info->matrix[i];
                c->lanes = lanes.sizes[j];
                if (op_fragment_fits(c->f, type) && fits(info, c))
                    return true;
            }
    return false;
}

bool attention_coop_kernel(const vkb_device_info *info, const op_attention *a, attention_pass pass,
                           attention_kernel *out)
{
    static const gpu_kernel kernels[][2] = {
        [ATTENTION_FWD] = {GPU_attention_coop_fwd, GPU_attention_coop_fwd_bf16},
        [ATTENTION_BWD_Q] = {GPU_attention_coop_bwd_q, GPU_attention_coop_bwd_q_bf16},
        [ATTENTION_BWD_KV] = {GPU_attention_coop_bwd_kv, GPU_attention_coop_bwd_kv_bf16},
    };
    const uint32_t head_size = a->hidden / a->heads;
    const bool wide = head_size % 8 == 0 && attention_stride(a) % 8 == 0;
    coop c = {.pass = pass, .width = op_div_up(head_size, 32) * 32};
    if (!op_has_fragments(info, a->q.type) || !find(info, a->q.type, &c))
        return false;
    *out = (attention_kernel){
        .kernel = kernels[pass][a->q.type == GPU_BF16],
        .spec = {ATTENTION_ROWS / c.f->m * c.lanes, c.width, c.cols, a->dropout.p > 0, c.f->m,
                 c.f->n, c.f->k, c.lanes, wide},
        .spec_count = 9,
        .subgroup = c.lanes,
    };
    return true;
}

bool attention_has_coop(const vkb_device_info *info, const op_attention *a)
{
    attention_kernel kernel;
    bool any = false;
    for (attention_pass pass = ATTENTION_FWD; pass <= ATTENTION_BWD_KV; pass++)
        any = any || attention_coop_kernel(info, a, pass, &kernel);
    return any;
}
