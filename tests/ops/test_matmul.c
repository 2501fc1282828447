// Products in three layouts, by every variant of every family of kernels that a device admits, against
// the reference.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ops/matmul.h"
#include "ref.h"

static vkb_device *device;

typedef struct matmul {
    tensor *a, *b, *bias, *c, *used; // bias, used: NULL where there is none
    op_matmul_params params;         // its views are filled in when recording
    const matmul_variant *variant;   // NULL: the one that is chosen
} matmul;

static void record(gpu_stream *s, void *user)
{
    matmul *m = user;
    m->params.a = m->a->view;
    m->params.b = m->b->view;
    m->params.c = m->c->view;
    m->params.bias = m->bias ? m->bias->view : (gpu_view){0};
    m->params.used = m->used ? m->used->view : (gpu_view){0};
    if (m->variant)
        matmul_run(s, &m->params, m->variant);
    else
        op_matmul_(s, &m->params);
}

static size_t extent(uint32_t rows, uint32_t cols, uint32_t ld)
{
    return rows ? (size_t)(rows - 1) * (ld ? ld : cols) + cols : 0;
}

// Elements from the first to the last of a batch's operand.
static size_t batch_extent(size_t one, const op_matmul_params *p, uint32_t outer, uint32_t inner)
{
    uint32_t outers = p->batch.outer ? p->batch.outer : 1;
    uint32_t inners = p->batch.inner ? p->batch.inner : 1;
    return one + (size_t)(outers - 1) * outer + (size_t)(inners - 1) * inner;
}

// What lies between rows is not the operand's: as NaN it spoils every sum that it gets into.
static void spoil_between_rows(tensor *x, uint32_t cols, uint32_t ld)
{
    for (size_t i = 0; ld && i < x->count; i++)
        if (i % ld >= cols)
            x->start[i] = NAN;
}

// The types of p's views are the operands'.
static void product_by(const matmul_variant *variant, op_matmul_params p, values kind,
                       bool with_bias)
{
    static const char *const layouts[] = {"nt", "nn", "tn"}, *const types[] = {"", " fp16",
                                                                               " bf16"};
    trial *t = trial_open(device, "matmul %s %ux%ux%u ld %u %u %u values %d%s%s %s%s%s",
                          layouts[p.layout], p.m, p.n, p.k, p.lda, p.ldb, p.ldc, kind,
                          with_bias ? " bias" : "", p.accumulate ? " accumulate" : "",
                          variant ? variant->family : "", types[p.a.type], types[p.c.type]);
    matmul m = {.params = p, .variant = variant};
    size_t a = p.layout == OP_TN ? extent(p.k, p.m, p.lda) : extent(p.m, p.k, p.lda);
    size_t b = p.layout == OP_NT ? extent(p.n, p.k, p.ldb) : extent(p.k, p.n, p.ldb);
    size_t c = extent(p.m, p.n, p.ldc);
    m.a = trial_input(t, "a", batch_extent(a, &p, p.batch.a_outer, p.batch.a_inner), kind);
    m.b = trial_input(t, "b", batch_extent(b, &p, p.batch.b_outer, p.batch.b_inner), VALUES_NORMAL);
    if (p.batch.inner <= 1) { // else there are the other heads
        spoil_between_rows(m.a, p.layout == OP_TN ? p.m : p.k, p.lda);
        spoil_between_rows(m.b, p.layout == OP_NT ? p.k : p.n, p.ldb);
    }
    tensor_as(m.a, p.a.type);
    tensor_as(m.b, p.b.type);
    if (with_bias)
        m.bias = trial_input(t, "bias", p.n, VALUES_NORMAL);
    // A start that is read when accumulating, and that stays between rows wider than n.
    size_t count = batch_extent(c, &p, p.batch.c_outer, p.batch.c_inner);
    m.c = trial_inout(t, "c", count, VALUES_NORMAL, LIMIT_FP32);
    tensor_as(m.c, p.c.type);
    ref_matmul(&p, m.a->ref, m.b->ref, with_bias ? m.bias->ref : NULL, m.c->ref);
    trial_run(t, record, &m);
    CHECK(trial_close(&t));
}

static void product(op_matmul_params p, values kind, bool with_bias)
{
    product_by(NULL, p, kind, with_bias);
}

// Rows of a from `used` on are zeros: of m, or with OP_TN of k.
static void product_of_used(op_matmul_params p, uint32_t used, bool with_bias)
{
    trial *t = trial_open(device, "matmul layout %d %ux%ux%u of %u used%s%s", p.layout, p.m, p.n,
                          p.k, used, with_bias ? " bias" : "", p.accumulate ? " accumulate" : "");
    matmul m = {.params = p};
    const size_t a = (size_t)p.m * p.k, cols = p.layout == OP_TN ? p.m : p.k;
    m.a = trial_input(t, "a", a, VALUES_NORMAL);
    m.b = trial_input(t, "b", (size_t)p.n * p.k, VALUES_NORMAL);
    m.bias = with_bias ? trial_input(t, "bias", p.n, VALUES_NORMAL) : NULL;
    m.used = trial_words(t, "used", 1, &used);
    m.c = trial_inout(t, "c", (size_t)p.m * p.n, VALUES_NORMAL, LIMIT_FP32);
    for (size_t i = (size_t)used * cols; i < a; i++)
        m.a->start[i] = 0, m.a->ref[i] = 0;
    ref_matmul(&p, m.a->ref, m.b->ref, with_bias ? m.bias->ref : NULL, m.c->ref);
    trial_run(t, record, &m);
    CHECK(trial_close(&t));
}

TEST(rows_that_are_not_used)
{
    static const uint32_t used[] = {0, 1, 16, 100, 129, 150};
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++)
        for (size_t i = 0; i < BASE_COUNT(used); i++) {
            op_matmul_params p = {.layout = layout, .m = 150, .n = 70, .k = 150};
            p.accumulate = i % 2;
            product_of_used(p, used[i], i % 3 == 0);
        }
    gpu_test_limit_binding(device, 96 << 10); // parts: of m, of k
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++) {
        product_of_used((op_matmul_params){.layout = layout, .m = 300, .n = 40, .k = 300}, 230,
                        true);
        product_of_used((op_matmul_params){.layout = layout, .m = 300, .n = 40, .k = 300}, 30,
                        true);
    }
    gpu_test_limit_binding(device, 0);
}

// ---- One product ----

static const struct {
    uint32_t m, n, k;
} SHAPES[] = {{1, 1, 1},      {1, 3, 1},     {3, 1, 17},   {17, 31, 1},  {1, 100, 64},
              {31, 33, 3},    {33, 17, 63},  {64, 64, 64}, {65, 63, 65}, {100, 1, 31},
              {127, 129, 33}, {96, 128, 48}, {1, 1, 127},  {63, 65, 100}};

static void all_shapes(op_layout layout)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        op_matmul_params p = {.layout = layout, .m = SHAPES[i].m, .n = SHAPES[i].n};
        p.k = SHAPES[i].k;
        product(p, i % 4 == 3 ? VALUES_FAR : VALUES_NORMAL, i % 2);
        p.accumulate = true;
        p.alpha = 0.3f;
        product(p, VALUES_NORMAL, i % 2 == 0);
    }
}

TEST(nt)
{
    all_shapes(OP_NT);
}

TEST(nn)
{
    all_shapes(OP_NN);
}

TEST(tn)
{
    all_shapes(OP_TN);
}

TEST(large_products)
{
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++) {
        product((op_matmul_params){.layout = layout, .m = 257, .n = 300, .k = 768}, VALUES_NORMAL,
                layout == OP_NT);
        product((op_matmul_params){.layout = layout, .m = 70, .n = 3001, .k = 40}, VALUES_SMALL,
                false);
        product((op_matmul_params){.layout = layout, .m = 40, .n = 33, .k = 5000}, VALUES_NORMAL,
                false); // long sums: blocks of k
    }
}

TEST(rows_apart)
{
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++) {
        op_matmul_params p = {.layout = layout, .m = 33, .n = 20, .k = 18};
        p.lda = 39;
        p.ldb = 41;
        p.ldc = 23;
        product(p, VALUES_NORMAL, true);
        p.lda = p.ldb = 48; // multiples of four, as of aligned loads
        p.ldc = 24;
        p.accumulate = true;
        product(p, VALUES_NORMAL, false);
    }
}

// ---- 16 bits ----

static const struct {
    gpu_type a, b, c;
} TYPES[] = {{GPU_F16, GPU_F16, GPU_F16},
             {GPU_F16, GPU_F16, GPU_F32},
             {GPU_BF16, GPU_BF16, GPU_BF16},
             {GPU_BF16, GPU_BF16, GPU_F32},
             {GPU_F32, GPU_F32, GPU_F32}};
enum { FLOATS = BASE_COUNT(TYPES) - 1 }; // those before it are of 16 bits

static op_matmul_params typed(op_matmul_params p, size_t i)
{
    p.a.type = TYPES[i].a;
    p.b.type = TYPES[i].b;
    p.c.type = TYPES[i].c;
    return p;
}

TEST(sixteen_bits)
{
    static const struct {
        uint32_t m, n, k;
    } shapes[] = {{4, 4, 4}, {4, 132, 20}, {68, 12, 64}, {100, 68, 36}, {64, 64, 64}, {8, 8, 264}};
    for (size_t i = 0; i < FLOATS * BASE_COUNT(shapes); i++)
        for (op_layout layout = OP_NT; layout <= OP_TN; layout++) {
            const size_t at = i / FLOATS;
            op_matmul_params p = {.layout = layout, .m = shapes[at].m, .n = shapes[at].n};
            p.k = shapes[at].k;
            product(typed(p, i % FLOATS), VALUES_NORMAL, at % 2 == 0);
        }
    op_matmul_params p = {.layout = OP_NN, .m = 36, .n = 20, .k = 16, .alpha = 0.3f};
    p.lda = 40;
    p.ldb = 44;
    p.ldc = 24;
    p.accumulate = true;
    for (size_t i = 0; i < FLOATS; i++)
        for (p.layout = OP_NT; p.layout <= OP_TN; p.layout++)
            product(typed(p, i), VALUES_NORMAL, i % 2);
    p.layout = OP_NT;
    p.a.type = GPU_F16; // of different types: no model has it, the plain kernels do
    p.c.type = GPU_BF16;
    product(p, VALUES_SMALL, true);
}

// ---- Variants ----

static void by_every_variant(op_matmul_params p, bool with_bias)
{
    matmul_variant list[MATMUL_VARIANTS];
    size_t count = matmul_variants(device, &p, list, MATMUL_VARIANTS);
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            CHECK(!matmul_variant_equal(&list[i], &list[j]));
        product_by(&list[i], p, VALUES_NORMAL, with_bias);
    }
}

TEST(every_variant)
{
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++) {
        op_matmul_params p = {.layout = layout, .m = 130, .n = 67, .k = 75};
        by_every_variant(p, true);
        p = (op_matmul_params){.layout = layout, .m = 64, .n = 136, .k = 96, .accumulate = true};
        p.batch.inner = 2;
        p.batch.a_inner = p.m * p.k;
        p.batch.b_inner = p.n * p.k;
        p.batch.c_inner = p.m * p.n;
        by_every_variant(p, false);
    }
    for (size_t i = 0; i < FLOATS; i++) {
        const op_layout layout = (op_layout)(i % 3);
        op_matmul_params p = {.layout = layout, .m = 132, .n = 68, .k = 76};
        by_every_variant(typed(p, i), true);
    }
}

static size_t split_variants(op_matmul_params p)
{
    matmul_variant list[MATMUL_VARIANTS];
    size_t count = matmul_variants(device, &p, list, MATMUL_VARIANTS), found = 0;
    for (size_t i = 0; i < count; i++)
        found += list[i].numbers[MATMUL_PARTS] > 1;
    return found;
}

TEST(long_sums_in_parts)
{
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++) {
        op_matmul_params p = {.layout = layout, .m = 20, .n = 36, .k = 2048, .alpha = 0.5f};
        if (!split_variants(p))
            SKIP("this device's products are not split");
        p.ldc = 40;
        p.accumulate = layout == OP_TN;
        by_every_variant(p, true);
        by_every_variant(typed(p, layout), layout == OP_NN);
        p.n = p.ldc = 35;
        by_every_variant(p, true); // one by one
        p.k = 2044;
        CHECK(split_variants(p) == 0); // parts would not begin at a multiple of eight
    }
}

TEST(a_family_is_forced)
{
    op_matmul_params p = {.layout = OP_TN, .m = 64, .n = 64, .k = 64};
    matmul_variant list[MATMUL_VARIANTS], first;
    size_t count = matmul_variants(device, &p, list, MATMUL_VARIANTS);
    for (size_t i = 0; i < count; i++) {
        op_force_matmul(list[i].family);
        CHECK_INT(matmul_variants(device, &p, &first, 1), 1);
        CHECK_STR(first.family, list[i].family);
    }
    op_force_matmul(NULL);
}

// ---- Exactness: a product with the identity moves elements, whose bits it must not touch ----

static void product_with_identity(op_matmul_params p)
{
    trial *t = trial_open(device, "matmul layout %d %ux%u ld %u of type %d by the identity",
                          p.layout, p.m, p.k, p.lda, p.a.type);
    p.n = p.k;
    matmul m = {.params = p};
    m.a = trial_input(t, "a", extent(p.m, p.k, p.lda), VALUES_NORMAL);
    m.b = trial_input(t, "b", (size_t)p.k * p.k, VALUES_ZERO);
    m.c = trial_output(t, "c", (size_t)p.m * p.k, LIMIT_EXACT);
    spoil_between_rows(m.a, p.k, p.lda);
    for (size_t i = 0; i < p.k; i++)
        m.b->start[i * p.k + i] = 1, m.b->ref[i * p.k + i] = 1;
    tensor_as(m.a, p.a.type);
    ref_matmul(&p, m.a->ref, m.b->ref, NULL, m.c->ref);
    trial_run(t, record, &m);
    CHECK(trial_close(&t));
}

TEST(identity)
{
    // Rows and columns beside multiples of four and of what a kernel takes at a time, and on them.
    static const struct {
        uint32_t m, k, lda;
    } shapes[] = {{1, 1, 0},    {3, 130, 0},    {5, 127, 128},   {64, 128, 0},
                  {65, 129, 0}, {66, 131, 0},   {67, 132, 0},    {68, 133, 0},
                  {6, 4, 8},    {63, 128, 131}, {131, 256, 260}, {33, 260, 264}};
    for (size_t i = 0; i < BASE_COUNT(shapes); i++)
        for (op_layout layout = OP_NT; layout <= OP_NN; layout++)
            for (gpu_type type = GPU_F32; type <= GPU_BF16; type++) {
                op_matmul_params p = {.layout = layout, .m = shapes[i].m, .k = shapes[i].k};
                p.lda = shapes[i].lda;
                p.a.type = type;
                if (type == GPU_F32 || (p.k | p.lda) % 4 == 0)
                    product_with_identity(p);
            }
}

// ---- Batches: heads in contiguous columns, as attention has them ----

static void heads(uint32_t rows, uint32_t length, uint32_t count, uint32_t d, size_t types)
{
    uint32_t hidden = count * d, square = length * length;
    op_matmul_params scores = {.layout = OP_NT, .m = length, .n = length, .k = d};
    scores.lda = scores.ldb = hidden;
    scores.alpha = 0.25f;
    scores.batch.outer = rows;
    scores.batch.inner = count;
    scores.batch.a_outer = scores.batch.b_outer = length * hidden;
    scores.batch.a_inner = scores.batch.b_inner = d;
    scores.batch.c_outer = count * square;
    scores.batch.c_inner = square;
    product(typed(scores, types), VALUES_NORMAL, false);

    op_matmul_params context = {.layout = OP_NN, .m = length, .n = d, .k = length};
    context.ldb = context.ldc = hidden;
    context.batch = scores.batch;
    context.batch.a_outer = count * square;
    context.batch.a_inner = square;
    context.batch.c_outer = length * hidden;
    context.batch.c_inner = d;
    product(typed(context, types), VALUES_NORMAL, false);
    context.layout = OP_TN;
    context.accumulate = true;
    product(typed(context, types), VALUES_NORMAL, false);
}

TEST(batches_of_heads)
{
    heads(1, 1, 1, 1, FLOATS);
    heads(2, 17, 3, 5, FLOATS);
    heads(3, 33, 2, 8, FLOATS);
    heads(2, 64, 4, 32, FLOATS);
    heads(1, 65, 2, 7, FLOATS);
    heads(2, 36, 2, 8, 0);
    heads(2, 36, 2, 8, 2);
}

TEST(batch_with_a_shared_operand)
{
    op_matmul_params p = {.layout = OP_NT, .m = 9, .n = 10, .k = 11};
    p.batch.outer = 3;
    p.batch.a_outer = 99;
    p.batch.c_outer = 90;
    product(p, VALUES_NORMAL, true); // b and the bias serve all three
}

// ---- Wrong arguments ----

TEST(parts_of_what_is_beyond_one_binding)
{
    gpu_test_limit_binding(device, 96 << 10); // of all operands 64 rows fit
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++) {
        op_matmul_params p = {.layout = layout, .m = 300, .n = 200, .k = 230};
        product(p, VALUES_NORMAL, true); // a, b and c are
        p.accumulate = true;
        p.ldc = 211;
        product(p, VALUES_NORMAL, false);
        const uint32_t n = layout == OP_NT ? 1000 : 65, m = layout == OP_TN ? 65 : 1000;
        product((op_matmul_params){.layout = layout, .m = 7, .n = n, .k = 1065 - n}, VALUES_NORMAL,
                true); // b alone is
        product((op_matmul_params){.layout = layout, .m = m, .n = 7, .k = 1065 - m}, VALUES_NORMAL,
                false); // a alone is
    }
    for (op_layout layout = OP_NT; layout <= OP_TN; layout++) {
        op_matmul_params p = {.layout = layout, .m = 300, .n = 180, .k = 184};
        product(typed(p, 0), VALUES_NORMAL, true);
    }
    op_matmul_params longer = {.layout = OP_TN, .m = 20, .n = 20, .k = 2600, .accumulate = true};
    product(typed(longer, 3), VALUES_NORMAL, false);
    trial *t = trial_open(device, "matmul of rows beyond one binding");
    matmul m = {.params = {.layout = OP_NT, .m = 1, .n = 1, .k = 30000}};
    m.a = trial_free_words(t, "a", 30000, NULL);
    m.b = trial_free_words(t, "b", 30000, NULL);
    m.c = trial_free_words(t, "c", 1, NULL);
    trial_refuses(t, "maxStorageBufferRange", record, &m);
    CHECK(trial_close(&t));
    gpu_test_limit_binding(device, 0);
}

TEST(wrong_arguments_are_refused)
{
    trial *t = trial_open(device, "matmul with wrong arguments");
    matmul m = {.params = {.layout = OP_NT, .m = 3, .n = 4, .k = 5}};
    m.a = trial_free_words(t, "a", 15, NULL);
    m.b = trial_free_words(t, "b", 20, NULL);
    m.c = trial_free_words(t, "c", 12, NULL);
    tensor *bias = trial_free_words(t, "bias", 4, NULL);
    tensor *used = trial_free_words(t, "used", 1, NULL);
    trial_needs_all(t, m.a, record, &m);
    trial_needs_all(t, m.b, record, &m);
    trial_needs_all(t, m.c, record, &m);
    m.bias = bias;
    if (trial_ready(t))
        bias->view.bytes -= 4;
    trial_refuses(t, "bias", record, &m);
    m.bias = NULL;
    m.used = used;
    if (trial_ready(t))
        used->view.bytes = 0;
    trial_refuses(t, "used", record, &m);
    m.used = NULL;
    m.params.lda = 4; // rows of 5 elements
    trial_refuses(t, "lda", record, &m);
    m.params.lda = 0;
    m.params.b_panel = 3; // no device's
    trial_refuses(t, "packed for another device", record, &m);
    m.params.b_panel = op_panel(device);
    if (m.params.b_panel)
        trial_refuses(t, "b is packed", record, &m); // k is 5
    m.params.b_panel = 0;
    m.params.batch.outer = 2; // the second product begins behind the end
    m.params.batch.c_outer = 12;
    trial_refuses(t, "c", record, &m);
    m.params.batch.outer = 0;
    if (m.a->view.buffer) {
        m.a->view.type = GPU_F16; // rows of 5
        trial_refuses(t, "multiples of 4", record, &m);
        m.a->view.type = GPU_F32;
    }
    m.variant = &(matmul_variant){"tile", {7}};
    trial_refuses(t, "does not admit", record, &m);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(nt);
    RUN(nn);
    RUN(tn);
    RUN(identity);
    RUN(large_products);
    RUN(rows_that_are_not_used);
    RUN(sixteen_bits);
    RUN(every_variant);
    RUN(long_sums_in_parts);
    RUN(a_family_is_forced);
    RUN(rows_apart);
    RUN(batches_of_heads);
    RUN(batch_with_a_shared_operand);
    RUN(parts_of_what_is_beyond_one_binding);
    RUN(wrong_arguments_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
