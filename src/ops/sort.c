// Keys sorted on the device, stably, by digits from the lowest on: shaders/sort.glsl.
#include "ops/internal.h"

enum {
    SORT_SCRATCH = 0,
    // Of a digit at most. Vocabularies of up to 2^18 words then take two passes, 512 positions one.
    DIGIT_BITS = 9,
    BLOCK = 256,
};

static uint32_t bits_below(uint32_t bound)
{
    uint32_t bits = 1;
    while (bits < 32 && (bound - 1) >> bits)
        bits++;
    return bits;
}

static void sort_pass(gpu_stream *s, const struct sort_params *p, gpu_view from, gpu_view counts,
                      gpu_view to)
{
    const uint32_t blocks = op_div_up(p->count, p->block), alone = op_is_software(s);
    const uint32_t size =
        alone ? vkb_device_get_info(gpu_stream_device(s))->subgroup_size : p->block;
    const gpu_groups groups = gpu_items(alone ? op_div_up(blocks, size) : blocks);
    const op_group all = op_group_for(s, 1u << p->bits);
    gpu_run(s, sort_count, .bind = {from, counts}, .push = p, .spec = {size, alone},
            .spec_count = 2, .groups = groups);
    gpu_run(s, sort_scan, .bind = {counts}, .push = p, .spec = {all.size, all.one_subgroup},
            .spec_count = 2, .groups = gpu_items(1));
    gpu_run(s, sort_move, .bind = {from, counts, to}, .push = p, .spec = {size, alone},
            .spec_count = 2, .groups = groups);
}

void op_sort_keys(gpu_stream *s, gpu_view keys, uint32_t count, uint32_t bound, gpu_view sorted)
{
    static const char op[] = "sort_keys";
    if (!op_has(s, op, "keys", keys, count) || !op_has(s, op, "sorted", sorted, 2ull * count) ||
        count == 0)
        return;
    const uint32_t bits = bits_below(bound), passes = op_div_up(bits, DIGIT_BITS);
    struct sort_params p = {.count = count, .bits = op_div_up(bits, passes)};
    p.block = op_is_software(s) ? BLOCK : op_group_for(s, BLOCK).size;

    // In scratch: the counts, and what every second pass leaves.
    const uint64_t align = gpu_alignment(gpu_stream_device(s)) / 4;
    const uint64_t counts = (uint64_t)op_div_up(count, p.block) << p.bits;
    const uint64_t other = (counts + align - 1) / align * align;
    const gpu_view scratch =
        gpu_scratch(s, SORT_SCRATCH, 4 * (other + (passes > 1 ? 2ull * count : 0)));
    gpu_view from = keys, to;
    for (uint32_t pass = 0; pass < passes; pass++, from = to) {
        to = (passes - pass) % 2 ? sorted : op_part(scratch, other, 2ull * count);
        sort_pass(s, &p, from, op_part(scratch, 0, counts), to);
        p.shift += p.bits;
        p.with_places = 1;
    }
}
