// Attention by fused kernels. Two families, whose results are the same but for rounding, so that each pass
// goes by its own choice:
//
//   tile  multiply-adds in fp32, of any type and on any device: the plain twin
//   coop  cooperative matrices, of 16-bit activations (attention_coop.c)
#include "ops/attention.h"

#include <stdio.h>
#include <string.h>

enum { TILE_SIZE = 128 }; // shaders/attention_tile.glsl
enum { OTHERS = 5 };      // bindings behind those that all have

static const char *forced_family;

void op_force_attention(const char *family)
{
    forced_family = family;
}

static uint32_t tile_width(uint32_t head_size)
{
    uint32_t width = 32;
    while (width < head_size)
        width *= 2;
    return width;
}

static attention_kernel tile_kernel(const vkb_device_info *info, const op_attention *a,
                                    attention_pass pass)
{
    static const gpu_kernel kernels[] = {[ATTENTION_FWD] = GPU_attention_fwd,
                                         [ATTENTION_BWD_Q] = GPU_attention_bwd_q,
                                         [ATTENTION_BWD_KV] = GPU_attention_bwd_kv};
    const uint32_t head_size = a->hidden / a->heads;
    const bool fours = head_size % 4 == 0 && attention_stride(a) % 4 == 0;
    // Steps of a product unrolled: software drivers, where these kernels are only tested, would compile
    // them for seconds.
    const uint32_t unroll = info->type == VKB_SOFTWARE ? 1 : 8;
    return (attention_kernel){
        .kernel = kernels[pass],
        .spec = {TILE_SIZE, tile_width(head_size), op_format(a->q.type, fours ? 4 : 1),
                 a->dropout.p > 0, unroll},
        .spec_count = 5,
    };
}

attention_name attention_name_of(const op_attention *a)
{
    attention_name name;
    snprintf(name.text, sizeof(name.text), "attention %ux%u %ux%u %s%s", a->rows, a->length,
             a->heads, a->hidden / a->heads, a->q.type == GPU_F16 ? "f16" : "bf16",
             a->dropout.p > 0 ? " drop" : "");
    return name;
}

const char *attention_coop_name(gpu_type type)
{
    return type == GPU_F16 ? "attention coop f16" : "attention coop bf16";
}

// May it be by cooperative matrices, by what is asked for and what is known of them?
static bool wants_coop(const vkb_device *dev, const op_attention *a, const char *family)
{
    if (!family)
        family = forced_family;
    if (family)
        return strcmp(family, "coop") == 0;
    const char *in_use = gpu_note(dev, GPU_NOTE_IN_USE, attention_name_of(a).text);
    return !gpu_note(dev, GPU_NOTE_FAULT, attention_coop_name(a->q.type)) &&
           (!in_use || strcmp(in_use, "coop") == 0);
}

static attention_kernel choose(const vkb_device *dev, const op_attention *a, attention_pass pass,
                               const char *family)
{
    const vkb_device_info *info = vkb_device_get_info(dev);
    attention_kernel kernel;
    if (a->q.type != GPU_F32 && wants_coop(dev, a, family) &&
        attention_coop_kernel(info, a, pass, &kernel))
        return kernel;
    return tile_kernel(info, a, pass);
}

// products: how many the pass has of [length][length][head size]; tensors: of [rows * length][H], touched;
// others: its views behind those that all have, empty ones last.
static void run_pass(gpu_stream *s, const op_attention *a, attention_pass pass, const char *family,
                     double products, double tensors, const gpu_view others[OTHERS])
{
    const attention_kernel kernel = choose(gpu_stream_device(s), a, pass, family);
    const struct attention_params push = {.rows = a->rows,
                                          .row_length = a->length,
                                          .heads = a->heads,
                                          .hidden = a->hidden,
                                          .ld = attention_stride(a),
                                          .site = a->dropout.site,
                                          .keep = 1 - a->dropout.p,
                                          .scale = attention_scale(a)};
    gpu_run_params run = {
        .bind = {a->dropout.p > 0 ? a->dropout.step : a->segments, a->segments, a->q, a->k, a->v},
        .push = &push,
        .spec_count = kernel.spec_count,
        .subgroup = kernel.subgroup,
        .groups = gpu_items((uint64_t)a->rows * a->heads * op_div_up(a->length, ATTENTION_ROWS)),
        .flops = 2 * products * (double)attention_probs(a) * a->hidden / a->heads,
        .bytes = gpu_type_bytes(a->q.type) * tensors * a->rows * a->length * a->hidden,
    };
    memcpy(run.spec, kernel.spec, sizeof(run.spec));
    for (size_t i = 0; i < OTHERS; i++)
        run.bind[5 + i] = others[i];
    gpu_run_(s, kernel.kernel, &run);
}

void attention_fused_fwd(gpu_stream *s, const op_attention *a, const char *family)
{
    run_pass(s, a, ATTENTION_FWD, family, 2, 4, (const gpu_view[OTHERS]){a->context, a->stats});
}

void attention_fused_bwd(gpu_stream *s, const op_attention *a, const char *family)
{
    gpu_view delta = gpu_scratch(s, ATTENTION_SCRATCH, 4ull * a->rows * a->length * a->heads);
    run_pass(s, a, ATTENTION_BWD_Q, family, 3, 6,
             (const gpu_view[OTHERS]){a->context, a->stats, a->dcontext, delta, a->dq});
    run_pass(s, a, ATTENTION_BWD_KV, family, 4, 6,
             (const gpu_view[OTHERS]){a->stats, a->dcontext, delta, a->dk, a->dv});
}
