// BERT's masks, drawn on the device, and how many predictions a batch has room for.
#include "ops/internal.h"

#include <math.h>

static bool mask_checks(gpu_stream *s, const op_mask *m)
{
    static const char op[] = "mask_draw";
    uint64_t tokens = (uint64_t)m->rows * m->length;
    // 1 + 1e-6: shares such as 0.8 + 0.2 may round up
    return op_must(s, tokens > 0 && tokens <= UINT32_MAX, op,
                   "the batch is empty or has more than 2^32 tokens") &&
           op_must(s, m->capacity > 0, op, "there is no room for predictions") &&
           op_must(s, !m->label_all || m->capacity >= tokens, op,
                   "there is no room for every token as a prediction") &&
           op_must(s, m->vocab_size > 0, op, "the vocabulary is empty") &&
           op_must(s, m->probability >= 0 && m->probability <= 1, op,
                   "the probability is not within 0 and 1") &&
           op_must(s,
                   m->mask_share >= 0 && m->random_share >= 0 &&
                       m->mask_share + m->random_share <= 1 + 1e-6f,
                   op, "the shares of [MASK] and of random tokens are negative or exceed 1") &&
           op_has(s, op, "step", m->step, sizeof(struct step_in) / 4) &&
           op_has(s, op, "ids", m->ids, tokens) && op_has(s, op, "segments", m->segments, tokens) &&
           op_has(s, op, "examples", m->examples, m->rows) &&
           (!m->whole_word ||
            op_has(s, op, "continues", m->continues, (m->vocab_size + 31) / 32)) &&
           op_has(s, op, "masked_ids", m->masked_ids, tokens) &&
           op_has(s, op, "index", m->index, m->capacity) &&
           op_has(s, op, "labels", m->labels, m->capacity) &&
           op_has(s, op, "step_out", m->step_out, sizeof(struct step_out) / 4);
}

void op_mask_draw(gpu_stream *s, const op_mask *m)
{
    if (!mask_checks(s, m))
        return;
    uint32_t tokens = m->rows * m->length;
    gpu_run(s, mask_draw,
            .bind = {m->step, m->ids, m->segments, m->examples,
                     m->whole_word ? m->continues : m->ids, m->masked_ids, m->index, m->labels,
                     m->step_out},
            .push = &(struct mask_params){.tokens = tokens,
                                          .row_length = m->length,
                                          .capacity = m->capacity,
                                          .vocab_size = m->vocab_size,
                                          .mask_id = m->special.mask,
                                          .special0 = m->special.cls,
                                          .special1 = m->special.sep,
                                          .special2 = m->special.pad,
                                          .probability = m->probability,
                                          .mask_share = m->mask_share,
                                          .random_share = m->random_share,
                                          .whole_word = m->whole_word,
                                          .label_all = m->label_all},
            .spec = {op_group_for(s, tokens).size}, .spec_count = 1, .groups = gpu_items(1));
}

uint32_t op_mask_capacity(uint32_t tokens, double probability, bool whole_word)
{
    // Words of n pieces selected as a whole have n times the variance of n tokens selected each. Four
    // pieces a word, weighted by its pieces, is more than any language has in its own vocabulary.
    const double mean = tokens * probability, pieces = whole_word ? 4 : 1;
    const double sigma = sqrt(mean * (1 - probability) * pieces);
    const double wanted = ceil((mean + 6 * sigma) / 8) * 8;
    return wanted < tokens ? (uint32_t)wanted : tokens;
}
