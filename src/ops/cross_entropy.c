// Softmax cross entropy over the vocabulary or the two classes of next-sentence prediction, its
// gradient in place, and the step's loss and hits.
#include "ops/internal.h"

static void entropy(gpu_stream *s, const char *op, gpu_view logits, gpu_view labels,
                    struct cross_entropy_params push, const op_scaling *gradient,
                    gpu_view row_stats, gpu_view step_out)
{
    const op_scaling scaling = gradient ? *gradient : (op_scaling){0};
    push.gradient = gradient != NULL;
    push.unit = scaling.unit;
    const uint32_t count = push.capacity, classes = push.cols;
    if (!op_must(s, classes > 0, op, "the vocabulary is empty") ||
        !op_must(s, count < 1u << 24 && classes < 1u << 24, op,
                 "more than 2^24 rows or columns cannot be counted in fp32") ||
        !op_must(s, push.ld >= classes, op, "rows of logits overlap") ||
        !op_has_act(s, op, "logits", logits, count, push.ld) ||
        !op_has(s, op, "labels", labels, count) ||
        !op_has(s, op, "row_stats", row_stats, 4ull * count) ||
        !op_has(s, op, "step_out", step_out, sizeof(struct step_out) / 4) ||
        !op_has_scaling(s, op, &scaling))
        return;
    op_group row = op_group_for(s, op_div_up(classes, 4)), all = op_group_for(s, count);
    const uint32_t part = op_rows_bound(s, count, push.ld);
    for (uint32_t first = 0, here; first < count; first += here) {
        here = count - first < part ? count - first : part;
        struct cross_entropy_params rows = push;
        rows.capacity = here;
        gpu_run(s, cross_entropy,
                .bind = {op_part(labels, first, here),
                         op_part(logits, (uint64_t)first * push.ld, (uint64_t)here * push.ld),
                         op_part(row_stats, 4ull * first, 4ull * here), scaling.state},
                .push = &rows,
                .spec = {row.size, row.one_subgroup, op_format(logits.type, push.ld)},
                .spec_count = 3, .groups = gpu_items(here));
    }
    gpu_run(s, loss_sum, .bind = {labels, row_stats, step_out}, .push = &push,
            .spec = {all.size, all.one_subgroup}, .spec_count = 2,
            .groups = gpu_items(count ? 1 : 0));
}

void op_cross_entropy(gpu_stream *s, gpu_view logits, gpu_view labels, uint32_t count,
                      uint32_t vocab_size, uint32_t ld, const op_scaling *gradient,
                      gpu_view row_stats, gpu_view step_out)
{
    const struct cross_entropy_params push = {count, vocab_size, ld ? ld : vocab_size};
    entropy(s, "cross_entropy", logits, labels, push, gradient, row_stats, step_out);
}

void op_pair_entropy(gpu_stream *s, gpu_view logits, gpu_view labels, uint32_t count,
                     const op_scaling *gradient, gpu_view row_stats, gpu_view step_out)
{
    const struct cross_entropy_params push = {count, 2, 2, .of_pairs = 1};
    entropy(s, "pair_entropy", logits, labels, push, gradient, row_stats, step_out);
}

void op_pair_weight(gpu_stream *s, gpu_view labels, uint32_t count, gpu_view next_sentence,
                    uint32_t rows, gpu_view logits)
{
    static const char op[] = "pair_weight";
    if (!op_must(s, count < 1u << 24 && rows < 1u << 24, op,
                 "more than 2^24 predictions or rows cannot be counted in fp32") ||
        !op_has(s, op, "labels", labels, count) ||
        !op_has(s, op, "next_sentence", next_sentence, rows) ||
        !op_has(s, op, "logits", logits, 2ull * rows))
        return;
    op_group g = op_group_for(s, count > 2 * rows ? count : 2 * rows);
    gpu_run(s, pair_weight, .bind = {labels, next_sentence, logits},
            .push = &(struct pair_params){count, rows}, .spec = {g.size, g.one_subgroup},
            .spec_count = 2, .groups = gpu_items(1));
}
