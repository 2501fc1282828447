// Products of bf16 operands by cooperative matrices: see matmul_coop.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_bfloat16 : require
#define ELEMENT bfloat16_t
#include "matmul_coop.glsl"
