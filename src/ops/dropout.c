// Dropout and addition. The draws are a pure function of the
// step's seed and number, the site, and the element: the backward asks for the same site and gets
// the same draws, nothing is kept.
#include "ops/internal.h"

bool op_dropout_checks(gpu_stream *s, const char *op, op_dropout d)
{
    return op_must(s, d.p >= 0 && d.p <= 1, op, "the probability is not within 0 and 1") &&
           (d.p == 0 || op_has(s, op, "step", d.step, sizeof(struct step_in) / 4));
}

static bool same_view(gpu_view a, gpu_view b)
{
    return a.buffer == b.buffer && a.offset == b.offset;
}

void op_dropout_apply(gpu_stream *s, op_dropout d, gpu_view x, uint32_t count, gpu_view y)
{
    if (!op_dropout_checks(s, "dropout", d) || !op_has_act(s, "dropout", "x", x, 1, count) ||
        !op_has_act(s, "dropout", "y", y, 1, count) || !op_same_type(s, "dropout", x, y) ||
        (d.p == 0 && same_view(x, y)))
        return;
    op_flat f = op_flat_for(s, count, x.type);
    gpu_run(s, dropout, .bind = {d.p > 0 ? d.step : x, x, y},
            .push = &(struct dropout_params){.count = count, .site = d.site, .keep = 1 - d.p},
            .spec = {f.size, f.turns, f.format, d.p > 0}, .spec_count = 4, .groups = f.groups);
}

void op_add(gpu_stream *s, gpu_view x, uint32_t count, gpu_view y)
{
    if (!op_has_act(s, "add", "x", x, 1, count) || !op_has_act(s, "add", "y", y, 1, count) ||
        !op_same_type(s, "add", x, y))
        return;
    op_flat f = op_flat_for(s, count, x.type);
    gpu_run(s, add, .bind = {x, y}, .push = &(struct gelu_params){.count = count},
            .spec = {f.size, f.turns, f.format}, .spec_count = 3, .groups = f.groups);
}
