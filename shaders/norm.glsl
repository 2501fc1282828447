// The second half of a LayerNorm whose first has written `sum` and added it up: statistics of what sum
// keeps, and y. A kernel declares sum, gain, bias, y and stat (ROW4, ACT4), and NORM_OUT(v, i), what
// becomes of a normalised four; then includes this. Behind rows.glsl.
//
// On GPUs a row of up to 1024 is one turn of its workgroup, which keeps it.
vec4 norm_own = vec4(0);

// Sets the four, and returns it as sum keeps it. Terms behind the row's end must be 0.
vec4 norm_sum(uint i, uint begin, uint end, vec4 v)
{
    v = row4_kept(v); // statistics are of what the backward reads
    sum_put(i, end, v);
    if (i - begin == row_first())
        norm_own = v;
    return v;
}

vec4 norm_sum_at(uint i, uint begin, uint end)
{
    return SHARED_BY != 2 && i - begin == row_first() ? norm_own : sum_at(i, end);
}

// total: of this invocation's fours. Two passes: one-pass variance, E x^2 - (E x)^2, loses the digits.
void norm_row(uint row, uint cols, float eps, vec4 total)
{
    uint begin = row * cols, end = begin + cols;
    float mean = group_add(dot(total, vec4(1))) / cols;

    vec4 squares = vec4(0);
    ROW_LOOP(i, begin, end) {
        vec4 d = (norm_sum_at(i, begin, end) - mean) * row4_valid(i, end);
        squares += d * d;
    }
    float rstd = 1 / sqrt(group_add(dot(squares, vec4(1))) / cols + eps);

    ROW_LOOP(i, begin, end) {
        uint c = i - begin;
        vec4 n = (norm_sum_at(i, begin, end) - mean) * rstd;
        y_put(i, end, NORM_OUT(n * gain_at(c, cols) + bias_at(c, cols), i));
    }
    if (row_first() == 0)
        stat[row] = vec2(mean, rstd);
}
