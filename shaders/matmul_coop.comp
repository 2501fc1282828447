// Products of fp16 operands by cooperative matrices: see matmul_coop.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define ELEMENT float16_t
#include "matmul_coop.glsl"
