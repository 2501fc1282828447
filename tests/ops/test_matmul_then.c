// What follows a product, in its kernel or in one of its own: against the reference, and to the bit what the
// product followed by the separate operations gives.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ops/matmul.h"
#include "ref.h"

#include <string.h>

static vkb_device *device;
static struct step_in now = {.seed_low = 0x76543210, .seed_high = 0xFEDCBA98, .step = 77};

// Each output twice: [0] by the product, [1] by operations behind it.
typedef struct then {
    tensor *a, *b, *bias, *step;
    tensor *c[2], *gelu[2], *before, *bias_grad[2];
    tensor *residual, *gain, *beta, *y[2], *stat[2];
    op_matmul_params params;
    op_residual_norm norm;
    const matmul_variant *variant; // NULL: the one that is chosen
} then;

static gpu_view view_of(const tensor *x)
{
    return x ? x->view : (gpu_view){0};
}

static void views_set(then *t, int of)
{
    op_matmul_params *p = &t->params;
    p->a = t->a->view;
    p->b = t->b->view;
    p->c = t->c[of]->view;
    p->bias = p->then.kind == OP_THEN_GELU ? view_of(t->bias) : (gpu_view){0};
    p->then.gelu = view_of(t->gelu[of]);
    p->then.before = view_of(t->before);
    p->then.bias_grad = view_of(t->bias_grad[of]);
    t->norm.x = t->norm.sum = t->c[of]->view;
    t->norm.x_bias = view_of(t->bias);
    t->norm.residual = view_of(t->residual);
    t->norm.gain = view_of(t->gain);
    t->norm.bias = view_of(t->beta);
    t->norm.y = view_of(t->y[of]);
    t->norm.stat = view_of(t->stat[of]);
    t->norm.dropout.step = view_of(t->step);
}

static void run(gpu_stream *s, const then *t, const op_matmul_params *p)
{
    if (t->variant)
        matmul_run(s, p, t->variant);
    else
        op_matmul_(s, p);
}

static void record_one(gpu_stream *s, void *user)
{
    then *t = user;
    views_set(t, 0);
    run(s, t, &t->params);
}

static void record(gpu_stream *s, void *user)
{
    then *t = user;
    const op_then *follows = &t->params.then;
    record_one(s, t);
    views_set(t, 1);
    op_matmul_params p = t->params;
    p.then = (op_then){0};
    run(s, t, &p);
    switch (follows->kind) {
    case OP_THEN_NOTHING:
        break;
    case OP_THEN_GELU:
        op_gelu_fwd(s, p.c, p.m * p.n, follows->form, follows->gelu);
        break;
    case OP_THEN_GELU_BACK:
        if (t->gelu[1])
            op_gelu_fwd(s, follows->before, p.m * p.n, follows->form, follows->gelu);
        op_gelu_bwd(s, follows->before, p.c, p.m, p.n, follows->form, follows->accumulate, p.c,
                    follows->bias_grad);
        break;
    case OP_THEN_NORM:
        op_residual_norm_fwd(s, &t->norm);
        break;
    }
}

// Outputs of 16 bits are computed from such: roundings of the product's, the tensor's own and, of a
// normalised row's statistics, its input's.
static double limit_of(gpu_type type)
{
    return type == GPU_F32 ? LIMIT_FP32 : 4 * (type == GPU_F16 ? LIMIT_F16 : LIMIT_BF16);
}

static void outputs(trial *t, tensor *of[2], const char *name, size_t count, gpu_type type,
                    double limit)
{
    for (int i = 0; i < 2; i++) {
        of[i] = trial_output(t, name, count, limit);
        tensor_as(of[i], type);
    }
}

static void same_bits(trial *t, tensor *const of[2])
{
    if (of[0] && of[0]->seen && of[1]->seen &&
        memcmp(of[0]->seen, of[1]->seen, of[0]->count * gpu_type_bytes(of[0]->type)) != 0)
        trial_wrong(t, "%s differs from what operations one by one give", of[0]->name);
}

// The tensors beside a, b and bias, and what the reference makes of the product in c[0]->ref.
static void follow(trial *tr, then *t, gpu_type type)
{
    const op_matmul_params *p = &t->params;
    const size_t count = (size_t)p->m * p->n;
    double *product = t->c[0]->ref;
    if (p->then.kind == OP_THEN_GELU) {
        outputs(tr, t->gelu, "gelu", count, type, limit_of(type));
        ref_gelu_fwd(product, count, p->then.form, t->gelu[0]->ref);
    } else if (p->then.kind == OP_THEN_GELU_BACK) {
        t->before = trial_input(tr, "before", count, VALUES_NORMAL);
        tensor_as(t->before, type);
        for (int i = 0; i < 2; i++) {
            t->bias_grad[i] = trial_inout(tr, "bias_grad", p->n, VALUES_NORMAL, limit_of(type));
            memcpy(t->bias_grad[i]->start, t->bias_grad[0]->start, p->n * sizeof(float));
            memcpy(t->bias_grad[i]->ref, t->bias_grad[0]->ref, p->n * sizeof(double));
        }
        if (t->gelu[0])
            ref_gelu_fwd(t->before->ref, count, p->then.form, t->gelu[0]->ref);
        ref_gelu_bwd(t->before->ref, product, count, p->then.form, product);
        for (int i = 0; i < 2; i++)
            ref_sum_columns(product, p->m, p->n, NULL, 0, p->then.accumulate, t->bias_grad[i]->ref);
    } else {
        const ref_dropout dropout = {now, t->norm.dropout.site, t->norm.dropout.p};
        t->residual = trial_input(tr, "residual", count, VALUES_NORMAL);
        tensor_as(t->residual, type);
        t->gain = trial_input(tr, "gain", p->n, VALUES_NORMAL);
        t->beta = trial_input(tr, "bias", p->n, VALUES_NORMAL);
        t->step = trial_words(tr, "step", sizeof now / 4, &now);
        outputs(tr, t->y, "y", count, type, limit_of(type));
        outputs(tr, t->stat, "stat", 2 * (size_t)p->m, GPU_F32, limit_of(type));
        for (size_t i = 0; i < count; i++)
            product[i] =
                t->residual->ref[i] + ref_dropout_scale(&dropout, i) *
                                          (product[i] + (t->bias ? t->bias->ref[i % p->n] : 0));
        ref_layernorm_fwd(product, t->gain->ref, t->beta->ref, p->m, p->n, t->norm.eps,
                          t->y[0]->ref, t->stat[0]->ref);
        memcpy(t->stat[1]->ref, t->stat[0]->ref, 2 * p->m * sizeof(double));
        memcpy(t->y[1]->ref, t->y[0]->ref, count * sizeof(double));
    }
    if (t->gelu[0])
        memcpy(t->gelu[1]->ref, t->gelu[0]->ref, count * sizeof(double));
    memcpy(t->c[1]->ref, product, count * sizeof(double));
}

typedef struct product {
    op_layout layout;
    uint32_t m, n, k;
    gpu_type type;
    uint32_t panel; // b is packed; 0: it is not
} product;

// `way` varies what a kind leaves open: bias, form, dropout, whether GELU is made again. fused: the one
// kernel does all but the second pass over sums, or LayerNorm.
static void product_then(const matmul_variant *variant, product x, op_then_kind kind, uint32_t way,
                         bool fused)
{
    static const char *const kinds[] = {"nothing", "gelu", "gelu back", "norm"};
    trial *tr = trial_open(device, "matmul %d %ux%ux%u type %d, then %s %u, %s", x.layout, x.m, x.n,
                           x.k, x.type, kinds[kind], way,
                           variant ? matmul_variant_name(variant).text : "chosen");
    then t = {.variant = variant};
    t.params = (op_matmul_params){.layout = x.layout, .m = x.m, .n = x.n, .k = x.k};
    t.params.then.kind = kind;
    t.params.then.form = way % 2 ? VKB_GELU_TANH : VKB_GELU;
    t.params.then.accumulate = way % 2;
    t.params.then.norm = &t.norm;
    t.norm.rows = x.m;
    t.norm.cols = x.n;
    t.norm.eps = 1e-5f;
    t.norm.dropout.site = 5;
    t.norm.dropout.p = way % 2 ? 0.3f : 0;
    t.a = trial_input(tr, "a", (size_t)x.m * x.k, VALUES_NORMAL);
    t.b = trial_input(tr, "b", (size_t)x.n * x.k, VALUES_SMALL);
    tensor_as(t.a, x.type);
    tensor_as(t.b, x.type);
    if (x.panel) {
        t.params.b_panel = x.panel;
        tensor_start_packed(t.b, x.n, x.k, x.panel);
    }
    if (kind != OP_THEN_GELU_BACK && way < 2)
        t.bias = trial_input(tr, "bias", x.n, VALUES_NORMAL);
    outputs(tr, t.c, "c", (size_t)x.m * x.n, x.type, limit_of(x.type));
    if (kind == OP_THEN_GELU_BACK && way < 2)
        outputs(tr, t.gelu, "gelu", (size_t)x.m * x.n, x.type, limit_of(x.type));
    ref_matmul(&t.params, t.a->ref, t.b->ref, kind == OP_THEN_GELU && t.bias ? t.bias->ref : NULL,
               t.c[0]->ref);
    follow(tr, &t, x.type);
    const uint64_t before = gpu_count(device).recorded_runs;
    trial_run(tr, record, &t);
    const uint64_t runs = gpu_count(device).recorded_runs - before;
    const uint64_t behind = kind == OP_THEN_GELU_BACK ? 2 + (t.gelu[0] != NULL) : 1;
    const uint64_t saved = !fused                 ? 0
                           : kind == OP_THEN_NORM ? 0
                           : kind == OP_THEN_GELU ? 1
                                                  : behind - 1;
    if (variant && strcmp(variant->family, "lanes") != 0 && runs != 2 + 2 * behind - saved)
        trial_wrong(tr, "%u runs, expected %u", (unsigned)runs, (unsigned)(2 + 2 * behind - saved));
    same_bits(tr, t.c);
    same_bits(tr, t.gelu);
    same_bits(tr, t.y);
    same_bits(tr, t.stat);
    CHECK(trial_close(&tr));
}

// By every variant of a family, or of each family the first one.
static void by_variants(product x, op_then_kind kind, uint32_t way, bool every)
{
    matmul_variant list[MATMUL_VARIANTS];
    op_matmul_params p = {.layout = x.layout, .m = x.m, .n = x.n, .k = x.k};
    p.a.type = p.b.type = p.c.type = x.type;
    const size_t count = matmul_variants(device, &p, list, MATMUL_VARIANTS);
    const vkb_device_info *info = vkb_device_get_info(device);
    const matmul_product whole = matmul_product_of(&p);
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        const bool fuses =
            !op_info_is_software(info) && (strcmp(list[i].family, "tile") == 0 ||
                                           (strcmp(list[i].family, "coop") == 0 &&
                                            matmul_coop.fuses(info, &whole, list[i].numbers)));
        if (every || i == 0 || strcmp(list[i].family, list[i - 1].family) != 0)
            product_then(&list[i], x, kind, way, fuses);
    }
}

static const op_layout LAYOUT[] = {
    [OP_THEN_GELU] = OP_NT, [OP_THEN_GELU_BACK] = OP_NN, [OP_THEN_NORM] = OP_NT};

TEST(each_kind)
{
    static const struct {
        uint32_t m, n, k;
    } shapes[] = {{132, 68, 76}, {4, 132, 20}, {70, 8, 40}, {64, 64, 64}};
    for (gpu_type type = GPU_F32; type <= GPU_BF16; type++)
        for (op_then_kind kind = OP_THEN_GELU; kind <= OP_THEN_NORM; kind++)
            for (uint32_t i = 0; i < BASE_COUNT(shapes); i++)
                by_variants((product){LAYOUT[kind], shapes[i].m, shapes[i].n, shapes[i].k, type},
                            kind, i, false);
}

TEST(rows_of_no_fours)
{
    static const struct {
        uint32_t m, n, k;
    } shapes[] = {{130, 67, 75}, {1, 1, 1}, {3, 66, 5}, {65, 129, 7}};
    for (op_then_kind kind = OP_THEN_GELU; kind <= OP_THEN_NORM; kind++)
        for (uint32_t i = 0; i < BASE_COUNT(shapes); i++)
            by_variants((product){LAYOUT[kind], shapes[i].m, shapes[i].n, shapes[i].k, GPU_F32},
                        kind, i, false);
}

TEST(every_variant)
{
    by_variants((product){OP_NN, 140, 140, 40, GPU_F16}, OP_THEN_GELU_BACK, 1, true);
}

// Whatever computes the product: split sums, packed weights, parts of operands beyond one binding.
TEST(what_is_chosen)
{
    for (op_then_kind kind = OP_THEN_GELU; kind <= OP_THEN_NORM; kind++)
        product_then(NULL, (product){LAYOUT[kind], 20, 36, 2048, GPU_F32}, kind, 1, false);
    for (uint32_t way = 0; op_panel(device) && way < 2; way++) {
        const product packed = {OP_NT, 20, 36, 64, GPU_F32, op_panel(device)};
        product_then(NULL, packed, OP_THEN_GELU, way, false);
        product_then(NULL, packed, OP_THEN_NORM, way, false);
    }
    gpu_test_limit_binding(device, 96 << 10);
    for (op_then_kind kind = OP_THEN_GELU; kind <= OP_THEN_NORM; kind++)
        product_then(NULL, (product){LAYOUT[kind], 300, 36, 96, GPU_F32}, kind, 0, false);
    gpu_test_limit_binding(device, 0);
}

TEST(wrong_arguments_are_refused)
{
    trial *tr = trial_open(device, "matmul with what cannot follow");
    then t = {.params = {.layout = OP_NT, .m = 4, .n = 8, .k = 4}};
    t.a = trial_free_words(tr, "a", 16, NULL);
    t.b = trial_free_words(tr, "b", 32, NULL);
    t.c[0] = trial_free_words(tr, "c", 32, NULL);
    t.gelu[0] = trial_free_words(tr, "gelu", 32, NULL);
    t.before = trial_free_words(tr, "before", 32, NULL);
    t.bias_grad[0] = trial_free_words(tr, "bias_grad", 8, NULL);
    t.residual = trial_free_words(tr, "residual", 32, NULL);
    t.gain = trial_free_words(tr, "gain", 8, NULL);
    t.beta = trial_free_words(tr, "bias", 8, NULL);
    t.y[0] = trial_free_words(tr, "y", 32, NULL);
    t.stat[0] = trial_free_words(tr, "stat", 8, NULL);
    t.params.then.norm = &t.norm;
    t.params.then.kind = OP_THEN_GELU;
    trial_needs_all(tr, t.gelu[0], record_one, &t);
    t.params.accumulate = true;
    trial_refuses(tr, "nothing can follow", record_one, &t);
    t.params.accumulate = false;
    t.params.alpha = 0.5f;
    trial_refuses(tr, "nothing can follow", record_one, &t);
    t.params.alpha = 0;
    t.params.ldc = 9;
    t.params.m = 3;
    trial_refuses(tr, "nothing can follow", record_one, &t);
    t.params.ldc = 0;
    t.params.m = 4;
    if (trial_ready(tr))
        t.gelu[0]->view.type = GPU_F16;
    trial_refuses(tr, "different types", record_one, &t);
    t.gelu[0]->view.type = GPU_F32;
    t.params.then.kind = OP_THEN_GELU_BACK;
    trial_needs_all(tr, t.before, record_one, &t);
    trial_needs_all(tr, t.bias_grad[0], record_one, &t);
    t.params.then.kind = OP_THEN_NORM;
    trial_needs_all(tr, t.residual, record_one, &t);
    trial_needs_all(tr, t.gain, record_one, &t);
    trial_needs_all(tr, t.beta, record_one, &t);
    trial_needs_all(tr, t.y[0], record_one, &t);
    trial_needs_all(tr, t.stat[0], record_one, &t);
    t.norm.dropout.p = 2;
    trial_refuses(tr, "probability", record_one, &t);
    CHECK(trial_close(&tr));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(each_kind);
    RUN(rows_of_no_fours);
    RUN(every_variant);
    RUN(what_is_chosen);
    RUN(wrong_arguments_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
