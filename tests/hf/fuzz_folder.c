// libFuzzer: a folder's JSON files, each any bytes: config.json (to the first NUL), then the index of its
// shards, beside one whole shard. What opens can be listed; a config that is read is one that can be
// written, and is then read as the same.
#include "tests/temp.h"

#include "hf/config.h"
#include "hf/folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char shard_header[] = "{\"bert.pooler.dense.bias\":{\"dtype\":\"F32\",\"shape\":[2],"
                                   "\"data_offsets\":[0,8]}}  ";

static void write_shard(const char *folder)
{
    char shard[8 + sizeof(shard_header) - 1 + 8] = {sizeof(shard_header) - 1};
    memcpy(shard + 8, shard_header, sizeof(shard_header) - 1);
    temp_write(folder, "model-00001-of-00001.safetensors", shard, sizeof(shard));
}

static void check_config(vkb_context *ctx, const char *folder)
{
    vkb_config config, again;
    memset(&config, 0, sizeof(config));
    memset(&again, 0, sizeof(again));
    if (vkb_config_read(ctx, temp_path(folder, "config.json"), &config) != VKB_OK)
        return;
    char *written = temp_folder();
    if (hf_config_write(ctx, written, &config, NULL) != VKB_OK ||
        vkb_config_read(ctx, temp_path(written, "config.json"), &again) != VKB_OK ||
        memcmp(&config, &again, sizeof(config)) != 0) {
        fprintf(stderr, "%s\n", vkb_error(ctx));
        abort();
    }
    temp_remove(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vkb_context *ctx;
    static char *folder;
    if (!ctx) {
        ctx = vkb_context_create(NULL, NULL);
        folder = temp_folder();
        write_shard(folder);
    }
    const uint8_t *end = memchr(data, 0, size);
    const size_t config = end ? (size_t)(end - data) : size;
    temp_write(folder, "config.json", data, config);
    temp_write(folder, "model.safetensors.index.json", data + config + (end != NULL),
               size - config - (end != NULL));
    check_config(ctx, folder);
    vkb_folder *open = NULL;
    if (vkb_folder_open(ctx, folder, &open) != VKB_OK)
        return 0;
    for (size_t i = 0; i < vkb_folder_tensor_count(open); i++)
        if (!vkb_folder_tensor(open, i).name ||
            !hf_folder_find(open, hf_folder_entry(open, i)->name))
            abort();
    vkb_folder_close(&open);
    return 0;
}
