// Which variant a product gets when it is recorded: the one in use for it (tune.h), else the best guess
// that no fault is known of. And the names of products and variants, in notes, tables and log lines.
#include "ops/matmul.h"

#include <stdio.h>
#include <string.h>

matmul_name matmul_name_of(const op_matmul_params *params)
{
    static const char *const layouts[] = {[OP_NT] = "NT", [OP_NN] = "NN", [OP_TN] = "TN"};
    static const char *const types[] = {[GPU_F32] = "f32", [GPU_F16] = "f16", [GPU_BF16] = "bf16"};
    const matmul_key key = matmul_key_of(params);
    matmul_name name;
    char batch[16] = "", b[8] = "";
    if (key.batch > 1)
        snprintf(batch, sizeof(batch), " x%u", key.batch);
    if (key.b != key.a)
        snprintf(b, sizeof(b), ",%s", types[key.b]);
    snprintf(name.text, sizeof(name.text), "%s %ux%ux%u%s %s%s-%s%s%s%s", layouts[key.layout],
             key.m, key.n, key.k, batch, types[key.a], b, types[key.c],
             key.flags & MATMUL_HAS_BIAS ? " bias" : "",
             key.flags & MATMUL_ACCUMULATES ? " add" : "",
             key.flags & MATMUL_IN_EIGHTS ? "" : " odd");
    return name;
}

matmul_name matmul_variant_name(const matmul_variant *variant)
{
    matmul_name name;
    size_t count = MATMUL_NUMBERS;
    while (count > 0 && variant->numbers[count - 1] == 0)
        count--;
    int used = snprintf(name.text, sizeof(name.text), "%s", variant->family);
    for (size_t i = 0; i < count && used < (int)sizeof(name.text); i++)
        used += snprintf(name.text + used, sizeof(name.text) - (size_t)used, " %u",
                         variant->numbers[i]);
    return name;
}

matmul_name matmul_then_name(const matmul_variant *variant, op_then_kind kind)
{
    static const char *const kinds[] = {[OP_THEN_NOTHING] = "nothing",
                                        [OP_THEN_GELU] = "gelu",
                                        [OP_THEN_GELU_BACK] = "gelu backward",
                                        [OP_THEN_NORM] = "residual"};
    const matmul_name plain = matmul_variant_name(variant);
    matmul_name name;
    snprintf(name.text, sizeof(name.text), "%.70s then %s", plain.text, kinds[kind]);
    return name;
}

bool matmul_choose(const vkb_device *dev, const op_matmul_params *params, matmul_variant *out)
{
    matmul_variant admitted[MATMUL_VARIANTS];
    const matmul_name product = matmul_name_of(params);
    const char *in_use = gpu_note(dev, GPU_NOTE_IN_USE, product.text);
    const size_t count = matmul_variants(dev, params, admitted, MATMUL_VARIANTS);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        const matmul_name name = matmul_variant_name(&admitted[i]);
        const bool meant = in_use && strcmp(in_use, name.text) == 0;
        if ((found && !meant) || gpu_note(dev, GPU_NOTE_FAULT, name.text))
            continue;
        *out = admitted[i];
        found = true;
        if (meant || !in_use)
            break;
    }
    return found;
}
