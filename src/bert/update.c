// The optimiser's part of a step: gradient norm, clipping, AdamW, a run for each slab.
#include "bert/bert.h"

static bool is_trained(bert_part part, vkb_objective objective)
{
    return part == BERT_ENCODER || (part == BERT_MLM_HEAD && objective != VKB_OBJECTIVE_NSP) ||
           (part == BERT_PAIR_HEAD && objective != VKB_OBJECTIVE_MLM);
}

void bert_update(gpu_stream *s, const bert_run *run, const bert_layout *layout,
                 const bert_params *exp_avg, const bert_params *exp_avg_sq, const bert_adamw *adamw)
{
    gpu_view grads[BERT_MAX_SLABS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < layout->slab_count; i++)
        if (is_trained(layout->slabs[i].part, run->objective))
            grads[count++] = gpu_whole(run->grads->slabs[i]);

    const bool copied = run->weights != run->masters;
    const gpu_type type = bert_gpu_type(run->acts->shape.precision);
    gpu_label(s, "optimiser");
    op_grad_norm(s, grads, count, run->objective == VKB_OBJECTIVE_NSP, &run->scaling, run->step,
                 run->step_out);
    for (uint32_t i = 0; i < layout->slab_count; i++) {
        if (!is_trained(layout->slabs[i].part, run->objective))
            continue;
        const op_adamw update = {
            .step = run->step,
            .step_out = run->step_out,
            .weights = gpu_whole(run->masters->slabs[i]),
            .copy = copied ? bert_halves_slab(run->weights, i, type) : (gpu_view){0},
            .grads = gpu_whole(run->grads->slabs[i]),
            .m = gpu_whole(exp_avg->slabs[i]),
            .v = gpu_whole(exp_avg_sq->slabs[i]),
            .count = layout->slabs[i].bytes / 4,
            .beta1 = adamw->beta1,
            .beta2 = adamw->beta2,
            .eps = adamw->eps,
            .weight_decay = layout->slabs[i].decay == BERT_DECAY ? adamw->weight_decay : 0,
        };
        op_adamw_step(s, &update);
    }
    gpu_label(s, "");
}
