// Attention in bf16 by cooperative matrices: see attention_coop_bwd_q.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_bfloat16 : require
#define ELEMENT bfloat16_t
#define FORMAT  3
#include "attention_coop_bwd_q.glsl"
