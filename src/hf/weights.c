#include "hf/weights.h"

#include "base/file.h"
#include "hf/bundle.h"
#include "hf/safetensors.h"

#include <stdlib.h>
#include <string.h>

vkb_status hf_weights_open(vkb_context *ctx, const char *path, hf_weights *out)
{
    if (hf_bundle_is_index(path))
        return hf_bundle_weights(ctx, path, out);
    return hf_safetensors_weights(ctx, path, out);
}

void hf_weights_close(hf_weights *weights)
{
    if (weights->close)
        weights->close(weights->file);
    *weights = (hf_weights){0};
}

const hf_tensor *hf_weights_find(const hf_weights *weights, const char *name)
{
    return hf_tensor_find(weights->tensors, weights->tensor_count, name);
}
