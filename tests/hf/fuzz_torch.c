// libFuzzer: any bytes as pytorch_model.bin, of both containers. What opens can be read to its last
// element.
#include "tests/temp.h"

#include "hf/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vkb_context *ctx;
    static char *folder;
    if (!ctx) {
        ctx = vkb_context_create(NULL, NULL);
        folder = temp_folder();
    }
    hf_weights weights = {0};
    temp_write(folder, "x.bin", data, size);
    if (hf_weights_open(ctx, temp_path(folder, "x.bin"), &weights) != VKB_OK)
        return 0;
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < weights.tensor_count; i++) {
        const hf_tensor *tensor = &weights.tensors[i];
        float value;
        if (tensor->bytes > size)
            abort();
        for (uint64_t k = 0; k < tensor->bytes && !tensor->strided; k++)
            sum = (uint8_t)(sum + tensor->data[k]);
        for (uint64_t k = 0; k < tensor->count; k++)
            hf_tensor_to_f32(tensor, k, 1, &value);
        if (hf_weights_find(&weights, tensor->name) != tensor)
            abort();
    }
    hf_weights_close(&weights);
    return 0;
}
