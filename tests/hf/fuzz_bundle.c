// libFuzzer: any bytes as the index of a TensorFlow checkpoint, whose data file has 256 bytes. The
// sums of the blocks that the index names are put right first, or nothing behind them would be
// reached; the seeds' tensors have the sums of their bytes. What opens can be read to its last byte.
#include "tests/temp.h"

#include "base/crc32c.h"
#include "hf/proto.h"
#include "hf/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool block_fits(uint64_t offset, uint64_t bytes, size_t size)
{
    return size >= 5 && bytes <= size - 5 && offset <= size - 5 - bytes;
}

// Of the block at the handle, when it lies in the file.
static void put_right(uint8_t *file, size_t size, uint64_t offset, uint64_t bytes)
{
    if (!block_fits(offset, bytes, size))
        return;
    const uint32_t sum = crc32c_masked(crc32c(0, file + offset, (size_t)bytes + 1));
    for (int i = 0; i < 4; i++)
        file[offset + bytes + 1 + (uint64_t)i] = (uint8_t)(sum >> 8 * i);
}

static void put_all_right(uint8_t *file, size_t size)
{
    uint64_t skip, offset, bytes;
    if (size < 48)
        return;
    const uint8_t *at = file + size - 48, *end = at + 40;
    if (!hf_varint(&at, end, &skip) || !hf_varint(&at, end, &skip) ||
        !hf_varint(&at, end, &offset) || !hf_varint(&at, end, &bytes) ||
        !block_fits(offset, bytes, size))
        return;
    at = file + offset, end = at + bytes;
    uint64_t shared, unshared, value, block, block_bytes;
    while (hf_varint(&at, end, &shared) && hf_varint(&at, end, &unshared) &&
           hf_varint(&at, end, &value) && unshared <= (uint64_t)(end - at) &&
           value <= (uint64_t)(end - at) - unshared) {
        const uint8_t *handle = at + unshared, *handle_end = handle + value;
        if (hf_varint(&handle, handle_end, &block) && hf_varint(&handle, handle_end, &block_bytes))
            put_right(file, size - 48, block, block_bytes);
        at += unshared + value;
    }
    put_right(file, size - 48, offset, bytes); // last: the blocks may lie in the index
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vkb_context *ctx;
    static char *folder;
    if (!ctx) {
        uint8_t numbers[256];
        for (int i = 0; i < 256; i++)
            numbers[i] = (uint8_t)i;
        ctx = vkb_context_create(NULL, NULL);
        folder = temp_folder();
        temp_write(folder, "x.data-00000-of-00001", numbers, sizeof(numbers));
    }
    hf_weights weights;
    uint8_t *file = malloc(size + 1);
    memcpy(file, data, size);
    put_all_right(file, size);
    unlink(temp_path(folder, "x.index"));
    temp_write(folder, "x.index", file, size);
    free(file);
    if (hf_weights_open(ctx, temp_path(folder, "x.index"), &weights) != VKB_OK)
        return 0;
    for (size_t i = 0; i < weights.tensor_count; i++) {
        const hf_tensor *tensor = &weights.tensors[i];
        float values[64];
        if (tensor->count <= 64)
            hf_tensor_to_f32(tensor, 0, tensor->count, values);
        if (tensor->count)
            hf_tensor_to_f32(tensor, tensor->count - 1, 1, values);
        if (hf_weights_find(&weights, tensor->name) != tensor)
            abort();
    }
    hf_weights_close(&weights);
    return 0;
}
