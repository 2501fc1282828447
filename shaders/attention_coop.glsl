// What the fused kernels of attention by cooperative matrices of a subgroup share
// (VK_KHR_cooperative_matrix): 16-bit q, k, v and gradients, fp32 scores, softmax and sums. Bindings, push
// constants and results are those of attention_fwd, attention_bwd_q and attention_bwd_kv, their plain
// twins. A shader that includes this defines ELEMENT, FORMAT (2: fp16, 3: bf16) and QUERIES_ARE_ROWS: 1,
// or 0 where keys are.
//
// A workgroup has ROWS rows of one head and goes over its columns, COLS at a time; a subgroup has FM of
// the rows for itself, so that what it makes of their scores waits for nobody else.
//
//   COOP_ROWS(x, b)            x[]: the fragments of this subgroup's rows of b, for all columns tiles
//   b_fetch(c0), b_keep(to)    a tile of columns' rows into registers; from there into `tiles`
//   COOP_DOTS(strip, x, at)    strip: x . the tile's rows, queries down, keys across, in fp32
//   COOP_EIGHTS(query, eight)  this invocation's share of a strip: keys 8 eight .. + 7 of a query
//   COOP_ADD(sum, w, at)       sum[] += w . the tile, with w as strips but of 16 bits
//   COOP_PUT(sum, factor, y, ld)  factor * sum[], rounded
//
// Fragments are FM x FN x FK, which the device advertises. All rows in shared memory have 16 bytes more,
// so that they begin at different banks. What the next tile needs is fetched while this one is worked on.
//
// Constants: 0 workgroup size = ROWS / FM * LANES; 1 WIDTH, the head's size rounded up to a multiple of
// 32; 2 COLS, 32 or 16; 3 DROP; 4 to 6 FM, FN, FK; 7 the subgroup's size LANES, a multiple of FM; 8 WIDE:
// heads, rows and strides are multiples of eight, else of four.
// Grid: attention_rows.glsl.
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "half.glsl"
#include "params.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint WIDTH = 64;
layout(constant_id = 2) const uint COLS = 32;
layout(constant_id = 4) const uint FM = 16;
layout(constant_id = 5) const uint FN = 16;
layout(constant_id = 6) const uint FK = 16;
layout(constant_id = 7) const uint LANES = 32;
layout(constant_id = 8) const uint WIDE = 1;
layout(push_constant) uniform push { attention_params p; };
#define KEYS_ALIGNED uint(p.row_length % 4 == 0)
#include "attention.glsl"
#include "attention_rows.glsl"

const uint SUBGROUPS = ROWS / FM;
const uint SIZE = SUBGROUPS * LANES;

// Two tiles of columns by eights, [COLS][WIDTH] each; before the loop, as much of the rows.
const uint TILE_ROW = WIDTH / 8 + 1;
const uint TILE = COLS * TILE_ROW;
const uint CHUNK = COLS < 32 ? WIDTH / 2 : WIDTH; // columns of the rows that find room at a time
const uint CHUNK_ROW = CHUNK / 8 + 1;
shared uvec4 tiles[2 * TILE > ROWS * CHUNK_ROW ? 2 * TILE : ROWS * CHUNK_ROW];

// Of each subgroup: scores, [queries][keys], and what becomes of them on its way into a product.
#if QUERIES_ARE_ROWS
#define QUERIES FM
#define KEYS COLS
#define STRIP_LAYOUT gl_CooperativeMatrixLayoutRowMajor
#define STRIP_COLUMN(c) ((c) / 4)
#define WEIGHT_COLUMN(c) ((c) / 8)
#else
#define QUERIES COLS
#define KEYS FM
#define STRIP_LAYOUT gl_CooperativeMatrixLayoutColumnMajor
#define STRIP_COLUMN(c) ((c) * STRIP_ROW)
#define WEIGHT_COLUMN(c) ((c) * WEIGHT_ROW)
#endif
const uint STRIP_ROW = KEYS / 4 + 1, STRIP = QUERIES * STRIP_ROW;
const uint WEIGHT_ROW = KEYS / 8 + 1, WEIGHT = QUERIES * WEIGHT_ROW;
shared vec4 scores[SUBGROUPS * STRIP];
shared uvec4 weights[SUBGROUPS * WEIGHT];

#define OWN_STRIP  (gl_SubgroupID * STRIP)
#define OWN_WEIGHT (gl_SubgroupID * WEIGHT)
#define OWN_ROW    (gl_SubgroupID * FM)

#define COOP_EIGHTS(query, eight)                                                                  \
    for (uint e_ = gl_SubgroupInvocationID, query = e_ % QUERIES, eight = e_ / QUERIES;            \
         e_ < QUERIES * KEYS / 8; e_ += LANES, query = e_ % QUERIES, eight = e_ / QUERIES)

#define COOP_A   coopmat<ELEMENT, gl_ScopeSubgroup, FM, FK, gl_MatrixUseA>
#define COOP_B   coopmat<ELEMENT, gl_ScopeSubgroup, FK, FN, gl_MatrixUseB>
#define COOP_SUM coopmat<float, gl_ScopeSubgroup, FM, FN, gl_MatrixUseAccumulator>

#define COOP_SUMS(sum)                                                                             \
    COOP_SUM sum[WIDTH / FN];                                                                      \
    [[unroll]] for (uint n_ = 0; n_ < WIDTH / FN; n_++)                                            \
        sum[n_] = COOP_SUM(0.0);

// ---- Rows and columns ----

// COOP_IN(n, b, ld) declares buffer b at binding n, rows ld elements apart, and b_eight(r, k, end): columns
// k .. k+7 of the head of token r, 0 beyond the head and from token `end` on.
#define COOP_IN(n, b, ld)                                                                          \
    layout(set = 0, binding = n) readonly buffer b##_eights { uvec4 b##8[]; };                     \
    layout(set = 0, binding = n) readonly buffer b##_fours { uvec2 b##4[]; };                      \
    uvec4 b##_eight(uint r_, uint k_, uint end_)                                                   \
    {                                                                                              \
        if (r_ >= end_ || k_ >= head_size)                                                         \
            return uvec4(0);                                                                       \
        uint at_ = head_start(r_, ld) + k_;                                                        \
        if (WIDE != 0)                                                                             \
            return b##8[at_ / 8];                                                                  \
        uvec2 high_ = uvec2(0);                                                                    \
        if (k_ + 4 < head_size)                                                                    \
            high_ = b##4[at_ / 4 + 1];                                                             \
        return uvec4(b##4[at_ / 4], high_);                                                        \
    }

#define COOP_ROWS(x, b)                                                                            \
    COOP_A x[WIDTH / FK];                                                                          \
    [[unroll]] for (uint k0_ = 0; k0_ < WIDTH; k0_ += CHUNK) {                                     \
        barrier();                                                                                 \
        for (uint e_ = gl_LocalInvocationIndex; e_ < ROWS * CHUNK / 8; e_ += SIZE) {               \
            uint r_ = e_ / (CHUNK / 8), eight_ = e_ % (CHUNK / 8);                                 \
            tiles[r_ * CHUNK_ROW + eight_] = b##_eight(row0 + r_, k0_ + 8 * eight_, p.row_length); \
        }                                                                                          \
        barrier();                                                                                 \
        [[unroll]] for (uint k_ = 0; k_ < CHUNK; k_ += FK)                                         \
            coopMatLoad(x[(k0_ + k_) / FK], tiles, OWN_ROW * CHUNK_ROW + k_ / 8, CHUNK_ROW,        \
                        gl_CooperativeMatrixLayoutRowMajor);                                       \
    }

const uint LOADS = (COLS * WIDTH / 8 + SIZE - 1) / SIZE; // eights of a tile that an invocation fetches

#define COOP_COLUMNS(b)                                                                            \
    uvec4 b##_next[LOADS];                                                                         \
    void b##_fetch(uint c0)                                                                        \
    {                                                                                              \
        [[unroll]] for (uint i = 0; i < LOADS; i++) {                                              \
            uint q_ = i * SIZE + gl_LocalInvocationIndex;                                          \
            b##_next[i] = b##_eight(c0 + q_ / (WIDTH / 8), q_ % (WIDTH / 8) * 8, end_seen);        \
        }                                                                                          \
    }                                                                                              \
    void b##_keep(uint to)                                                                         \
    {                                                                                              \
        [[unroll]] for (uint i = 0; i < LOADS; i++) {                                              \
            uint q_ = i * SIZE + gl_LocalInvocationIndex;                                          \
            if (q_ < COLS * WIDTH / 8)                                                             \
                tiles[to + q_ / (WIDTH / 8) * TILE_ROW + q_ % (WIDTH / 8)] = b##_next[i];          \
        }                                                                                          \
    }

uint segment_at(uint token, uint end)
{
    uint s = 0;
    if (token < end)
        s = segments[first_token + token];
    return s;
}

// ---- Products ----

#define COOP_DOTS(strip, x, at)                                                                    \
    [[unroll]] for (uint j_ = 0; j_ < COLS; j_ += FN) {                                            \
        COOP_SUM dots_ = COOP_SUM(0.0);                                                            \
        [[unroll]] for (uint k_ = 0; k_ < WIDTH; k_ += FK) {                                       \
            COOP_B y_;                                                                             \
            coopMatLoad(y_, tiles, (at) + j_ * TILE_ROW + k_ / 8, TILE_ROW,                        \
                        gl_CooperativeMatrixLayoutColumnMajor);                                    \
            dots_ = coopMatMulAdd(x[k_ / FK], y_, dots_);                                          \
        }                                                                                          \
        coopMatStore(dots_, strip, OWN_STRIP + STRIP_COLUMN(j_), STRIP_ROW, STRIP_LAYOUT);         \
    }

#define COOP_ADD(sum, w, at)                                                                       \
    [[unroll]] for (uint k_ = 0; k_ < COLS; k_ += FK) {                                            \
        COOP_A w_;                                                                                 \
        coopMatLoad(w_, w, OWN_WEIGHT + WEIGHT_COLUMN(k_), WEIGHT_ROW, STRIP_LAYOUT);              \
        [[unroll]] for (uint n_ = 0; n_ < WIDTH; n_ += FN) {                                       \
            COOP_B z_;                                                                             \
            coopMatLoad(z_, tiles, (at) + k_ * TILE_ROW + n_ / 8, TILE_ROW,                        \
                        gl_CooperativeMatrixLayoutRowMajor);                                       \
            sum[n_ / FN] = coopMatMulAdd(w_, z_, sum[n_ / FN]);                                    \
        }                                                                                          \
    }

// A fragment at a time by way of `scores`. factor: of row_, counted within the workgroup.
#define COOP_PUT(sum, factor, y, ld)                                                               \
    [[unroll]] for (uint n_ = 0; n_ < WIDTH; n_ += FN) {                                           \
        subgroupBarrier();                                                                         \
        coopMatStore(sum[n_ / FN], scores, OWN_STRIP, FN / 4, gl_CooperativeMatrixLayoutRowMajor); \
        subgroupBarrier();                                                                         \
        for (uint e_ = gl_SubgroupInvocationID; e_ < FM * FN / 4; e_ += LANES) {                   \
            uint row_ = OWN_ROW + e_ / (FN / 4), k_ = n_ + e_ % (FN / 4) * 4;                      \
            if (row0 + row_ < p.row_length && k_ < head_size)                                      \
                y[(head_start(row0 + row_, ld) + k_) / 4] =                                        \
                    half_pack(FORMAT, (factor) * scores[OWN_STRIP + e_]);                          \
        }                                                                                          \
    }
