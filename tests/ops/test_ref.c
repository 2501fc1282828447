// Proves the reference: its forwards by values known in closed form, its backwards by central
// differences of its forwards. A backward takes a random incoming gradient dy; the gradient of
// L = sum dy * y is then what it must give.
#include "check.h"
#include "ref.h"

#include "base/philox.h"

#include <stdlib.h>

// Central differences with step h are wrong by h^2 / 6 of the third derivative and by 2^-53 / h of
// rounding: with h = 1e-5 both are some 1e-11 of values near 1, sums of a hundred terms 1e-9.
static const double STEP = 1e-5, CLOSE = 1e-8;

static double noise(uint32_t stream, uint32_t i) // uniform in [-1.7, 1.7): variance near 1
{
    return 3.4 * philox_uniform(philox(42, (philox4){{i, stream, 0, 0}}).v[0]) - 1.7;
}

static void fill(double *x, size_t count, uint32_t stream)
{
    for (size_t i = 0; i < count; i++)
        x[i] = noise(stream, (uint32_t)i);
}

static double dot(const double *x, const double *y, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * y[i];
    return sum;
}

// Norm of (gradient - central differences of loss by x) over the norm of the latter.
static double difference(double (*loss)(void *), void *problem, double *x, const double *gradient,
                         size_t count)
{
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double kept = x[i];
        x[i] = kept + STEP;
        double up = loss(problem);
        x[i] = kept - STEP;
        double slope = (up - loss(problem)) / (2 * STEP);
        x[i] = kept;
        error += (slope - gradient[i]) * (slope - gradient[i]);
        size += slope * slope;
    }
    return size > 0 ? sqrt(error / size) : INFINITY;
}

// ---- matmul ----

TEST(matmul_layouts_by_hand)
{
    // [1 2 3; 4 5 6] times [7 8; 9 10; 11 12] = [58 64; 139 154], stored in the three ways
    const double a[] = {1, 2, 3, 4, 5, 6}, a_by_k[] = {1, 4, 2, 5, 3, 6};
    const double b[] = {7, 8, 9, 10, 11, 12}, b_by_n[] = {7, 9, 11, 8, 10, 12};
    const double bias[] = {0.5, -1};
    struct {
        op_layout layout;
        const double *a, *b;
    } ways[] = {{OP_NT, a, b_by_n}, {OP_NN, a, b}, {OP_TN, a_by_k, b}};
    for (size_t i = 0; i < 3; i++) {
        double c[] = {1, 1, 1, 1};
        op_matmul_params p = {.layout = ways[i].layout, .m = 2, .n = 2, .k = 3};
        ref_matmul(&p, ways[i].a, ways[i].b, NULL, c);
        CHECK(c[0] == 58 && c[1] == 64 && c[2] == 139 && c[3] == 154);
        p.alpha = 2;
        p.accumulate = true;
        ref_matmul(&p, ways[i].a, ways[i].b, bias, c);
        CHECK(c[0] == 58 + 116.5 && c[1] == 64 + 127 && c[2] == 139 + 278.5 && c[3] == 154 + 307);
    }
}

TEST(matmul_strides_and_batch)
{
    // Two heads of two columns of a [2][4] matrix: scores of each head, heads outermost in c.
    const double q[] = {1, 2, 3, 4, 5, 6, 7, 8};
    double c[8];
    op_matmul_params p = {.layout = OP_NT, .m = 2, .n = 2, .k = 2, .lda = 4, .ldb = 4};
    p.batch.outer = 1;
    p.batch.inner = 2;
    p.batch.a_inner = p.batch.b_inner = 2;
    p.batch.c_inner = 4;
    ref_matmul(&p, q, q, NULL, c);
    const double expected[] = {5, 17, 17, 61, 25, 53, 53, 113};
    for (size_t i = 0; i < 8; i++)
        CHECK_NEAR(c[i], expected[i], 0);
}

// ---- columns, rows ----

TEST(columns_sum_all_rows_or_those_of_a_key)
{
    const double x[] = {1, 2, 10, 20, 100, 200};
    const uint32_t keys[] = {7, 3, 7};
    double sums[] = {1000, 1000};
    ref_sum_columns(x, 3, 2, NULL, 0, true, sums);
    CHECK(sums[0] == 1111 && sums[1] == 1222);
    ref_sum_columns(x, 3, 2, keys, 7, false, sums);
    CHECK(sums[0] == 101 && sums[1] == 202);
}

TEST(gather_and_scatter_are_each_others_transpose)
{
    const uint32_t index[] = {3, OP_NONE, 0};
    double x[8], y[6], dy[6], dx[8];
    fill(x, 8, 1);
    fill(dy, 6, 2);
    ref_gather(index, x, 3, 2, y);
    ref_scatter(index, dy, 3, 4, 2, false, dx);
    CHECK(y[0] == x[6] && y[2] == 0 && y[3] == 0 && y[5] == x[1]);
    CHECK(dx[6] == dy[0] && dx[2] == 0 && dx[5] == 0 && dx[1] == dy[5]);
    CHECK_NEAR(dot(y, dy, 6), dot(x, dx, 8), 1e-15);
}

// ---- embedding ----

typedef struct embedding_problem {
    double word[15], type[6], position[12], dy[18], y[18];
} embedding_problem;

static const uint32_t IDS[] = {4, 2, 0, 4, 4, 1}, TYPES[] = {0, 0, 1, 1, 0, 1},
                      POSITIONS[] = {0, 1, 2, 0, 1, 2};

static double embedding_loss(void *user)
{
    embedding_problem *p = user;
    ref_embedding_fwd(IDS, TYPES, POSITIONS, p->word, p->type, p->position, 6, 3, p->y);
    return dot(p->y, p->dy, 18);
}

TEST(embedding_backward)
{
    embedding_problem p;
    fill(p.word, 15, 1);
    fill(p.type, 6, 2);
    fill(p.position, 12, 3);
    fill(p.dy, 18, 4);
    double word[15] = {0}, type[6] = {0}, position[12] = {0};
    ref_embedding_bwd(IDS, TYPES, POSITIONS, p.dy, 6, 3, OP_NONE, word, type, position);
    CHECK_NEAR(difference(embedding_loss, &p, p.word, word, 15), 0, CLOSE);
    CHECK_NEAR(difference(embedding_loss, &p, p.type, type, 6), 0, CLOSE);
    CHECK_NEAR(difference(embedding_loss, &p, p.position, position, 12), 0, CLOSE);

    double skipped[15] = {0};
    ref_embedding_bwd(IDS, TYPES, POSITIONS, p.dy, 6, 3, 4, skipped, type, position);
    for (size_t i = 0; i < 15; i++)
        CHECK_NEAR(skipped[i], i < 12 ? word[i] : 0, 0); // row 4 is left out, the others stay
}

// ---- layernorm ----

typedef struct layernorm_problem {
    double x[35], gain[7], bias[7], dy[35], y[35], stat[10];
} layernorm_problem;

static double layernorm_loss(void *user)
{
    layernorm_problem *p = user;
    ref_layernorm_fwd(p->x, p->gain, p->bias, 5, 7, 1e-3, p->y, p->stat);
    return dot(p->y, p->dy, 35);
}

TEST(layernorm_forward_and_backward)
{
    layernorm_problem p;
    fill(p.x, 35, 1);
    fill(p.gain, 7, 2);
    fill(p.bias, 7, 3);
    fill(p.dy, 35, 4);
    layernorm_loss(&p);
    double dx[35], gain[7], bias[7];
    ref_layernorm_bwd(p.x, p.gain, p.stat, p.dy, 5, 7, false, dx, gain, bias);
    CHECK_NEAR(difference(layernorm_loss, &p, p.x, dx, 35), 0, CLOSE);
    CHECK_NEAR(difference(layernorm_loss, &p, p.gain, gain, 7), 0, CLOSE);
    CHECK_NEAR(difference(layernorm_loss, &p, p.bias, bias, 7), 0, CLOSE);

    layernorm_loss(&p);
    ref_layernorm_bwd(p.x, p.gain, p.stat, p.dy, 5, 7, true, p.dy, gain, bias); // dx is dy
    for (size_t i = 0; i < 35; i++)
        CHECK_NEAR(p.dy[i], dx[i], 0);

    // 0, 2, 4: mean 2, biased variance 8/3
    const double x[] = {0, 2, 4}, one[] = {1, 1, 1}, zero[] = {0, 0, 0};
    ref_layernorm_fwd(x, one, zero, 1, 3, 0, p.y, p.stat);
    CHECK_NEAR(p.y[2], sqrt(1.5), 1e-15);
    CHECK_NEAR(p.stat[0], 2, 1e-15);
    CHECK_NEAR(p.stat[1], sqrt(3.0 / 8), 1e-15);
}

// ---- gelu ----

typedef struct gelu_problem {
    vkb_activation form;
    double x[41], dy[41], y[41];
} gelu_problem;

static double gelu_loss(void *user)
{
    gelu_problem *p = user;
    ref_gelu_fwd(p->x, 41, p->form, p->y);
    return dot(p->y, p->dy, 41);
}

TEST(gelu_forward_and_backward)
{
    const double x[] = {1, -1, 0};
    double y[3];
    ref_gelu_fwd(x, 3, VKB_GELU, y); // Phi(1) = 0.841344746068543
    CHECK_NEAR(y[0], 0.841344746068543, 1e-15);
    CHECK_NEAR(y[1], -0.158655253931457, 1e-15);
    CHECK_NEAR(y[2], 0, 0);
    ref_gelu_fwd(x, 3, VKB_GELU_TANH, y); // torch: 0.841191990608276
    CHECK_NEAR(y[0], 0.841191990608276, 1e-14);

    for (int form = VKB_GELU; form <= VKB_GELU_TANH; form++) {
        gelu_problem p = {.form = (vkb_activation)form};
        double dx[41];
        for (int i = 0; i < 41; i++)
            p.x[i] = (i - 20) / 4.0; // both tails and the middle
        fill(p.dy, 41, 1);
        ref_gelu_bwd(p.x, p.dy, 41, p.form, dx);
        CHECK_NEAR(difference(gelu_loss, &p, p.x, dx, 41), 0, CLOSE);
    }
}

// ---- tanh ----

typedef struct tanh_problem {
    double x[17], dy[17], y[17];
} tanh_problem;

static double tanh_loss(void *user)
{
    tanh_problem *p = user;
    ref_tanh_fwd(p->x, 17, p->y);
    return dot(p->y, p->dy, 17);
}

TEST(tanh_backward)
{
    tanh_problem p;
    double dx[17];
    for (int i = 0; i < 17; i++)
        p.x[i] = (i - 8) / 4.0;
    fill(p.dy, 17, 1);
    ref_tanh_fwd(p.x, 17, p.y);
    ref_tanh_bwd(p.y, p.dy, 17, dx);
    CHECK_NEAR(difference(tanh_loss, &p, p.x, dx, 17), 0, CLOSE);
}

// ---- dropout ----

TEST(dropout_keeps_its_share_and_the_mean)
{
    ref_dropout d = {.step = {.seed_low = 5, .seed_high = 6, .step = 7}, .site = 8, .p = 0.1f};
    const int count = 40000;
    int dropped = 0, other = 0;
    for (int i = 0; i < count; i++) {
        double scale = ref_dropout_scale(&d, (size_t)i);
        CHECK(scale == 0 || fabs(scale - 1 / 0.9) < 1e-7);
        dropped += scale == 0;
        ref_dropout next = d;
        next.site++;
        other += scale == 0 && ref_dropout_scale(&next, (size_t)i) == 0;
    }
    // within 4 sigma of the binomial: sqrt(40000 * 0.1 * 0.9) = 60, sqrt(40000 * 0.01 * 0.99) = 20
    CHECK_NEAR(dropped, 4000, 240);
    CHECK_NEAR(other, 400, 80); // sites are independent
    d.p = 0;
    CHECK(ref_dropout_scale(&d, 0) == 1);
}

// ---- attention ----

enum { ROWS = 2, LENGTH = 5, HEADS = 2, HIDDEN = 6, ATTENTION = ROWS * LENGTH * HIDDEN };

typedef struct attention_problem {
    double q[ATTENTION], k[ATTENTION], v[ATTENTION], dy[ATTENTION], y[ATTENTION];
    uint32_t mask[ROWS * LENGTH];
    ref_attention a;
} attention_problem;

static double attention_loss(void *user)
{
    attention_problem *p = user;
    ref_attention_fwd(&p->a, NULL, p->y);
    return dot(p->y, p->dy, ATTENTION);
}

static void attention_make(attention_problem *p, float dropout)
{
    fill(p->q, ATTENTION, 1);
    fill(p->k, ATTENTION, 2);
    fill(p->v, ATTENTION, 3);
    fill(p->dy, ATTENTION, 4);
    for (size_t i = 0; i < ROWS * LENGTH; i++)
        p->mask[i] = i != 3 && i != 9;
    p->a = (ref_attention){
        .q = p->q,
        .k = p->k,
        .v = p->v,
        .segments = p->mask,
        .rows = ROWS,
        .length = LENGTH,
        .heads = HEADS,
        .hidden = HIDDEN,
        .dropout = {.step = {.seed_low = 1, .step = 3}, .site = 2, .p = dropout},
    };
}

TEST(attention_backward_with_mask_and_dropout)
{
    for (int with_dropout = 0; with_dropout < 2; with_dropout++) {
        attention_problem p;
        attention_make(&p, with_dropout ? 0.3f : 0);
        double dq[ATTENTION], dk[ATTENTION], dv[ATTENTION];
        ref_attention_bwd(&p.a, p.dy, dq, dk, dv);
        CHECK_NEAR(difference(attention_loss, &p, p.q, dq, ATTENTION), 0, CLOSE);
        CHECK_NEAR(difference(attention_loss, &p, p.k, dk, ATTENTION), 0, CLOSE);
        CHECK_NEAR(difference(attention_loss, &p, p.v, dv, ATTENTION), 0, CLOSE);
        for (size_t x = 0; x < HIDDEN; x++)
            CHECK(dk[3 * HIDDEN + x] == 0 && dv[3 * HIDDEN + x] == 0); // a masked key
    }
}

TEST(attention_of_equal_scores_is_the_mean_of_the_unmasked_values)
{
    attention_problem p;
    double probs[ROWS * HEADS * LENGTH * LENGTH];
    attention_make(&p, 0);
    memset(p.q, 0, sizeof p.q);
    for (size_t i = LENGTH; i < (size_t)ROWS * LENGTH; i++)
        p.mask[i] = 0; // row 1: nothing to look at
    ref_attention_fwd(&p.a, probs, p.y);
    for (size_t x = 0; x < HIDDEN; x++) {
        double mean = 0;
        for (size_t key = 0; key < LENGTH; key++)
            mean += key == 3 ? 0 : p.v[key * HIDDEN + x] / 4;
        CHECK_NEAR(p.y[2 * HIDDEN + x], mean, 1e-15);
        CHECK_NEAR(p.y[(LENGTH + 2) * HIDDEN + x], 0, 0);
    }
    CHECK_NEAR(probs[0], 0.25, 1e-15);
    CHECK_NEAR(probs[3], 0, 0);
    CHECK_NEAR(probs[HEADS * LENGTH * LENGTH], 0, 0);
}

// ---- cross entropy ----

typedef struct loss_problem {
    double logits[44], stats[16];
    uint32_t labels[4];
} loss_problem;

static double loss_of(void *user)
{
    loss_problem *p = user;
    return ref_cross_entropy(p->logits, p->labels, 4, 11, p->stats, NULL).sum;
}

TEST(cross_entropy_forward_and_backward)
{
    loss_problem p = {.labels = {3, OP_NONE, 0, 10}};
    double gradient[44];
    fill(p.logits, 44, 1);
    ref_loss loss = ref_cross_entropy(p.logits, p.labels, 4, 11, p.stats, gradient);
    CHECK_NEAR(loss.sum, p.stats[0] + p.stats[8] + p.stats[12], 1e-12);
    CHECK_NEAR(difference(loss_of, &p, p.logits, gradient, 44), 0, CLOSE);
    for (size_t j = 0; j < 11; j++)
        CHECK(gradient[11 + j] == 0);
    for (size_t i = 0; i < 44; i++)
        p.logits[i] += 1000; // softmax does not see it, exp would
    CHECK_NEAR(loss_of(&p), loss.sum, 1e-10);
}

TEST(cross_entropy_ranks)
{
    loss_problem p = {.labels = {0, 4, 5, 10}};
    for (int i = 0; i < 44; i++)
        p.logits[i] = -(i % 11); // label n has rank n
    ref_loss loss = ref_cross_entropy(p.logits, p.labels, 4, 11, p.stats, NULL);
    CHECK_INT(loss.top1, 1);
    CHECK_INT(loss.top5, 2);
    CHECK_INT(p.stats[4 * 3 + 1], 10);
    memset(p.logits, 0, sizeof p.logits);
    CHECK_NEAR(loss_of(&p), 4 * log(11), 1e-12);
    CHECK_INT(p.stats[4 * 2 + 1], 5); // of equals the lower ids are better
}

// ---- the optimiser ----

TEST(grad_norm_and_clipping)
{
    const double a[] = {3, 0}, b[] = {4};
    const double *grads[] = {a, b};
    const size_t counts[] = {2, 1};
    double norm, scale;
    ref_grad_norm(grads, counts, 2, 2, 1, &norm, &scale); // sum's norm 5, mean's 2.5
    CHECK_NEAR(norm, 2.5, 0);
    CHECK_NEAR(scale, 1 / 2.500001 / 2, 1e-15);
    ref_grad_norm(grads, counts, 2, 2, 3, &norm, &scale);
    CHECK_NEAR(scale, 0.5, 0);
    ref_grad_norm(grads, counts, 2, 2, 0, &norm, &scale); // no clipping
    CHECK_NEAR(scale, 0.5, 0);
    ref_grad_norm(grads, counts, 2, 0, 1, &norm, &scale);
    CHECK(norm == 0 && scale == 0);
}

TEST(adamw_one_step_of_torch)
{
    // torch.optim.AdamW on p = 1, g = 0.5 with lr 1e-3, decay 0.01 gives 0.99899000002
    ref_adamw a = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01};
    a.bias_correction1 = 1 - 0.9;
    a.bias_correction2 = 1 - 0.999;
    a.grad_scale = 0.25;
    double g = 2, p = 1, m = 0, v = 0;
    ref_adamw_step(&a, &g, 1, &p, &m, &v);
    CHECK_NEAR(p, 0.99899000002, 1e-14);
    CHECK_NEAR(m, 0.05, 1e-16);
    CHECK_NEAR(v, 0.00025, 1e-16);
}

int main(void)
{
    RUN(matmul_layouts_by_hand);
    RUN(matmul_strides_and_batch);
    RUN(columns_sum_all_rows_or_those_of_a_key);
    RUN(gather_and_scatter_are_each_others_transpose);
    RUN(embedding_backward);
    RUN(layernorm_forward_and_backward);
    RUN(gelu_forward_and_backward);
    RUN(tanh_backward);
    RUN(dropout_keeps_its_share_and_the_mean);
    RUN(attention_backward_with_mask_and_dropout);
    RUN(attention_of_equal_scores_is_the_mean_of_the_unmasked_values);
    RUN(cross_entropy_forward_and_backward);
    RUN(cross_entropy_ranks);
    RUN(grad_norm_and_clipping);
    RUN(adamw_one_step_of_torch);
    return check_report();
}
