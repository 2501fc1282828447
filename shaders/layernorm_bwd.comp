// LayerNorm's backward with all that reads the same tensors. With dz = dy, or dropout(dy) where one stood
// behind the LayerNorm, g = dz * gain and n = (x - mean) * rstd:
//
//     dx = rstd * (g - average(g) - n * average(g * n)),  dropped = dropout(dx), of one before the addition
//     partial sums over the rows of dz * n (gain's gradient), of dz (bias'), of dropped or else dx (x_bias')
//
//   0  step  step_in          in, unread without dropout   4  dy       act[rows][cols]          in
//   1  x     act[rows][cols]  in                           5  dx       act[rows][cols]          out, may be dy
//   2  gain  f32[cols]        in                           6  dropped  act[rows][cols]          out, with BELOW only
//   3  stat  f32[rows][2]     in: mean, rstd               7  partial  f32[SUMS][chunks][cols]  out, columns_finish
//
// Constants: 0 workgroup size, 1 it is one subgroup (reduce.glsl), 2 FORMAT (row4.glsl), 3 ABOVE: dropout of dy,
// 4 BELOW: of dx, 5 SUMS: 2, or 3 with x_bias'. Grid: one workgroup a chunk of rows.
//
// Each subgroup finds the averages of a row at a time. Then an invocation goes down its columns, where sums stay in
// registers; what it reads again is still in the cache.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "params.h"
#include "index.glsl"
#include "row4.glsl"
#include "drop4.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ONE_SUBGROUP = 0;
layout(constant_id = 3) const uint ABOVE = 1;
layout(constant_id = 4) const uint BELOW = 1;
layout(constant_id = 5) const uint SUMS = 3;

layout(set = 0, binding = 0) readonly buffer step_buffer { step_in now; };
ACT4_IN(1, x)
ROW4_IN(2, gain)
layout(set = 0, binding = 3) readonly buffer stat_buffer { vec2 stat[]; };
ACT4_IN(4, dy)
ACT4_OUT(5, dx)
ACT4_OUT(6, dropped)
ROW4_OUT(7, partial)
layout(push_constant) uniform push { layernorm_bwd_params p; };

shared vec4 row_values[LAYERNORM_BWD_ROWS]; // mean, rstd, average(g), average(g * n)

vec4 dz_at(uvec3 draw, uint i, uint end)
{
    return ABOVE != 0 ? drop4(dy_at(i, end), draw, i, p.site_above, p.keep_above) : dy_at(i, end);
}

void find_averages(uvec3 draw, uint first, uint last)
{
    // Whatever the subgroup's size is and however it is filled.
    uint mates = subgroupAdd(1u), me = subgroupExclusiveAdd(1u);
    for (uint row = first + gl_SubgroupID; row < last; row += gl_NumSubgroups) {
        uint begin = row * p.cols, end = begin + p.cols;
        vec2 s = stat[row];
        vec4 sum_g = vec4(0), sum_gn = vec4(0); // dz and gain are 0 behind the end of the row
        for (uint i = begin + 4 * me; i < end; i += 4 * mates) {
            vec4 g = dz_at(draw, i, end) * gain_at(i - begin, p.cols);
            sum_g += g;
            sum_gn += g * ((x_at(i, end) - s.x) * s.y);
        }
        float average_g = subgroupAdd(dot(sum_g, vec4(1))) / p.cols;
        float average_gn = subgroupAdd(dot(sum_gn, vec4(1))) / p.cols;
        if (subgroupElect())
            row_values[row - first] = vec4(s, average_g, average_gn);
    }
}

vec4 sum_gain = vec4(0), sum_bias = vec4(0), sum_x_bias = vec4(0); // of the invocation's columns

void down_a_row(uvec3 draw, uint col, vec4 gains, uint row, vec4 r)
{
    uint i = row * p.cols + col, end = (row + 1) * p.cols;
    vec4 dz = dz_at(draw, i, end), n = (x_at(i, end) - r.x) * r.y;
    vec4 d = r.y * (dz * gains - r.z - n * r.w);
    dx_put(i, end, d);
    sum_gain += dz * n;
    sum_bias += dz;
    if (BELOW != 0) {
        d = drop4(d, draw, i, p.site_below, p.keep_below);
        dropped_put(i, end, d);
    }
    sum_x_bias += d;
}

void down_columns(uvec3 draw, uint col, uint first, uint last, uint chunk)
{
    sum_gain = sum_bias = sum_x_bias = vec4(0);
    vec4 gains = gain_at(col, p.cols);
    for (uint row = first; row < last; row++)
        down_a_row(draw, col, gains, row, row_values[row - first]);

    uint i = chunk * p.cols + col, end = (chunk + 1) * p.cols, next = p.chunks * p.cols;
    partial_put(i, end, sum_gain);
    partial_put(next + i, next + end, sum_bias);
    if (SUMS == 3)
        partial_put(2 * next + i, 2 * next + end, sum_x_bias);
}

void main()
{
    uint chunk = group_index();
    if (chunk >= p.chunks)
        return;
    uint first = chunk * p.rows_per_chunk, last = min(first + p.rows_per_chunk, p.rows);
    uvec3 draw = uvec3(0);
    if (ABOVE != 0 || BELOW != 0)
        draw = uvec3(now.seed_low, now.seed_high, now.step);
    find_averages(draw, first, last);
    groupMemoryBarrier();
    if (ONE_SUBGROUP == 0)
        barrier();
    for (uint col = 4 * gl_LocalInvocationID.x; col < p.cols; col += 4 * gl_WorkGroupSize.x)
        down_columns(draw, col, first, last, chunk);
}
