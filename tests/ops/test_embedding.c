// The three embeddings, the LayerNorm and dropout behind them, and their gradients, on every device
// against the reference.
#include "check.h"
#include "devices.h"
#include "harness.h"
#include "ref.h"

static vkb_device *device;
static gpu_type act; // of the activations

enum { TOKENS = 4000, TYPES = 2, PAD = 1, SITE = 9 };
static const float EPS = 1e-5f;
static const struct step_in now = {.seed_low = 12, .seed_high = 34, .step = 56};

// KEYS_MASKED: 15 % are one id, as [MASK] is.
typedef enum key_kind { KEYS_RANDOM, KEYS_EQUAL, KEYS_PAD, KEYS_MASKED } key_kind;

typedef struct embedding {
    tensor *ids, *types, *positions, *word, *type, *position, *word_grad, *type_grad,
        *position_grad, *dy;
    tensor *step, *gain, *bias, *sum, *y, *stat; // step NULL: no dropout
    uint32_t tokens, hidden, vocab, length, panel;
    float p;
} embedding;

static op_embedding views(const embedding *e)
{
    return (op_embedding){
        .ids = e->ids->view,
        .types = e->types->view,
        .positions = e->positions->view,
        .word = e->word ? e->word->view : (gpu_view){0},
        .type = e->type ? e->type->view : (gpu_view){0},
        .position = e->position ? e->position->view : (gpu_view){0},
        .word_grad = e->word_grad ? e->word_grad->view : (gpu_view){0},
        .type_grad = e->type_grad ? e->type_grad->view : (gpu_view){0},
        .position_grad = e->position_grad ? e->position_grad->view : (gpu_view){0},
        .tokens = e->tokens,
        .hidden = e->hidden,
        .type_count = TYPES,
        .pad_id = PAD,
        .word_panel = e->panel,
    };
}

static void record_fwd(gpu_stream *s, void *user)
{
    const embedding *e = user;
    op_embedding all = views(e);
    op_embedding_fwd(
        s, &all,
        &(op_embedding_norm){.gain = e->gain->view,
                             .bias = e->bias->view,
                             .sum = e->sum->view,
                             .y = e->y->view,
                             .stat = e->stat->view,
                             .eps = EPS,
                             .dropout = {e->step ? e->step->view : (gpu_view){0}, SITE, e->p}});
}

static void record_bwd(gpu_stream *s, void *user)
{
    const embedding *e = user;
    op_embedding all = views(e);
    op_embedding_bwd(s, &all, e->dy->view);
}

typedef struct keys {
    uint32_t ids[TOKENS], types[TOKENS], positions[TOKENS];
} keys;

static void add_keys(trial *t, embedding *e, key_kind kind, keys *k)
{
    for (uint32_t i = 0; i < e->tokens; i++) {
        uint32_t id = random_below(trial_random(t), e->vocab);
        if (kind == KEYS_MASKED && random_below(trial_random(t), 100) < 15)
            id = e->vocab / 2;
        k->ids[i] = kind == KEYS_EQUAL ? e->vocab - 1 : kind == KEYS_PAD ? PAD : id;
        k->types[i] = random_below(trial_random(t), TYPES);
        k->positions[i] = i % e->length;
    }
    e->ids = trial_words(t, "ids", e->tokens, k->ids);
    e->types = trial_words(t, "types", e->tokens, k->types);
    e->positions = trial_words(t, "positions", e->tokens, k->positions);
}

static void forward(uint32_t tokens, uint32_t hidden, uint32_t vocab, uint32_t length,
                    uint32_t panel, float p)
{
    trial *t = trial_open(device, "embedding_fwd %ux%u vocab %u panel %u p %g type %d", tokens,
                          hidden, vocab, panel, p, act);
    const size_t count = (size_t)tokens * hidden;
    embedding e = {.tokens = tokens,
                   .hidden = hidden,
                   .vocab = vocab,
                   .length = length,
                   .panel = panel,
                   .p = p};
    keys k;
    add_keys(t, &e, KEYS_RANDOM, &k);
    if (p > 0)
        e.step = trial_words(t, "step", sizeof now / 4, &now);
    e.word = trial_input(t, "word", (size_t)vocab * hidden, VALUES_NORMAL);
    e.type = trial_input(t, "type", (size_t)TYPES * hidden, VALUES_NORMAL);
    e.position = trial_input(t, "position", (size_t)length * hidden, VALUES_NORMAL);
    e.gain = trial_input(t, "gain", hidden, VALUES_NORMAL);
    e.bias = trial_input(t, "bias", hidden, VALUES_NORMAL);
    e.sum = trial_output(t, "sum", count, LIMIT_FP32);
    e.y = trial_output(t, "y", count, LIMIT_FP32);
    // of the sum as it is kept: rounded to 16 bits
    e.stat = trial_output(t, "stat", 2 * tokens,
                          act == GPU_F32   ? LIMIT_FP32
                          : act == GPU_F16 ? LIMIT_F16
                                           : LIMIT_BF16);
    tensor_as(e.sum, act);
    tensor_as(e.y, act);
    ref_embedding_fwd(k.ids, k.types, k.positions, e.word->ref, e.type->ref, e.position->ref,
                      tokens, hidden, e.sum->ref);
    ref_layernorm_fwd(e.sum->ref, e.gain->ref, e.bias->ref, tokens, hidden, EPS, e.y->ref,
                      e.stat->ref);
    ref_dropout_apply(&(ref_dropout){now, SITE, p}, e.y->ref, count, e.y->ref);
    if (panel)
        tensor_start_packed(e.word, vocab, hidden, panel);
    trial_run(t, record_fwd, &e);
    CHECK(trial_close(&t));
}

static void backward(uint32_t tokens, uint32_t hidden, uint32_t vocab, uint32_t length,
                     key_kind kind)
{
    trial *t = trial_open(device, "embedding_bwd %ux%u vocab %u keys %d type %d", tokens, hidden,
                          vocab, kind, act);
    embedding e = {.tokens = tokens, .hidden = hidden, .vocab = vocab, .length = length};
    keys k;
    add_keys(t, &e, kind, &k);
    size_t words = (size_t)vocab * hidden, positions = (size_t)length * hidden;
    e.word_grad = trial_inout(t, "word_grad", words, VALUES_NORMAL, LIMIT_FP32);
    e.type_grad = trial_inout(t, "type_grad", (size_t)TYPES * hidden, VALUES_NORMAL, LIMIT_FP32);
    e.position_grad = trial_inout(t, "position_grad", positions, VALUES_NORMAL, LIMIT_FP32);
    e.dy = trial_input(t, "dy", (size_t)tokens * hidden, VALUES_NORMAL);
    tensor_as(e.dy, act);
    ref_embedding_bwd(k.ids, k.types, k.positions, e.dy->ref, tokens, hidden, PAD, e.word_grad->ref,
                      e.type_grad->ref, e.position_grad->ref);
    trial_run(t, record_bwd, &e);
    CHECK(trial_close(&t));
}

static const struct {
    uint32_t tokens, hidden, vocab, length;
} SHAPES[] = {{1, 1, 3, 1},    {3, 17, 5, 3},    {31, 33, 4, 16},    {33, 64, 97, 33},
              {64, 3, 11, 32}, {65, 100, 7, 65}, {127, 31, 500, 64}, {600, 48, 40, 128}};

TEST(forward)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        forward(SHAPES[i].tokens, SHAPES[i].hidden, SHAPES[i].vocab, SHAPES[i].length, 0,
                i % 2 ? 0.1f : 0);
}

TEST(forward_of_a_packed_table)
{
    forward(65, 48, 100, 65, 16, 0);
    forward(17, 100, 7, 17, 64, 0);
}

TEST(backward)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        backward(SHAPES[i].tokens, SHAPES[i].hidden, SHAPES[i].vocab, SHAPES[i].length,
                 KEYS_RANDOM);
}

TEST(backward_of_one_id_in_every_place)
{
    backward(600, 48, 40, 128, KEYS_EQUAL);
    backward(65, 100, 7, 65, KEYS_EQUAL);
}

TEST(backward_of_runs_over_many_chunks)
{
    backward(4000, 3, 2000, 100, KEYS_MASKED);
    backward(4000, 4, 600, 512, KEYS_EQUAL);
    backward(1000, 128, 300, 128, KEYS_MASKED); // columns by fours of fours on software drivers
    backward(700, 64, 20, 3, KEYS_MASKED);
}

TEST(backward_leaves_the_padding_row_alone)
{
    backward(600, 48, 40, 128, KEYS_PAD);
}

TEST(activations_of_16_bits)
{
    for (act = GPU_F16; act <= GPU_BF16; act++) {
        forward(33, 64, 97, 33, 0, 0.1f);
        forward(65, 100, 7, 65, 0, 0);
        backward(65, 100, 7, 65, KEYS_RANDOM);
        backward(600, 48, 40, 128, KEYS_EQUAL);
        backward(1000, 128, 300, 128, KEYS_MASKED);
    }
    act = GPU_F32;
}

TEST(parts_of_what_is_beyond_one_binding)
{
    gpu_test_limit_binding(device, 16 << 10);
    forward(127, 31, 500, 64, 0, 0);
    forward(64, 48, 500, 64, 64, 0);
    forward(64, 20, 300, 64, 128, 0); // parts of whole panels
    backward(127, 31, 500, 64, KEYS_RANDOM);
    backward(60, 48, 300, 60, KEYS_EQUAL);
    backward(1000, 4, 3000, 100, KEYS_MASKED);
    gpu_test_limit_binding(device, 0);
}

TEST(wrong_views_are_refused)
{
    trial *t = trial_open(device, "embedding with wrong views");
    embedding e = {.tokens = 6, .hidden = 3, .vocab = 5, .length = 4};
    e.ids = trial_free_words(t, "ids", 6, NULL);
    e.types = trial_free_words(t, "types", 6, NULL);
    e.positions = trial_free_words(t, "positions", 6, NULL);
    e.word = trial_free_words(t, "word", 15, NULL);
    e.type = trial_free_words(t, "type", 6, NULL);
    e.position = trial_free_words(t, "position", 12, NULL);
    e.word_grad = trial_free_words(t, "word_grad", 15, NULL);
    e.type_grad = trial_free_words(t, "type_grad", 6, NULL);
    e.position_grad = trial_free_words(t, "position_grad", 12, NULL);
    e.p = 0.1f;
    e.step = trial_free_words(t, "step", sizeof now / 4, NULL);
    e.gain = trial_free_words(t, "gain", 3, NULL);
    e.bias = trial_free_words(t, "bias", 3, NULL);
    e.sum = trial_free_words(t, "sum", 18, NULL);
    e.stat = trial_free_words(t, "stat", 12, NULL);
    e.y = trial_free_words(t, "y", 18, NULL);
    e.dy = trial_free_words(t, "dy", 18, NULL);
    tensor *keyed[] = {e.ids, e.types, e.positions};
    for (size_t i = 0; i < 3; i++) {
        trial_needs_all(t, keyed[i], record_fwd, &e);
        trial_needs_all(t, keyed[i], record_bwd, &e);
    }
    tensor *normed[] = {e.step, e.gain, e.bias, e.sum, e.y, e.stat};
    for (size_t i = 0; i < BASE_COUNT(normed); i++)
        trial_needs_all(t, normed[i], record_fwd, &e);
    trial_needs_all(t, e.dy, record_bwd, &e);
    trial_needs_all(t, e.type, record_fwd, &e);
    trial_needs_all(t, e.type_grad, record_bwd, &e);
    // The op is not told how many words and positions there are.
    trial_needs(t, e.word, record_fwd, &e);
    trial_needs(t, e.position, record_fwd, &e);
    trial_needs(t, e.word_grad, record_bwd, &e);
    trial_needs(t, e.position_grad, record_bwd, &e);
    CHECK(trial_close(&t));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    RUN(forward);
    RUN(forward_of_a_packed_table);
    RUN(backward);
    RUN(backward_of_one_id_in_every_place);
    RUN(backward_of_runs_over_many_chunks);
    RUN(backward_leaves_the_padding_row_alone);
    RUN(activations_of_16_bits);
    RUN(parts_of_what_is_beyond_one_binding);
    RUN(wrong_views_are_refused);
}

int main(void)
{
    return trial_devices(on_device) ? check_report() : 77;
}
