// Pseudo-perplexity (Salazar et al., "Masked Language Model Scoring", 2020): every token is masked on
// its own and predicted from the rest of its text.
//
//     PLL = sum over tokens t of ln P(t | text without t)      pseudo-perplexity = exp(-PLL / tokens)
//
// A pass holds copies of rows, each with another token masked, and only that token goes through the
// head. Rows are taken by length, a pass recorded for each multiple of LENGTH_STEP: padding would cost
// as much as text. What a row gets is summed in double in the order of its tokens, and the rows in
// theirs, so that the result does not depend on how they were batched.
#include "train/evaluate.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

enum { LENGTH_STEP = 16 };

// A row's part of the result.
typedef struct row_score {
    double log_likelihood;
    uint32_t used;   // tokens without padding
    uint32_t tokens; // that are predicted
    uint32_t top1, top5;
} row_score;

// Copies of rows of about one length, on their way through the device.
typedef struct pass {
    bert_acts acts;
    gpu_buffer *in;    // mapped: uint32 ids, types, positions, segments [N], index, labels [copies]
    gpu_buffer *stats; // mapped: float[copies][4]
    gpu_buffer *step_out;
    gpu_stream *stream;
    uint64_t *owner; // [copies]: the row that each copy is of
    uint32_t filled;
} pass;

typedef struct scoring {
    vkb_model *model;
    vkb_dataset *data;
    vkb_eval_params params; // defaults filled in
    vkb_special_ids special;
    uint64_t rows, tokens, done; // tokens: to predict
    row_score *scores;           // [rows]
    uint32_t *words;             // one row: ids, types, positions, segments
    dataset_row row;
    pass pass;
} scoring;

// ---- Rows ----

static bool is_predicted(const scoring *s, uint32_t t)
{
    const uint32_t id = s->row.ids[t];
    return id != s->special.cls && id != s->special.sep && id != s->special.pad;
}

static vkb_status row_read(scoring *s, uint64_t row)
{
    const uint32_t length = dataset_row_length(s->data);
    s->row = (dataset_row){
        .ids = s->words,
        .types = s->words + length,
        .positions = s->words + 2ull * length,
        .segments = s->words + 3ull * length,
    };
    return dataset_read(s->data, row, &s->row);
}

static vkb_status rows_measure(scoring *s)
{
    vkb_status status = VKB_OK;
    vkb_context *ctx = gpu_context(s->model->dev);
    BASE_TRY(dataset_begin_epoch(s->data, 0, &s->rows));
    s->scores = calloc(s->rows + 1, sizeof(*s->scores));
    s->words = malloc(4ull * dataset_row_length(s->data) * sizeof(*s->words));
    if (!s->scores || !s->words)
        BASE_TRY(vkb_fail_memory(ctx, s->rows * sizeof(*s->scores), "the rows' scores"));
    for (uint64_t r = 0; r < s->rows; r++) {
        BASE_TRY(row_read(s, r));
        s->scores[r].used = s->row.used;
        for (uint32_t t = 0; t < s->row.used; t++)
            s->scores[r].tokens += is_predicted(s, t);
        s->tokens += s->scores[r].tokens;
    }
    if (!s->tokens)
        BASE_TRY(vkb_fail(ctx, VKB_BAD_FILE,
                          "the text has no token that could be masked: give more text"));
cleanup:
    return status;
}

// ---- A pass ----

// Where the parts of pass.in lie: one behind the other.
static gpu_view part(const pass *p, uint32_t index)
{
    const uint64_t tokens = 4ull * p->acts.shape.rows * p->acts.shape.length;
    const uint64_t copies = 4ull * p->acts.shape.rows;
    const uint64_t at = index < 4 ? index * tokens : 4 * tokens + (index - 4) * copies;
    return gpu_part(gpu_whole(p->in), at, index < 4 ? tokens : copies);
}

static void pass_record(gpu_stream *s, void *user)
{
    const scoring *scores = user;
    const pass *p = &scores->pass;
    const bert_run run = {
        .config = &scores->model->config,
        .weights = &scores->model->weights,
        .acts = &p->acts,
        .step_out = gpu_whole(p->step_out),
        .objective = VKB_OBJECTIVE_MLM,
    };
    const gpu_view to[] = {p->acts.ids,      p->acts.types, p->acts.positions,
                           p->acts.segments, p->acts.index, p->acts.labels};
    for (uint32_t i = 0; i < BASE_COUNT(to); i++)
        gpu_copy(s, part(p, i), to[i]);
    gpu_fill(s, run.step_out, 0);
    bert_forward(s, &run);
    bert_head_forward(s, &run);
    bert_loss(s, &run, false);
    gpu_copy(s, p->acts.row_stats, gpu_whole(p->stats));
}

static void pass_free(pass *p)
{
    gpu_stream_destroy(&p->stream);
    bert_acts_free(&p->acts);
    gpu_buffer_destroy(&p->in);
    gpu_buffer_destroy(&p->stats);
    gpu_buffer_destroy(&p->step_out);
    free(p->owner);
    *p = (pass){0};
}

static vkb_status pass_create(scoring *s, uint32_t copies, uint32_t length)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = s->model->dev;
    pass *p = &s->pass;
    const bert_shape shape = {.rows = copies, .length = length, .predictions = copies};
    const uint64_t words = 4ull * copies * length + 2ull * copies;
    BASE_TRY(bert_acts_create(dev, &s->model->config, shape, &p->acts));
    BASE_TRY(gpu_buffer_create(dev, "copies of rows", 4 * words, GPU_UPLOAD, &p->in));
    BASE_TRY(gpu_buffer_create(dev, "scores", p->acts.row_stats.bytes, GPU_READBACK, &p->stats));
    BASE_TRY(gpu_buffer_create(dev, "step_out", sizeof(struct step_out), GPU_LOCAL, &p->step_out));
    p->owner = malloc(copies * sizeof(*p->owner));
    if (!p->owner)
        BASE_TRY(vkb_fail_memory(gpu_context(dev), copies * sizeof(*p->owner), "a pass"));
    BASE_TRY(gpu_record(dev, "pseudo-perplexity", false, pass_record, s, &p->stream));
cleanup:
    return status; // what was made is freed with the scoring
}

// Writes the row that was read last into the copy, with token t masked; OP_NONE: an empty copy.
static void copy_write(const scoring *s, uint32_t copy, uint32_t t)
{
    const pass *p = &s->pass;
    const uint32_t length = p->acts.shape.length;
    const size_t begin = (size_t)copy * length;
    uint32_t *index = gpu_mapped(part(p, 4)), *labels = gpu_mapped(part(p, 5));
    dataset_row to = {
        .ids = (uint32_t *)gpu_mapped(part(p, 0)) + begin,
        .types = (uint32_t *)gpu_mapped(part(p, 1)) + begin,
        .positions = (uint32_t *)gpu_mapped(part(p, 2)) + begin,
        .segments = (uint32_t *)gpu_mapped(part(p, 3)) + begin,
        .used = t == OP_NONE ? 0 : s->row.used,
    };
    for (uint32_t i = 0; i < to.used; i++) {
        to.ids[i] = i == t ? s->special.mask : s->row.ids[i];
        to.types[i] = s->row.types[i];
        to.positions[i] = s->row.positions[i];
        to.segments[i] = s->row.segments[i];
    }
    dataset_pad(&to, s->special.pad, length);
    index[copy] = t == OP_NONE ? OP_NONE : (uint32_t)begin + t;
    labels[copy] = t == OP_NONE ? OP_NONE : s->row.ids[t];
}

static vkb_status pass_run(scoring *s)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = s->model->dev;
    pass *p = &s->pass;
    uint64_t ticket;
    for (uint32_t copy = p->filled; copy < p->acts.shape.rows; copy++)
        copy_write(s, copy, OP_NONE);
    BASE_TRY(gpu_submit(dev, &p->stream, 1, &ticket));
    BASE_TRY(gpu_wait(dev, ticket));
    const float *stats = gpu_mapped(gpu_whole(p->stats)); // loss, rank, ...
    for (uint32_t copy = 0; copy < p->filled; copy++, stats += 4) {
        row_score *score = &s->scores[p->owner[copy]];
        score->log_likelihood -= stats[0];
        score->top1 += stats[1] < 1;
        score->top5 += stats[1] < 5;
    }
    s->done += p->filled;
    p->filled = 0;
    if (s->params.progress)
        s->params.progress(s->params.user, "masking each token", s->done, s->tokens);
cleanup:
    return status;
}

// ---- All rows ----

// The rows whose length, rounded up, is this.
static vkb_status length_run(scoring *s, uint32_t length)
{
    vkb_status status = VKB_OK;
    const uint32_t longest = dataset_row_length(s->data);
    const uint32_t shortest = (length - 1) / LENGTH_STEP * LENGTH_STEP + 1;
    const uint64_t room = (uint64_t)s->params.batch_size * longest / length;
    uint64_t copies = 0;
    for (uint64_t r = 0; r < s->rows; r++)
        if (s->scores[r].used >= shortest && s->scores[r].used <= length)
            copies += s->scores[r].tokens;
    if (!copies)
        return VKB_OK;
    BASE_TRY(pass_create(s, (uint32_t)(copies < room ? copies : room), length));
    for (uint64_t r = 0; r < s->rows; r++) {
        if (s->scores[r].used < shortest || s->scores[r].used > length || !s->scores[r].tokens)
            continue;
        BASE_TRY(row_read(s, r));
        for (uint32_t t = 0; t < s->row.used; t++) {
            if (!is_predicted(s, t))
                continue;
            s->pass.owner[s->pass.filled] = r;
            copy_write(s, s->pass.filled++, t);
            if (s->pass.filled == s->pass.acts.shape.rows)
                BASE_TRY(pass_run(s));
        }
    }
    if (s->pass.filled)
        BASE_TRY(pass_run(s));
cleanup:
    pass_free(&s->pass);
    return status;
}

static vkb_status rows_tell(scoring *s)
{
    vkb_status status = VKB_OK;
    const uint32_t length = dataset_row_length(s->data);
    int32_t *labels = malloc(length * sizeof(*labels));
    if (!labels)
        BASE_TRY(vkb_fail_memory(gpu_context(s->model->dev), length * sizeof(*labels), "a row"));
    for (uint64_t r = 0; r < s->rows; r++) {
        BASE_TRY(row_read(s, r));
        for (uint32_t t = 0; t < s->row.used; t++)
            labels[t] = is_predicted(s, t) ? (int32_t)s->row.ids[t] : EVALUATE_NOT_PREDICTED;
        const vkb_eval_row row = {
            .row = r,
            .tokens = s->row.used,
            .ids = s->row.ids,
            .labels = labels,
            .types = s->row.types,
            .positions = s->row.positions,
            .segments = s->row.segments,
            .next_sentence =
                dataset_has_pairs(s->data) ? (int32_t)s->row.is_random : EVALUATE_NOT_PREDICTED,
            .log_likelihood = s->scores[r].log_likelihood,
        };
        BASE_TRY(s->params.on_row(s->params.user, &row));
    }
cleanup:
    free(labels);
    return status;
}

static vkb_status scores_sum(const scoring *s, double started, vkb_pseudo_result *result)
{
    uint64_t top1 = 0, top5 = 0;
    double sum = 0;
    for (uint64_t r = 0; r < s->rows; r++) {
        sum += s->scores[r].log_likelihood;
        top1 += s->scores[r].top1;
        top5 += s->scores[r].top5;
    }
    vkb_status status = evaluate_check_loss(s->model, sum);
    if (status == VKB_OK)
        *result = (vkb_pseudo_result){
            .pseudo_log_likelihood = sum,
            .pseudo_perplexity = exp(-sum / (double)s->tokens),
            .top1 = (double)top1 / (double)s->tokens,
            .top5 = (double)top5 / (double)s->tokens,
            .tokens = s->tokens,
            .rows = s->rows,
            .seconds = clock_seconds(gpu_context(s->model->dev)) - started,
        };
    return status;
}

vkb_status vkb_pseudo_perplexity(vkb_model *model, const vkb_tokenizer *tok, vkb_dataset *data,
                                 const vkb_eval_params *params, vkb_pseudo_result *result)
{
    vkb_status status = VKB_OK;
    const double started = clock_seconds(gpu_context(model->dev));
    const uint32_t longest = dataset_row_length(data);
    scoring s = {
        .model = model, .data = data, .params = *params, .special = vkb_tokenizer_special(tok)};
    const vkb_train_params like = {.batch_size = params->batch_size ? params->batch_size
                                                                    : EVALUATE_BATCH_SIZE};
    bert_shape shape; // of which only the check is wanted
    s.params.batch_size = like.batch_size;
    BASE_TRY(gpu_wait_all(model->dev));
    BASE_TRY(train_check_rows(model, tok, data, VKB_OBJECTIVE_MLM));
    BASE_TRY(train_shape(gpu_context(model->dev), &like, longest, &shape));
    BASE_TRY(rows_measure(&s));
    for (uint32_t length = LENGTH_STEP; length < longest + LENGTH_STEP; length += LENGTH_STEP)
        BASE_TRY(length_run(&s, length < longest ? length : longest));
    BASE_TRY(scores_sum(&s, started, result));
    if (s.params.on_row)
        BASE_TRY(rows_tell(&s));
cleanup:
    free(s.scores);
    free(s.words);
    return status;
}
