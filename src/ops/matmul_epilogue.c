// What follows a product (op_then): what its kernel is given to do it too, and the kernels that do it
// otherwise. shaders/epilogue.glsl gives the bits of those, but for the order of bias_grad's sums.
#include "ops/columns.h"
#include "ops/matmul.h"

// The end of a sub-layer as the product makes it.
static op_residual_norm norm_of(const op_matmul_params *p)
{
    op_residual_norm n = *p->then.norm;
    n.x = n.sum = p->c;
    n.rows = p->m;
    n.cols = p->n;
    return n;
}

bool matmul_then_fits(gpu_stream *s, const matmul_product *x)
{
    static const char op[] = "op_matmul";
    const op_matmul_params *p = &x->p;
    const op_then *t = &p->then;
    if (t->kind == OP_THEN_NOTHING)
        return true;
    if (!op_must(s,
                 x->batch == 1 && p->ldc == p->n && p->alpha == 1 && !p->accumulate &&
                     !p->used.buffer && (t->kind == OP_THEN_GELU || !p->bias.buffer),
                 op, "nothing can follow this product: only one, of all rows, into a dense c"))
        return false;
    if (t->kind == OP_THEN_NORM) {
        const op_residual_norm n = norm_of(p);
        return op_residual_norm_fits(s, &n);
    }
    const bool back = t->kind == OP_THEN_GELU_BACK;
    return (!back || (op_has_act(s, op, "before", t->before, p->m, p->n) &&
                      op_same_type(s, op, p->c, t->before) &&
                      op_has(s, op, "bias_grad", t->bias_grad, p->n))) &&
           ((back && !t->gelu.buffer) ||
            (op_has_act(s, op, "gelu", t->gelu, p->m, p->n) && op_same_type(s, op, p->c, t->gelu)));
}

bool matmul_is_fused(const vkb_device *dev, const matmul_product *x, const matmul_family *family,
                     const matmul_variant *v)
{
    const vkb_device_info *info = vkb_device_get_info(dev);
    const op_then_kind kind = x->p.then.kind;
    return kind != OP_THEN_NOTHING && !op_info_is_software(info) && family->fuses &&
           v->numbers[MATMUL_PARTS] == 0 && family->fuses(info, x, v->numbers) &&
           !gpu_note(dev, GPU_NOTE_FAULT, matmul_then_name(v, kind).text);
}

matmul_fused matmul_fuse(gpu_stream *s, const matmul_product *x, uint32_t rows)
{
    const op_matmul_params *p = &x->p;
    const op_then *t = &p->then;
    const uint32_t tanh_form = t->form == VKB_GELU_TANH ? MATMUL_TANH : 0;
    matmul_fused f = {.bias = p->bias};
    switch (t->kind) {
    case OP_THEN_NOTHING:
        break;
    case OP_THEN_GELU:
        f.constant = MATMUL_GELU | tanh_form;
        f.second = t->gelu;
        break;
    case OP_THEN_GELU_BACK:
        f.constant = MATMUL_GELU_BACK | tanh_form | (t->gelu.buffer ? MATMUL_SECOND : 0);
        f.beside = t->before;
        f.second = t->gelu;
        f.chunks = op_div_up(p->m, rows);
        f.partial = gpu_scratch(s, MATMUL_SCRATCH_A, 4ull * f.chunks * p->n);
        break;
    case OP_THEN_NORM:
        f.constant = MATMUL_RESIDUAL | (t->norm->dropout.p > 0 ? MATMUL_DROPS : 0);
        f.bias = t->norm->x_bias;
        f.beside = t->norm->residual;
        f.step = t->norm->dropout.p > 0 ? t->norm->dropout.step : (gpu_view){0};
        break;
    }
    return f;
}

double matmul_fused_bytes(const matmul_product *x, const matmul_fused *f)
{
    const double c = (double)gpu_type_bytes(x->c.view.type) * x->p.m * x->p.n;
    return c * ((f->beside.buffer ? 1 : 0) + (f->second.buffer ? 1 : 0)) + 4.0 * f->chunks * x->p.n;
}

void matmul_fused_end(gpu_stream *s, const matmul_product *x, const matmul_fused *f)
{
    const op_matmul_params *p = &x->p;
    if (p->then.kind == OP_THEN_GELU_BACK)
        columns_finish(s, f->partial, f->chunks, p->n, p->then.accumulate, &p->then.bias_grad, 1);
    if (p->then.kind == OP_THEN_NORM) {
        const op_residual_norm n = norm_of(p);
        op_layernorm_fwd(s, n.sum, n.gain, n.bias, n.rows, n.cols, n.eps, n.y, n.stat);
    }
}

void matmul_then_apart(gpu_stream *s, const op_matmul_params *p)
{
    const op_then *t = &p->then;
    switch (t->kind) {
    case OP_THEN_NOTHING:
        break;
    case OP_THEN_GELU:
        op_gelu_fwd(s, p->c, p->m * p->n, t->form, t->gelu);
        break;
    case OP_THEN_GELU_BACK:
        if (t->gelu.buffer)
            op_gelu_fwd(s, t->before, p->m * p->n, t->form, t->gelu);
        op_gelu_bwd(s, t->before, p->c, p->m, p->n, t->form, t->accumulate, p->c, t->bias_grad);
        break;
    case OP_THEN_NORM: {
        const op_residual_norm n = norm_of(p);
        op_residual_norm_fwd(s, &n);
        break;
    }
    }
}
