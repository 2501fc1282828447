// The driver's pipeline cache, kept in the user's cache folder between runs.
//
// The file's name says for what it holds: device, driver version, shader set. It starts with a
// header of ours, because drivers are known to trust a damaged cache. A file that is absent,
// damaged or cannot be written costs compile time only, so nothing here complains.
#include "gpu/internal.h"

#include "base/file.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cache_header {
    char magic[8];
    uint64_t bytes, hash; // of what follows
    uint32_t vendor_id, device_id;
    uint8_t uuid[VK_UUID_SIZE]; // pipelineCacheUUID
} cache_header;

static cache_header make_header(const vkb_device *dev, const uint8_t *data, size_t bytes)
{
    cache_header header = {
        .magic = "vkbpipe1",
        .bytes = bytes,
        .hash = hash_bytes(HASH_START, data, bytes),
        .vendor_id = dev->physical.info.vendor_id,
        .device_id = dev->physical.info.device_id,
    };
    memcpy(header.uuid, dev->physical.cache_uuid, VK_UUID_SIZE);
    return header;
}

char *gpu_cache_path(const vkb_device *dev, const char *kind, const char *suffix)
{
    char name[128];
    snprintf(name, sizeof(name), "%s-%s-%08x-%s.%s", kind, dev->physical.info.uuid,
             dev->physical.driver_version, vkb_shader_hash(), suffix);
    char *folder = path_cache_folder();
    char *path = folder ? path_join(folder, name) : NULL;
    free(folder);
    return path;
}

// The cache's data inside a mapped file; false: damaged, or for something else.
static bool check_file(vkb_device *dev, const file_map *map, VkPipelineCacheCreateInfo *info)
{
    cache_header found;
    if (map->bytes < sizeof(found))
        return false;
    memcpy(&found, map->data, sizeof(found));
    const uint8_t *data = map->data + sizeof(found);
    size_t bytes = map->bytes - sizeof(found);
    if (found.bytes != bytes)
        return false;
    cache_header expected = make_header(dev, data, bytes);
    if (memcmp(&found, &expected, sizeof(found)) != 0)
        return false;
    dev->cache_hash = found.hash;
    info->pInitialData = data;
    info->initialDataSize = bytes;
    return true;
}

vkb_status gpu_pipeline_cache_open(vkb_device *dev, bool no_file)
{
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    file_map map = {0};
    // A context of its own, so that no sentence of ours hides the caller's.
    vkb_context *quiet = vkb_context_create(NULL, NULL);
    dev->cache_path = no_file || !quiet ? NULL : gpu_cache_path(dev, "pipelines", "bin");
    if (dev->cache_path && file_map_open(quiet, dev->cache_path, &map) == VKB_OK)
        check_file(dev, &map, &info);
    VkResult result = dev->vk.vkCreatePipelineCache(dev->handle, &info, NULL, &dev->cache);
    file_map_close(&map);
    vkb_context_destroy(&quiet);
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "creating the pipeline cache");
    return VKB_OK;
}

static void write_file(vkb_device *dev)
{
    size_t bytes = 0;
    if (dev->vk.vkGetPipelineCacheData(dev->handle, dev->cache, &bytes, NULL) != VK_SUCCESS)
        return;
    uint8_t *data = malloc(sizeof(cache_header) + bytes);
    vkb_context *quiet = vkb_context_create(NULL, NULL);
    char *folder = path_cache_folder();
    if (data && quiet && folder && folder_create(quiet, folder) == VKB_OK &&
        dev->vk.vkGetPipelineCacheData(dev->handle, dev->cache, &bytes,
                                       data + sizeof(cache_header)) == VK_SUCCESS) {
        cache_header header = make_header(dev, data + sizeof(header), bytes);
        memcpy(data, &header, sizeof(header));
        if (header.hash != dev->cache_hash)
            file_write_whole(quiet, dev->cache_path, data, sizeof(header) + bytes);
    }
    free(folder);
    vkb_context_destroy(&quiet);
    free(data);
}

void gpu_pipeline_cache_close(vkb_device *dev)
{
    if (dev->cache && dev->cache_path && dev->counters.pipelines && !dev->lost)
        write_file(dev);
    dev->vk.vkDestroyPipelineCache(dev->handle, dev->cache, NULL);
    free(dev->cache_path);
    dev->cache_path = NULL;
}
