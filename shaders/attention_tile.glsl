// What the fused kernels of attention share (Dao, "FlashAttention-2", 2023): a workgroup of 128 has
// ROWS rows of one head (queries, or keys in the gradient of keys and values) and goes over the COLS
// columns of a tile at a time (keys, or queries). Nothing of [length][length] leaves the workgroup.
//
//   TILE_DOTS(t, x, y, c0)      t[i][j] = row i of x . column j of y, over the head
//   tile_store(j, four)         weights of four rows and column j, into shared memory
//   TILE_ADD(sum, z, c0)        sum += weights z: a row of sum is as wide as the head
//
// Invocation (tm, tn) of 16 x 8 has rows 4 tm .. + 3, columns 4 tn .. + 3 of a tile, and fours tn, tn + 8
// ... of a row's sums. Shared memory: 15,408 bytes, so that every device of Vulkan 1.2 has room.
//
// Constants: 0 workgroup size 128; 1 WIDTH, the head's size rounded up to 32, 64 or 128; 2 FORMAT
// (row4.glsl), fours where the head's size and all rows are such; 3 DROP; 4 UNROLL, steps of a product in
// a turn of its loop.
// Grid: attention_rows.glsl.
#extension GL_EXT_control_flow_attributes : require
#include "row4.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint WIDTH = 64;
layout(constant_id = 4) const uint UNROLL = 8;
layout(push_constant) uniform push { attention_params p; };
#define KEYS_ALIGNED uint(p.row_length % 4 == 0)
#include "attention.glsl"
#include "attention_rows.glsl"

const uint COLS = 32, DEPTH = 16;
const uint ROWS4 = ROWS / 4 + 1, COLS4 = COLS / 4 + 1; // a vec4 more: banks
const uint FOURS = WIDTH / 32;                         // of a row's sums, an invocation
const uint Z_ROWS = 1024 / WIDTH;                      // rows of z at a time

shared vec4 tile[DEPTH * (ROWS4 + COLS4)]; // [depth][rows], then [depth][columns]; or z: [Z_ROWS][WIDTH]
shared vec4 weights[COLS * ROWS4];         // [column][rows]

// ---- Where this workgroup is ----

uint tm, tn;

bool tile_begin()
{
    tm = gl_LocalInvocationID.x / 8;
    tn = gl_LocalInvocationID.x % 8;
    return rows_begin();
}

// Of tokens r .. r+3 of this row; 0 beyond the last.
uvec4 segments_at(uint r)
{
    uvec4 four = uvec4(0);
    [[unroll]] for (uint j = 0; j < 4; j++)
        if (r + j < p.row_length)
            four[j] = segments[first_token + r + j];
    return four;
}

// Which of four keys and four queries dropout keeps: bit 4 i + j, key0 + j of query0 + i. A loop,
// because draws are long: unrolled they fill the instruction cache.
uint kept_bits(uint query0, uint key0)
{
    uint bits = 0;
    [[dont_unroll]] for (uint i = 0; i < 4; i++) {
        bvec4 kept = kept_from((head_index * p.row_length + query0 + i) * p.row_length + key0);
        bits |= uint(dot(vec4(kept), vec4(1, 2, 4, 8))) << 4 * i;
    }
    return bits;
}

// 1 / keep for the keys that query i keeps, 0 for the others.
vec4 kept_scale(uint bits, uint i)
{
    return vec4(notEqual(bits >> (4 * i) & uvec4(1, 2, 4, 8), uvec4(0))) / p.keep;
}

// ---- Products ----

// TILE_IN(n, b, ld) declares buffer b at binding n (ACT4_IN), its rows ld elements apart, and
//   b_four(r, k)              columns k .. k+3 of the head of token r; 0 beyond the head and the length
//   b_across(to, n, r0, k0)   4 n tokens from r0, DEPTH columns from k0, into the tile, columns first
//   b_along(r0)               Z_ROWS tokens from r0, all columns, into the tile
#define TILE_IN(n, b, ld)                                                                          \
    ACT4_IN(n, b)                                                                                  \
    vec4 b##_four(uint r_, uint k_)                                                                \
    {                                                                                              \
        if (r_ >= p.row_length || k_ >= head_size)                                                 \
            return vec4(0);                                                                        \
        return b##_at(head_start(r_, ld) + k_, head_start(r_, ld) + head_size);                    \
    }                                                                                              \
    void b##_across(uint to_, uint n_, uint r0_, uint k0_)                                         \
    {                                                                                              \
        for (uint e_ = gl_LocalInvocationID.x; e_ < n_ * DEPTH; e_ += gl_WorkGroupSize.x) {        \
            uint r_ = e_ / (DEPTH / 4), k_ = e_ % (DEPTH / 4) * 4;                                 \
            vec4 four_ = b##_four(r0_ + r_, k0_ + k_);                                             \
            [[unroll]] for (uint j_ = 0; j_ < 4; j_++)                                             \
                tile[to_ + (k_ + j_) * (n_ + 1) + r_ / 4][r_ % 4] = four_[j_];                     \
        }                                                                                          \
    }                                                                                              \
    void b##_along(uint r0_)                                                                       \
    {                                                                                              \
        for (uint e_ = gl_LocalInvocationID.x; e_ < Z_ROWS * WIDTH / 4; e_ += gl_WorkGroupSize.x)  \
            tile[e_] = b##_four(r0_ + e_ / (WIDTH / 4), e_ % (WIDTH / 4) * 4);                     \
    }

// for (k = 0; k < count; k++), UNROLL steps a turn.
#define TILE_STEPS(k, count)                                                                       \
    [[dont_unroll]] for (uint turn_ = 0; turn_ < (count); turn_ += UNROLL)                         \
        [[unroll]] for (uint step_ = 0, k = turn_; step_ < UNROLL; step_++, k++)

void tile_multiply(inout vec4 t[4])
{
    TILE_STEPS(k, DEPTH)
    {
        vec4 x = tile[k * ROWS4 + tm], y = tile[DEPTH * ROWS4 + k * COLS4 + tn];
        t[0] += x.x * y;
        t[1] += x.y * y;
        t[2] += x.z * y;
        t[3] += x.w * y;
    }
}

// Barriers: the tile's last readers are through, then it is there.
#define TILE_DOTS(t, x, y, c0)                                                                     \
    vec4 t[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));                                       \
    for (uint k0_ = 0; k0_ < head_size; k0_ += DEPTH) {                                            \
        barrier();                                                                                 \
        x##_across(0, ROWS4 - 1, row0, k0_);                                                       \
        y##_across(DEPTH * ROWS4, COLS4 - 1, c0, k0_);                                             \
        barrier();                                                                                 \
        tile_multiply(t);                                                                          \
    }

void tile_store(uint j, vec4 four)
{
    weights[(4 * tn + j) * ROWS4 + tm] = four;
}

// The first barrier also lets everyone's tile_store through.
#define TILE_ADD(sum, from, c0)                                                                    \
    for (uint part_ = 0; part_ < COLS; part_ += Z_ROWS) {                                          \
        barrier();                                                                                 \
        from##_along(c0 + part_);                                                                  \
        barrier();                                                                                 \
        TILE_STEPS(r_, Z_ROWS)                                                                     \
        {                                                                                          \
            vec4 w_ = weights[(part_ + r_) * ROWS4 + tm];                                          \
            [[unroll]] for (uint f_ = 0; f_ < FOURS; f_++) {                                       \
                vec4 z_ = tile[r_ * (WIDTH / 4) + 8 * f_ + tn];                                    \
                sum[f_][0] += w_.x * z_;                                                           \
                sum[f_][1] += w_.y * z_;                                                           \
                sum[f_][2] += w_.z * z_;                                                           \
                sum[f_][3] += w_.w * z_;                                                           \
            }                                                                                      \
        }                                                                                          \
    }

#define TILE_SUMS(sum)                                                                             \
    vec4 sum[FOURS][4];                                                                            \
    [[unroll]] for (uint f_ = 0; f_ < FOURS; f_++)                                                 \
        [[unroll]] for (uint i_ = 0; i_ < 4; i_++)                                                 \
            sum[f_][i_] = vec4(0);

// Rows of sum, scaled by scale[i], into buffer y of ACT4_OUT, its rows ld elements apart. One store in a
// loop, and the four picked for it: a branch around each of many stores compiles for seconds on software
// drivers.
#define TILE_PUT(sum, scale, y, ld)                                                                \
    [[dont_unroll]] for (uint n_ = 0; n_ < 4 * FOURS; n_++) {                                      \
        vec4 four_ = vec4(0);                                                                      \
        [[unroll]] for (uint f_ = 0; f_ < FOURS; f_++)                                             \
            [[unroll]] for (uint i_ = 0; i_ < 4; i_++)                                             \
                four_ = n_ == 4 * f_ + i_ ? sum[f_][i_] * scale[i_] : four_;                       \
        uint r_ = row0 + 4 * tm + n_ % 4, k_ = 4 * (n_ / 4 * 8 + tn);                              \
        if (r_ < p.row_length && k_ < head_size)                                                   \
            y##_put(head_start(r_, ld) + k_, head_start(r_, ld) + head_size, four_);               \
    }

// ---- Sums and maxima over the eight invocations that share four rows ----

vec4 rows_add(vec4 x)
{
    barrier();
    weights[tn * ROWS4 + tm] = x;
    barrier();
    vec4 sum = vec4(0);
    [[unroll]] for (uint n = 0; n < 8; n++)
        sum += weights[n * ROWS4 + tm];
    barrier();
    return sum;
}

vec4 rows_max(vec4 x)
{
    barrier();
    weights[tn * ROWS4 + tm] = x;
    barrier();
    [[unroll]] for (uint n = 0; n < 8; n++)
        x = max(x, weights[n * ROWS4 + tm]);
    barrier();
    return x;
}
