// Attention in fp16 by cooperative matrices: see attention_coop_bwd_kv.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define ELEMENT float16_t
#define FORMAT  2
#include "attention_coop_bwd_kv.glsl"
