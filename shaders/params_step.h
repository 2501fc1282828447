// params.h's part for the draws of dropout: a file of its own, so that the kernels whose SPIR-V is
// committed do not depend on all the others'.
#ifndef VKB_SHADERS_PARAMS_STEP_H
#define VKB_SHADERS_PARAMS_STEP_H

// Written by the host before a step: what changes from one to the next.
struct step_in {
    uint seed_low, seed_high;
    uint step;  // draws dropout
    uint epoch; // draws masks
    float lr;
    float bias_correction1; // 1 - beta1^t
    float bias_correction2; // 1 - beta2^t
    float max_grad_norm;    // <= 0: no clipping
    uint update;            // t, of the updates that were submitted
};

#endif
