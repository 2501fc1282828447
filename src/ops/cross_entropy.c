// Softmax cross entropy over the vocabulary, its gradient in place, and the step's loss and hits.
#include "ops/internal.h"

void op_cross_entropy(gpu_stream *s, gpu_view logits, gpu_view labels, uint32_t count,
                      uint32_t vocab_size, bool gradient, gpu_view row_stats, gpu_view step_out)
{
    static const char op[] = "cross_entropy";
    if (!op_must(s, vocab_size > 0, op, "the vocabulary is empty") ||
        !op_must(s, count < 1u << 24 && vocab_size < 1u << 24, op,
                 "more than 2^24 rows or columns cannot be counted in fp32") ||
        !op_has(s, op, "logits", logits, (uint64_t)count * vocab_size) ||
        !op_has(s, op, "labels", labels, count) ||
        !op_has(s, op, "row_stats", row_stats, 4ull * count) ||
        !op_has(s, op, "step_out", step_out, sizeof(struct step_out) / 4))
        return;
    struct cross_entropy_params push = {count, vocab_size, vocab_size, gradient};
    op_group row = op_group_for(s, vocab_size), all = op_group_for(s, count);
    gpu_run(s, cross_entropy, .bind = {labels, logits, row_stats}, .push = &push,
            .spec = {row.size, row.one_subgroup}, .spec_count = 2, .groups = gpu_items(count));
    gpu_run(s, loss_sum, .bind = {labels, row_stats, step_out}, .push = &push,
            .spec = {all.size, all.one_subgroup}, .spec_count = 2,
            .groups = gpu_items(count ? 1 : 0));
}
