// Dropout, alone or before a residual addition, and addition. The draws are a pure function of the
// step's seed and number, the site, and the element: the backward asks for the same site and gets
// the same draws, nothing is kept.
#include "ops/internal.h"

static bool dropout_checks(gpu_stream *s, const char *op, op_dropout d, gpu_view x, uint32_t count,
                           gpu_view y)
{
    return op_must(s, d.p >= 0 && d.p <= 1, op, "the probability is not within 0 and 1") &&
           (d.p == 0 || op_has(s, op, "step", d.step, sizeof(struct step_in) / 4)) &&
           op_has_act(s, op, "x", x, 1, count) && op_has_act(s, op, "y", y, 1, count) &&
           op_same_type(s, op, x, y);
}

// A binding must be given something even where the kernel does not look at it.
static gpu_view dropout_step(op_dropout d, gpu_view x)
{
    return d.p > 0 ? d.step : x;
}

static bool same_view(gpu_view a, gpu_view b)
{
    return a.buffer == b.buffer && a.offset == b.offset;
}

void op_dropout_apply(gpu_stream *s, op_dropout d, gpu_view x, uint32_t count, gpu_view y)
{
    if (!dropout_checks(s, "dropout", d, x, count, y) || (d.p == 0 && same_view(x, y)))
        return;
    op_flat f = op_flat_for(s, count, x.type);
    gpu_run(s, dropout, .bind = {dropout_step(d, x), x, y},
            .push = &(struct dropout_params){.count = count, .site = d.site, .keep = 1 - d.p},
            .spec = {f.size, f.turns, f.format, d.p > 0}, .spec_count = 4, .groups = f.groups);
}

void op_dropout_add(gpu_stream *s, op_dropout d, gpu_view x, gpu_view residual, uint32_t count,
                    gpu_view y)
{
    if (!dropout_checks(s, "dropout_add", d, x, count, y) ||
        !op_has_act(s, "dropout_add", "residual", residual, 1, count) ||
        !op_same_type(s, "dropout_add", x, residual))
        return;
    op_flat f = op_flat_for(s, count, x.type);
    gpu_run(s, dropout_add, .bind = {dropout_step(d, x), x, residual, y},
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
