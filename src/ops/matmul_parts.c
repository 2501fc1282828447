// Products with operands larger than what the device binds at once, as products of their parts: the
// embeddings of multilingual BERT and their logits have 350 MiB and more, llvmpipe binds 128.
#include "ops/matmul.h"

// Elements of any type that are 256 bytes or a multiple: the largest alignment that a device may ask for.
static uint32_t part_step(const op_matmul_params *p)
{
    return p->a.type == GPU_F32 && p->b.type == GPU_F32 && p->c.type == GPU_F32 ? 64 : 128;
}

typedef enum axis { AXIS_NONE, AXIS_M, AXIS_N, AXIS_K } axis;

// Values from the first to the last of a matrix.
static uint64_t extent(uint32_t rows, uint32_t cols, uint32_t ld)
{
    return rows && cols ? (uint64_t)(rows - 1) * ld + cols : 0;
}

static uint64_t extent_a(const op_matmul_params *p)
{
    return p->layout == OP_TN ? extent(p->k, p->m, p->lda) : extent(p->m, p->k, p->lda);
}

static uint64_t extent_b(const op_matmul_params *p)
{
    return p->layout == OP_NT ? extent(p->n, p->k, p->ldb) : extent(p->k, p->n, p->ldb);
}

static uint64_t extent_c(const op_matmul_params *p)
{
    return extent(p->m, p->n, p->ldc);
}

// The axis along whose rows an operand that is too large gets shorter.
static axis axis_to_cut(const op_matmul_params *p, uint64_t most)
{
    if (extent_c(p) > most)
        return p->m > part_step(p) ? AXIS_M : AXIS_NONE;
    if (extent_a(p) > most)
        return p->layout == OP_TN ? AXIS_K : AXIS_M;
    if (extent_b(p) > most)
        return p->layout == OP_NT ? AXIS_N : AXIS_K;
    return AXIS_NONE;
}

static gpu_view moved(gpu_view view, uint64_t elements)
{
    const uint64_t bytes = gpu_type_bytes(view.type) * elements;
    return (gpu_view){view.buffer, view.offset + bytes, view.bytes - bytes, view.type};
}

// The product of `count` of the axis from `first` on. Sums over k go on where the part before ended.
static op_matmul_params part_of(const op_matmul_params *whole, axis along, uint32_t first,
                                uint32_t count)
{
    op_matmul_params p = *whole;
    const uint64_t at = first;
    if (first && along == (p.layout == OP_TN ? AXIS_K : AXIS_M))
        p.used = (gpu_view){0}; // counts from the first row: none of these is left out
    switch (along) {
    case AXIS_M:
        p.a = moved(p.a, p.layout == OP_TN ? at : at * p.lda);
        p.c = moved(p.c, at * p.ldc);
        p.m = count;
        break;
    case AXIS_N:
        p.b = moved(p.b, p.layout == OP_NT ? at * p.ldb : at);
        p.c = moved(p.c, at);
        if (p.bias.buffer)
            p.bias = moved(p.bias, at);
        p.n = count;
        break;
    case AXIS_K:
        p.a = moved(p.a, p.layout == OP_TN ? at * p.lda : at);
        p.b = moved(p.b, p.layout == OP_NT ? at : at * p.ldb);
        p.k = count;
        if (first) {
            p.accumulate = true;
            p.bias = (gpu_view){0};
        }
        break;
    case AXIS_NONE:
        break;
    }
    return p;
}

static uint32_t length_of(const op_matmul_params *p, axis along)
{
    return along == AXIS_M ? p->m : along == AXIS_N ? p->n : p->k;
}

static void run_parts(gpu_stream *s, const op_matmul_params *whole, uint64_t most)
{
    const axis along = axis_to_cut(whole, most);
    const uint32_t length = length_of(whole, along);
    const uint32_t least = part_step(whole);
    if (along == AXIS_NONE || length <= least ||
        length <= whole->b_panel) { // too large still: the run says so
        op_matmul_params p = *whole;
        p.a = op_part(p.a, 0, extent_a(&p));
        p.b = op_part(p.b, 0, extent_b(&p));
        p.c = op_part(p.c, 0, extent_c(&p));
        op_matmul_bound(s, &p);
        return;
    }
    const uint32_t step = whole->b_panel > least ? whole->b_panel : least; // whole panels
    const uint32_t half = op_div_up(op_div_up(length, 2), step) * step;
    const op_matmul_params first = part_of(whole, along, 0, half),
                           rest = part_of(whole, along, half, length - half);
    run_parts(s, &first, most);
    run_parts(s, &rest, most);
}

static bool holds(gpu_view view, uint64_t elements)
{
    return view.buffer && view.bytes / gpu_type_bytes(view.type) >= elements;
}

void op_matmul_(gpu_stream *s, const op_matmul_params *params)
{
    op_matmul_params p = *params;
    // Of 16 bits too: lanes copy those into fp32.
    const uint64_t most = gpu_binding_limit(gpu_stream_device(s)) / 4;
    if (p.lda == 0)
        p.lda = p.layout == OP_TN ? p.m : p.k;
    if (p.ldb == 0)
        p.ldb = p.layout == OP_NT ? p.k : p.n;
    if (p.ldc == 0)
        p.ldc = p.n;
    const bool one = p.batch.outer <= 1 && p.batch.inner <= 1;
    // What is missing, or shorter than its shape, op_matmul_bound refuses; in the dry pass views of
    // scratch are not there yet.
    if (one && axis_to_cut(&p, most) != AXIS_NONE &&
        (gpu_is_dry(s) || (holds(p.a, extent_a(&p)) && holds(p.b, extent_b(&p)) &&
                           holds(p.c, extent_c(&p)) && (!p.bias.buffer || holds(p.bias, p.n))))) {
        const matmul_product whole = matmul_product_of(&p);
        if (!matmul_then_fits(s, &whole))
            return;
        p.then = (op_then){0};
        run_parts(s, &p, most);
        matmul_then_apart(s, &whole.p);
    } else
        op_matmul_bound(s, params);
}
