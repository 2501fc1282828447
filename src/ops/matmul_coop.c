// Products by cooperative matrices (VK_KHR_cooperative_matrix): 16-bit operands of one type, fp32 sums.
// Shapes of fragments come from the device's list, tiles from a table of which what fits its limits is
// admitted.
#include "ops/matmul.h"

enum { TILE_M, TILE_N, TILE_K, SUB_M, SUB_N, FRAGMENT, LANES }; // a variant's numbers

typedef struct coop_tile {
    uint32_t m, n, k, sub_m, sub_n;
} coop_tile;

// 128 x 128 x 64 by four subgroups of 64 x 64 was the best of the prototypes on a large GPU; the
// smaller ones are for outputs that would leave such a device idle and for subgroups of few lanes, the two
// before the last for those of few registers.
static const coop_tile tiles[] = {
    {128, 128, 64, 64, 64}, {128, 128, 32, 64, 64}, {256, 128, 32, 64, 64}, {128, 64, 64, 64, 32},
    {64, 128, 64, 32, 64},  {64, 64, 64, 32, 32},   {64, 64, 32, 32, 32},   {128, 64, 32, 16, 16},
    {64, 64, 32, 8, 16},    {32, 32, 32, 16, 16},
};

enum {
    MOST_SUMS = 128, // an invocation holds: more spill on every device known
    // Sums, and what is fetched for the next step: some compilers spill from there on. Where subgroups
    // may be smaller than 32 (Intel's), registers are a subgroup's, which its lanes share.
    MANY_WORDS = 160,
    MANY_WORDS_OF_SMALLEST = 32,
    ENOUGH_GROUPS = 128,
    BAND = 4,
};

static int rank(const vkb_device_info *info, const matmul_product *x)
{
    const gpu_type type = x->a.view.type;
    if (x->b.view.type != type || !op_has_fragments(info, type))
        return 0;
    return op_info_is_software(info) ? 5 : 30; // there the units are loops
}

// Rows of shared memory have eight halves more.
static uint64_t shared_bytes(const coop_tile *t, const matmul_product *x,
                             const vkb_cooperative_matrix *f)
{
    const bool a_k_major = x->p.layout == OP_TN, b_k_major = x->p.layout != OP_NT;
    const uint64_t a = a_k_major ? t->k * (t->m + 8) : t->m * (t->k + 8);
    const uint64_t b = b_k_major ? t->k * (t->n + 8) : t->n * (t->k + 8);
    const uint64_t subgroups = (t->m / t->sub_m) * (t->n / t->sub_n);
    return 2 * (a + b) + 4 * subgroups * f->m * f->n;
}

static bool tile_fits(const vkb_device_info *info, const matmul_product *x, const coop_tile *t,
                      const vkb_cooperative_matrix *f, uint32_t lanes)
{
    const uint32_t size = (t->m / t->sub_m) * (t->n / t->sub_n) * lanes;
    return t->sub_m % f->m == 0 && t->sub_n % f->n == 0 && t->k % f->k == 0 &&
           t->sub_m * t->sub_n / lanes <= MOST_SUMS && size <= info->max_workgroup_invocations &&
           shared_bytes(t, x, f) <= info->max_shared_memory;
}

// What is multiplied, padding too, weighed by the shared memory's traffic, by idle units and by spills:
// with subgroups of half the size each invocation holds twice as much (RADV's figures in
// shaders/README.md); where there is one size only, its registers are enough.
static double cost(const vkb_device_info *info, const matmul_product *x, const coop_tile *t,
                   uint32_t lanes)
{
    const uint32_t size = (t->m / t->sub_m) * (t->n / t->sub_n) * lanes;
    const uint32_t words = t->sub_m * t->sub_n / lanes + (t->m + t->n) * t->k / 2 / size;
    const uint32_t least = info->min_subgroup_size;
    const uint32_t many = least < 32 ? MANY_WORDS_OF_SMALLEST * least / lanes : MANY_WORDS;
    const bool spills = least != info->max_subgroup_size && words > many;
    const double down = op_div_up(x->p.m, t->m), across = op_div_up(x->p.n, t->n);
    const double groups = down * across * x->batch;
    const double busy = groups < ENOUGH_GROUPS ? groups / ENOUGH_GROUPS : 1;
    return down * t->m * across * t->n * (1.0 / t->sub_m + 1.0 / t->sub_n) / busy *
           (t->k < 64 ? 1.1 : 1) * (spills ? 5 : 1);
}

// Offers the `most` best tiles for one shape of fragments and one size of subgroups, the cheapest first.
static void offer(const vkb_device_info *info, const matmul_product *x, uint32_t fragment,
                  uint32_t lanes, size_t most, matmul_list *list)
{
    bool offered[BASE_COUNT(tiles)] = {false};
    for (size_t n = 0; n < most; n++) {
        size_t best = BASE_COUNT(tiles);
        for (size_t i = 0; i < BASE_COUNT(tiles); i++)
            if (!offered[i] && tile_fits(info, x, &tiles[i], &info->matrix[fragment], lanes) &&
                (best == BASE_COUNT(tiles) ||
                 cost(info, x, &tiles[i], lanes) < cost(info, x, &tiles[best], lanes)))
                best = i;
        if (best == BASE_COUNT(tiles))
            return;
        offered[best] = true;
        const coop_tile *t = &tiles[best];
        matmul_offer(list, &matmul_coop, t->m, t->n, t->k, t->sub_m, t->sub_n, fragment, lanes);
    }
}

static void variants(const vkb_device_info *info, const matmul_product *x, matmul_list *list)
{
    const op_lanes lanes = op_fragment_lanes(info);
    size_t most = BASE_COUNT(tiles); // of what the driver lists first; then a few
    for (uint32_t i = 0; i < info->matrix_count && i < BASE_COUNT(info->matrix); i++)
        for (size_t j = 0; j < BASE_COUNT(lanes.sizes); j++)
            if (op_fragment_fits(&info->matrix[i], x->a.view.type) &&
                (j == 0 || lanes.sizes[j] != lanes.sizes[0])) {
                offer(info, x, i, lanes.sizes[j], most, list);
                most = 3;
            }
}

// ACROSS of matmul_coop.glsl, as large as it may be; 0: nothing fits.
static uint32_t across(const vkb_device_info *info, const matmul_product *x, const uint32_t *v)
{
    const vkb_cooperative_matrix *f = &info->matrix[v[FRAGMENT]];
    const uint32_t subgroups = v[TILE_M] / v[SUB_M] * (v[TILE_N] / v[SUB_N]);
    const uint32_t place = x->p.layout == OP_TN ? v[TILE_K] * (v[TILE_M] / 8 + 1)
                                                : v[TILE_M] * (v[TILE_K] / 8 + 1); // tile_a
    uint32_t count = v[SUB_N] / f->n;
    while (count > 0 && (v[SUB_N] / f->n % count != 0 || v[LANES] % (count * f->n / 4) != 0 ||
                         subgroups * f->m * (count * f->n / 4 + 1) > place))
        count--;
    return count;
}

static bool fuses(const vkb_device_info *info, const matmul_product *x, const uint32_t *v)
{
    return across(info, x, v) > 0;
}

static void run(gpu_stream *s, const matmul_product *x, const uint32_t *v)
{
    const op_matmul_params *p = &x->p;
    const vkb_device_info *info = vkb_device_get_info(gpu_stream_device(s));
    const vkb_cooperative_matrix *f = &info->matrix[v[FRAGMENT]];
    const bool wide = matmul_aligned(&x->a, 8) && matmul_aligned(&x->b, 8);
    const matmul_fused fused = matmul_fuse(s, x, v[SUB_M]);
    struct matmul_params push = matmul_push(x);
    gpu_run_params run = {
        .bind = {x->a.view, x->b.view, fused.bias, x->c.view, fused.step, fused.beside,
                 fused.second, fused.partial},
        .push = &push,
        .spec = {v[TILE_M] / v[SUB_M] * (v[TILE_N] / v[SUB_N]) * v[LANES], p->layout == OP_TN,
                 p->layout != OP_NT, matmul_format(&x->c), v[TILE_M], v[TILE_N], v[TILE_K],
                 v[SUB_M], v[SUB_N], f->m, f->n, f->k, v[LANES], wide, BAND, fused.constant,
                 fused.constant ? across(info, x, v) : 1},
        .spec_count = 17,
        .subgroup = v[LANES],
        .groups = {op_div_up(p->n, v[TILE_N]), op_div_up(p->m, v[TILE_M]), x->batch},
        .flops = matmul_flops(x),
        .bytes = matmul_bytes(x) + matmul_fused_bytes(x, &fused),
    };
    gpu_run_(s, x->a.view.type == GPU_F16 ? GPU_matmul_coop : GPU_matmul_coop_bf16, &run);
    matmul_fused_end(s, x, &fused);
}

const matmul_family matmul_coop = {"coop", rank, variants, run, fuses};
