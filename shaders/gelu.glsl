// GELU x * Phi(x), Phi the normal distribution, and its slope Phi(x) + x * phi(x), in two forms: a
// kernel declares TANH, then includes this.

// tanh form: Phi(x) is about (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)),
// u = sqrt(2/pi) (x + 0.044715 x^3)
const float TWO_SQRT_2_OVER_PI = 1.5957691216057308;

// erf form: Phi(x) = erfc(-x / sqrt 2) / 2, by Abramowitz and Stegun, Handbook of Mathematical
// Functions, 7.1.26: erfc(z) = (a1 t + ... + a5 t^5) exp(-z^2) + e, t = 1 / (1 + p z), |e| <=
// 1.5e-7 for z >= 0. Taken as erfc, not 1 - erf, the negative side keeps its digits.
vec4 gelu_phi(vec4 x, vec4 bell)
{
    vec4 t = 1 / (1 + 0.3275911 * 0.7071067811865476 * abs(x));
    vec4 tail = 0.5 * bell * t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 +
                t * (-1.453152027 + t * 1.061405429))));
    return mix(tail, 1 - tail, greaterThanEqual(x, vec4(0)));
}

vec4 gelu(vec4 x)
{
    if (TANH != 0)
        return x / (1 + exp(-TWO_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
    return x * gelu_phi(x, exp(-0.5 * x * x));
}

vec4 gelu_slope(vec4 x)
{
    if (TANH != 0) {
        vec4 s = 1 / (1 + exp(-TWO_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
        return s + x * s * (1 - s) * TWO_SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x);
    }
    vec4 bell = exp(-0.5 * x * x);
    return gelu_phi(x, bell) + x * bell * 0.3989422804014327; // 1 / sqrt(2 pi)
}
