// Evaluation: figures that are known beforehand, masks that do not depend on batches, and
// pseudo-perplexity against fill-mask's scores. tools/check_eval.py holds both against transformers.
#include "lesson.h"

#include <math.h>

enum { LINES = 6 };

static lesson taught; // a model as it starts, on the first LINES lines

typedef struct told {
    uint64_t rows, predicted, sum; // sum: of all that was told of the rows, to compare
    double log_likelihood;
    uint64_t progress, total;
    vkb_status answer; // to the second row
} told;

static vkb_status note_row(void *told_, const vkb_eval_row *row)
{
    told *t = told_;
    CHECK_INT(row->row, t->rows++);
    CHECK(row->tokens >= 3 && row->tokens <= 16);
    for (uint32_t i = 0; i < row->tokens; i++) {
        const bool inner = i > 0 && i + 1 < row->tokens;
        t->predicted += row->labels[i] != -100;
        CHECK(inner || row->labels[i] == -100);
        CHECK_INT(row->positions[i], i);
        CHECK_INT(row->segments[i], 1);
        t->sum = (t->sum ^ row->ids[i]) * 1099511628211u + (uint64_t)row->labels[i];
    }
    CHECK_INT(row->next_sentence, -100);
    t->log_likelihood += row->log_likelihood;
    return t->rows == 2 ? t->answer : VKB_OK;
}

static void note_progress(void *told_, const char *what, uint64_t done, uint64_t total)
{
    told *t = told_;
    CHECK(what && done > t->progress && done <= total);
    t->progress = done;
    t->total = total;
}

static vkb_eval_params asked(uint32_t batch_size, told *t)
{
    *t = (told){0};
    return (vkb_eval_params){.batch_size = batch_size,
                             .seed = 3,
                             .on_row = note_row,
                             .progress = note_progress,
                             .user = t};
}

// A model whose weights are all drawn with this deviation.
static void with_range(float range)
{
    taught.config.initializer_range = range;
    lesson_model(&taught);
}

static vkb_eval_result evaluated(const vkb_eval_params *params)
{
    vkb_eval_result r = {0};
    CHECK_OK(vkb_evaluate(taught.model, taught.tok, taught.data, params, &r));
    return r;
}

static vkb_pseudo_result pseudo(const vkb_eval_params *params)
{
    vkb_pseudo_result r = {0};
    CHECK_OK(vkb_pseudo_perplexity(taught.model, taught.tok, taught.data, params, &r));
    return r;
}

TEST(masks_and_figures_do_not_depend_on_batches)
{
    told one, all;
    const vkb_eval_params by_one = asked(1, &one), together = asked(5, &all);
    const vkb_eval_result a = evaluated(&by_one), b = evaluated(&together);
    CHECK_INT(one.sum, all.sum);
    CHECK_INT(a.rows, LINES);
    CHECK_INT(all.rows, a.rows);
    CHECK_INT(all.progress, a.rows);
    CHECK_INT(a.masked_tokens, b.masked_tokens);
    CHECK_INT(all.predicted, a.masked_tokens);
    CHECK_NEAR(a.loss, b.loss, 1e-6);
    CHECK_NEAR(-all.log_likelihood, a.loss * (double)a.masked_tokens, 1e-4);
    CHECK_NEAR(a.perplexity, exp(a.loss), 1e-9);
    vkb_eval_params other = together;
    other.seed = 4;
    *(told *)other.user = (told){0};
    evaluated(&other);
    CHECK(all.sum != one.sum);
}

TEST(pseudo_perplexity_does_not_depend_on_batches)
{
    told one, all;
    const vkb_eval_params by_one = asked(1, &one), together = asked(7, &all);
    const vkb_pseudo_result a = pseudo(&by_one), b = pseudo(&together);
    CHECK_INT(a.tokens, vkb_dataset_tokens(taught.data) - 2 * a.rows);
    CHECK_INT(all.predicted, a.tokens);
    CHECK_INT(all.progress, a.tokens);
    CHECK_INT(one.sum, all.sum);
    CHECK_NEAR(a.pseudo_log_likelihood, b.pseudo_log_likelihood, 1e-4);
    CHECK_NEAR(all.log_likelihood, b.pseudo_log_likelihood, 1e-9);
    CHECK_NEAR(a.pseudo_perplexity, exp(-a.pseudo_log_likelihood / (double)a.tokens), 1e-9);
    CHECK_NEAR(a.top1, b.top1, 0);
    CHECK_NEAR(a.top5, b.top5, 0);
}

// Appends ids' pieces to a text, one of them as [MASK].
static void text_with_mask(const vkb_eval_row *row, uint32_t masked, char *text, size_t room)
{
    size_t used = 0;
    for (uint32_t i = 1; i + 1 < row->tokens; i++) {
        const char *piece = vkb_tokenizer_piece(taught.tok, row->ids[i]);
        CHECK(strncmp(piece, "##", 2) != 0); // the vocabulary has the words of these lines
        used += (size_t)snprintf(text + used, room - used, " %s", i == masked ? "[MASK]" : piece);
    }
}

static vkb_status ask_fill_mask(void *sum, const vkb_eval_row *row)
{
    double likelihood = 0;
    for (uint32_t t = 1; t + 1 < row->tokens; t++) {
        char text[512] = "";
        vkb_fill_result r = {0};
        const vkb_fill_params params = {.targets = &row->ids[t], .target_count = 1};
        text_with_mask(row, t, text, sizeof(text));
        CHECK_OK(vkb_fill_mask(taught.model, taught.tok, text, &params, &r));
        likelihood += log(r.fills[0].score);
        vkb_fill_result_free(&r);
    }
    CHECK_NEAR(row->log_likelihood, likelihood, 1e-4);
    *(double *)sum += likelihood;
    return VKB_OK;
}

TEST(pseudo_perplexity_is_what_fill_mask_says)
{
    double sum = 0;
    const vkb_eval_params params = {.on_row = ask_fill_mask, .user = &sum};
    const vkb_pseudo_result r = pseudo(&params);
    CHECK_NEAR(r.pseudo_log_likelihood, sum, 1e-3);
}

TEST(of_equal_logits_the_lowest_id_is_the_best)
{
    const vkb_eval_params params = {.seed = 3};
    const double vocab_size = taught.config.vocab_size;
    with_range(1e-30f); // all logits are 0
    const vkb_eval_result r = evaluated(&params);
    const vkb_pseudo_result p = pseudo(&params);
    CHECK_NEAR(r.perplexity, vocab_size, 1e-3);
    CHECK_NEAR(p.pseudo_perplexity, vocab_size, 1e-3);
    CHECK(r.top1 == 0 && r.top5 == 0); // the five lowest ids are special
    CHECK(p.top1 == 0 && p.top5 == 0);
}

TEST(a_perplexity_beyond_doubles_is_infinite)
{
    const vkb_eval_params params = {.seed = 3};
    with_range(100);
    const vkb_eval_result r = evaluated(&params);
    CHECK(isfinite(r.loss) && r.loss > 710);
    CHECK(isinf(r.perplexity));
    CHECK(isinf(pseudo(&params).pseudo_perplexity));
}

TEST(a_model_without_numbers_has_no_figures)
{
    vkb_eval_result r;
    vkb_pseudo_result p;
    const vkb_eval_params params = {.seed = 3};
    float nans[32]; // hidden_size
    for (size_t i = 0; i < 32; i++)
        nans[i] = NAN;
    with_range(0.1f);
    CHECK_OK(gpu_upload(device, taught.model->weights.transform_norm_bias, nans));
    CHECK_INT(vkb_evaluate(taught.model, taught.tok, taught.data, &params, &r), VKB_FAILED);
    CHECK_HAS(vkb_error(gpu_context(device)), "the loss is not a number");
    CHECK_INT(vkb_pseudo_perplexity(taught.model, taught.tok, taught.data, &params, &p),
              VKB_FAILED);
    with_range(0.1f);
}

TEST(who_gets_the_rows_can_end_it)
{
    vkb_eval_result r;
    vkb_pseudo_result p;
    told t;
    vkb_eval_params params = asked(3, &t);
    t.answer = VKB_INTERRUPTED;
    CHECK_INT(vkb_evaluate(taught.model, taught.tok, taught.data, &params, &r), VKB_INTERRUPTED);
    CHECK_INT(t.rows, 2);
    params = asked(3, &t);
    t.answer = VKB_IO;
    CHECK_INT(vkb_pseudo_perplexity(taught.model, taught.tok, taught.data, &params, &p), VKB_IO);
    CHECK_INT(t.rows, 2);
}

// A vocabulary of 70 lines, rows of the first ones.
static void open_lines(void)
{
    taught = lesson_open(16, true, 70);
    const char *file = temp_path(taught.folder, "text.txt");
    const vkb_text_source source = {.paths = &file, .path_count = 1};
    const vkb_dataset_params rows = {.max_seq_length = 16,
                                     .rows = VKB_ROWS_LINES,
                                     .max_samples = LINES,
                                     .cache_folder = taught.folder};
    vkb_dataset_destroy(&taught.data);
    CHECK_OK(vkb_dataset_load(taught.tok, &source, &rows, &taught.data, NULL));
}

static void on_device(vkb_device *dev)
{
    device = dev;
    open_lines();
    with_range(0.1f);
    RUN(masks_and_figures_do_not_depend_on_batches);
    RUN(pseudo_perplexity_does_not_depend_on_batches);
    RUN(pseudo_perplexity_is_what_fill_mask_says);
    RUN(of_equal_logits_the_lowest_id_is_the_best);
    RUN(a_perplexity_beyond_doubles_is_infinite);
    RUN(a_model_without_numbers_has_no_figures);
    RUN(who_gets_the_rows_can_end_it);
    lesson_close(&taught);
}

int main(void)
{
    return devices_run(on_device) ? check_report() : 77;
}
