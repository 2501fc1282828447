// libFuzzer: any bytes as model.safetensors. What opens can be read to its last byte.
//
//     cmake -B build-fuzz -DCMAKE_C_COMPILER=clang -DVKBERT_FUZZ=ON \
//           -DVKBERT_SANITIZE=address,undefined,fuzzer-no-link
//     build-fuzz/fuzz_safetensors -max_total_time=30
#include "tests/temp.h"

#include "hf/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vkb_context *ctx;
    static char *folder;
    if (!ctx) {
        ctx = vkb_context_create(NULL, NULL);
        folder = temp_folder();
    }
    hf_safetensors file;
    temp_write(folder, "x", data, size);
    if (hf_safetensors_open(ctx, temp_path(folder, "x"), &file) != VKB_OK)
        return 0;
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < file.tensor_count; i++) {
        const hf_tensor *tensor = &file.tensors[i];
        float value;
        for (uint64_t k = 0; k < tensor->bytes; k++)
            sum = (uint8_t)(sum + tensor->data[k]);
        if (tensor->count)
            hf_tensor_to_f32(tensor, tensor->count - 1, 1, &value);
        if (hf_safetensors_find(&file, tensor->name) != tensor)
            abort();
    }
    hf_safetensors_close(&file);
    return 0;
}
