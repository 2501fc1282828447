// Matrix products: their checks, the families of kernels that compute them, and which one a product
// gets. shaders/README.md has the families' numbers.
#include "ops/matmul.h"
#include "ops/tune.h"

#include <string.h>

static const matmul_family *const families[] = {&matmul_coop, &matmul_nv, &matmul_tile,
                                                &matmul_lanes};

// ---- Products ----

// a or b as it is stored: [k][rows] if k-major, else [rows][k].
static matmul_operand operand_of(const char *name, gpu_view view, bool k_major, uint32_t rows,
                                 uint32_t k, uint32_t ld)
{
    const uint32_t cols = k_major ? rows : k;
    return (matmul_operand){name, view, k_major ? k : rows, cols, ld ? ld : cols};
}

matmul_product matmul_product_of(const op_matmul_params *params)
{
    matmul_product x = {.p = *params};
    op_matmul_params *p = &x.p;
    if (p->batch.outer == 0)
        p->batch.outer = 1;
    if (p->batch.inner == 0)
        p->batch.inner = 1;
    if (p->alpha == 0)
        p->alpha = 1;
    if (p->ldc == 0)
        p->ldc = p->n;
    x.batch = p->batch.outer * p->batch.inner;
    x.a = operand_of("a", p->a, p->layout == OP_TN, p->m, p->k, p->lda);
    x.a.outer = p->batch.a_outer;
    x.a.inner = p->batch.a_inner;
    x.b = operand_of("b", p->b, p->layout != OP_NT, p->n, p->k, p->ldb);
    x.b.outer = p->batch.b_outer;
    x.b.inner = p->batch.b_inner;
    x.c = (matmul_operand){"c", p->c, p->m, p->n, p->ldc, p->batch.c_outer, p->batch.c_inner};
    return x;
}

static bool operand_fits(gpu_stream *s, const matmul_product *x, const matmul_operand *o)
{
    if (!op_must(s, o->ld >= o->cols, "op_matmul", "rows overlap, lda, ldb or ldc is too small"))
        return false;
    if (o->rows == 0 || o->cols == 0)
        return true;
    if (!op_must(s, o->view.type == GPU_F32 || matmul_aligned(o, 4), "op_matmul",
                 "rows of 16 bits, or a batch's strides, are no multiples of 4"))
        return false;
    uint64_t last = (uint64_t)(x->p.batch.outer - 1) * o->outer +
                    (uint64_t)(x->p.batch.inner - 1) * o->inner + (uint64_t)(o->rows - 1) * o->ld +
                    o->cols;
    return op_must(s, last <= UINT32_MAX, "op_matmul", "an operand has more than 2^32 elements") &&
           op_has_act(s, "op_matmul", o->name, o->view, 1, last);
}

// False: the stream has failed.
static bool check(gpu_stream *s, const matmul_product *x)
{
    const op_matmul_params *p = &x->p;
    return op_must(s,
                   (uint64_t)p->batch.outer * p->batch.inner <= 65535 && p->m <= 65535 * 16 &&
                       p->n <= 65535 * 16,
                   "op_matmul",
                   "more than 65,535 workgroups on an axis: batch, m or n is too large") &&
           operand_fits(s, x, &x->a) && operand_fits(s, x, &x->b) && operand_fits(s, x, &x->c) &&
           (!p->bias.buffer || op_has(s, "op_matmul", "bias", p->bias, p->n)) &&
           (!p->used.buffer || op_has(s, "op_matmul", "used", p->used, 1)) &&
           matmul_then_fits(s, x);
}

// ---- What kernels are given ----

struct matmul_params matmul_push(const matmul_product *x)
{
    const op_matmul_params *p = &x->p;
    const op_residual_norm *norm = p->then.kind == OP_THEN_NORM ? p->then.norm : NULL;
    return (struct matmul_params){.m = p->m,
                                  .n = p->n,
                                  .k = p->k,
                                  .lda = x->a.ld,
                                  .ldb = x->b.ld,
                                  .ldc = x->c.ld,
                                  .inner = p->batch.inner,
                                  .a_outer = x->a.outer,
                                  .a_inner = x->a.inner,
                                  .b_outer = x->b.outer,
                                  .b_inner = x->b.inner,
                                  .c_outer = x->c.outer,
                                  .c_inner = x->c.inner,
                                  .alpha = p->alpha,
                                  .accumulate = p->accumulate,
                                  .has_bias = p->bias.buffer || (norm && norm->x_bias.buffer),
                                  .site = norm ? norm->dropout.site : 0,
                                  .keep = norm ? 1 - norm->dropout.p : 1};
}

double matmul_flops(const matmul_product *x)
{
    return 2.0 * x->p.m * x->p.n * x->p.k * x->batch;
}

// What lies between the rows of a matrix is not touched.
static double operand_bytes(const matmul_operand *o, uint32_t batch)
{
    return (double)gpu_type_bytes(o->view.type) * o->rows * o->cols * batch;
}

double matmul_bytes(const matmul_product *x)
{
    return operand_bytes(&x->a, x->batch) + operand_bytes(&x->b, x->batch) +
           (double)x->p.bias.bytes + operand_bytes(&x->c, x->batch) * (x->p.accumulate ? 2 : 1);
}

bool matmul_aligned(const matmul_operand *o, uint32_t elements)
{
    return (o->cols | o->ld | o->outer | o->inner) % elements == 0;
}

uint32_t matmul_format(const matmul_operand *o)
{
    return op_format(o->view.type, matmul_aligned(o, 4) ? 4 : 1);
}

// ---- Variants ----

bool matmul_variant_equal(const matmul_variant *a, const matmul_variant *b)
{
    return strcmp(a->family, b->family) == 0 &&
           memcmp(a->numbers, b->numbers, sizeof(a->numbers)) == 0;
}

void matmul_offer_(matmul_list *list, const matmul_family *family, const uint32_t *numbers)
{
    if (list->count == list->most)
        return;
    matmul_variant *v = &list->at[list->count++];
    v->family = family->name;
    memcpy(v->numbers, numbers, sizeof(v->numbers));
}

// The best variants of a product whose sum is split, if it should be.
static void offer_parts(const vkb_device_info *info, const matmul_product *x,
                        const matmul_family *family, matmul_list *list)
{
    const uint32_t parts = matmul_parts(info, x);
    if (parts == 1)
        return;
    const matmul_product part = matmul_part(x, parts);
    const size_t from = list->count, most = list->most;
    list->most = from + 4 < most ? from + 4 : most;
    family->variants(info, &part, list);
    list->most = most;
    for (size_t i = from; i < list->count; i++)
        list->at[i].numbers[MATMUL_PARTS] = parts;
}

static const char *forced_family;

void op_force_matmul(const char *family)
{
    forced_family = family;
}

// What matmul_variants says of a product whose defaults are filled in.
static size_t variants_of(const vkb_device_info *info, const matmul_product *x, matmul_variant *out,
                          size_t most)
{
    struct {
        const matmul_family *family;
        int rank;
    } order[BASE_COUNT(families)];
    size_t admitted = 0;
    for (size_t f = 0; f < BASE_COUNT(families); f++) {
        int rank = x->p.b_panel ? 0 : families[f]->rank(info, x);
        if (rank && forced_family && strcmp(forced_family, families[f]->name) == 0)
            rank = INT32_MAX;
        size_t at = admitted;
        if (rank == 0)
            continue;
        for (admitted++; at > 0 && order[at - 1].rank < rank; at--)
            order[at] = order[at - 1];
        order[at].family = families[f];
        order[at].rank = rank;
    }
    matmul_list list = {out, 0, most};
    for (size_t i = 0; i < admitted; i++) {
        offer_parts(info, x, order[i].family, &list);
        order[i].family->variants(info, x, &list);
    }
    return list.count;
}

size_t matmul_variants(const vkb_device *dev, const op_matmul_params *params, matmul_variant *out,
                       size_t most)
{
    matmul_product x = matmul_product_of(params);
    return variants_of(vkb_device_get_info(dev), &x, out, most);
}

matmul_key matmul_key_of(const op_matmul_params *params)
{
    matmul_product x = matmul_product_of(params);
    const bool in_eights =
        matmul_aligned(&x.a, 8) && matmul_aligned(&x.b, 8) && matmul_aligned(&x.c, 8);
    return (matmul_key){.layout = x.p.layout,
                        .m = x.p.m,
                        .n = x.p.n,
                        .k = x.p.k,
                        .batch = x.batch,
                        .a = x.a.view.type,
                        .b = x.b.view.type,
                        .c = x.c.view.type,
                        .flags = (x.p.accumulate ? MATMUL_ACCUMULATES : 0) |
                                 (x.p.bias.buffer ? MATMUL_HAS_BIAS : 0) |
                                 (in_eights ? MATMUL_IN_EIGHTS : 0)};
}

static const matmul_family *family_of(const matmul_variant *v)
{
    size_t f = 0;
    while (strcmp(families[f]->name, v->family) != 0)
        f++;
    return families[f];
}

static void run_variant(gpu_stream *s, const matmul_product *x, const matmul_variant *v, bool apart)
{
    const matmul_family *family = family_of(v);
    const bool fused = !apart && matmul_is_fused(gpu_stream_device(s), x, family, v);
    matmul_product y = *x;
    if (!fused)
        y.p.then = (op_then){0};
    if (v->numbers[MATMUL_PARTS])
        matmul_run_parts(s, &y, family, v->numbers);
    else
        family->run(s, &y, v->numbers);
    if (!fused)
        matmul_then_apart(s, &x->p);
}

void matmul_run_like(gpu_stream *s, const op_matmul_params *params, const matmul_variant *variant,
                     bool apart)
{
    const matmul_product x = matmul_product_of(params);
    if (check(s, &x) && x.p.m > 0 && x.p.n > 0)
        run_variant(s, &x, variant, apart);
}

bool matmul_does_then(const vkb_device *dev, const op_matmul_params *params,
                      const matmul_variant *variant)
{
    const matmul_product x = matmul_product_of(params);
    return matmul_is_fused(dev, &x, family_of(variant), variant);
}

void matmul_run(gpu_stream *s, const op_matmul_params *params, const matmul_variant *variant)
{
    matmul_variant admitted[MATMUL_VARIANTS];
    matmul_product x = matmul_product_of(params);
    size_t count = variants_of(vkb_device_get_info(gpu_stream_device(s)), &x, admitted,
                               MATMUL_VARIANTS),
           i = 0;
    while (i < count && !matmul_variant_equal(&admitted[i], variant))
        i++;
    if (!op_must(s, i < count, "op_matmul", "the device does not admit this variant") ||
        !check(s, &x) || x.p.m == 0 || x.p.n == 0)
        return;
    run_variant(s, &x, variant, false);
}

void op_matmul_bound(gpu_stream *s, const op_matmul_params *params)
{
    matmul_product x = matmul_product_of(params);
    if (!check(s, &x) || x.p.m == 0 || x.p.n == 0)
        return;
    matmul_variant chosen;
    op_products *listener = gpu_listener(s);
    if (x.p.b_panel) {
        x.p.then = (op_then){0};
        matmul_run_packed(s, &x);
        matmul_then_apart(s, params);
    } else if (listener)
        op_products_add(listener, params);
    else if (op_must(s, matmul_choose(gpu_stream_device(s), params, &chosen), "op_matmul",
                     "no kernel for this product is known to work on this device"))
        run_variant(s, &x, &chosen, false);
}

// ---- For people ----

size_t vkb_device_products(const vkb_device_info *info, vkb_products *list, size_t most)
{
    static const char *const types[] = {
        [GPU_F16] = "fp16", [GPU_BF16] = "bf16", [GPU_F32] = "fp32"};
    size_t count = 0;
    for (gpu_type type = GPU_F32; type <= GPU_BF16; type++) {
        matmul_product x = matmul_product_of(&(op_matmul_params){.m = 64, .n = 64, .k = 64});
        x.a.view.type = x.b.view.type = x.c.view.type = type;
        matmul_variant found[MATMUL_VARIANTS];
        const size_t variants = variants_of(info, &x, found, MATMUL_VARIANTS);
        for (size_t v = 0; v < variants && count < most; v++)
            if (v == 0 || strcmp(found[v].family, found[v - 1].family) != 0)
                list[count++] = (vkb_products){types[type], found[v].family};
    }
    return count;
}
