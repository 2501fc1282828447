// Device memory: blocks of VkDeviceMemory, from which buffers take parts.
//
// Drivers guarantee only 4096 allocations, and each costs; so blocks start at 16 MiB, double with
// the memory in use up to 256 MiB, and a buffer of half a block or more has a block of its own.
// What the host sees is always mapped and always coherent (a driver must have such a type), so that
// nothing needs flushing.
#include "gpu/internal.h"

#include "base/array.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_BLOCK = 16 << 20, MAX_BLOCK = 256 << 20 };

typedef struct used_part {
    uint64_t offset, bytes;
} used_part;

struct gpu_block {
    gpu_block *next;
    VkDeviceMemory memory;
    uint64_t bytes;
    uint32_t type;
    uint8_t *mapped;
    struct {
        used_part *at; // sorted by offset
        size_t count, capacity;
    } used;
};

// ---- Memory types ----

// The first type of those allowed that has all the flags; -1: none.
static int find_type(const vkb_device *dev, uint32_t allowed, VkMemoryPropertyFlags flags)
{
    // Types that need features or do not hold what was written.
    const VkMemoryPropertyFlags never = VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
                                        VK_MEMORY_PROPERTY_PROTECTED_BIT |
                                        VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD;
    const VkPhysicalDeviceMemoryProperties *memory = &dev->memory.properties;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        VkMemoryPropertyFlags has = memory->memoryTypes[i].propertyFlags;
        if ((allowed & (1u << i)) && (has & flags) == flags && !(has & never))
            return (int)i;
    }
    return -1;
}

static int choose_type(const vkb_device *dev, uint32_t allowed, gpu_memory memory)
{
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    const VkMemoryPropertyFlags host =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags cached = host | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    // Where host and device share memory, local buffers are mapped too, and need no staging.
    bool shared =
        dev->physical.info.type == VKB_SOFTWARE || dev->physical.info.type == VKB_INTEGRATED;
    const VkMemoryPropertyFlags wishes[][3] = {
        [GPU_LOCAL] = {shared ? local | host : local, local, 0},
        [GPU_UPLOAD] = {host, host, host},
        [GPU_READBACK] = {cached, host, host},
    };
    int type = -1;
    for (int i = 0; i < 3 && type < 0; i++)
        type = find_type(dev, allowed, wishes[memory][i]);
    return type;
}

// ---- Blocks ----

// What the heap still gives, by the driver's own account where it keeps one.
static uint64_t heap_room(const vkb_device *dev, uint32_t heap)
{
    uint64_t size = dev->memory.properties.memoryHeaps[heap].size;
    uint64_t used = dev->memory.heap[heap];
    if (dev->physical.memory_budget) {
        VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
        dev->instance->fn.vkGetPhysicalDeviceMemoryProperties2(
            dev->physical.handle,
            &(VkPhysicalDeviceMemoryProperties2){
                .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget});
        if (budget.heapBudget[heap]) {
            size = budget.heapBudget[heap];
            used = budget.heapUsage[heap];
        }
    }
    return size > used ? size - used : 0;
}

static VkResult create_block(vkb_device *dev, uint64_t bytes, uint32_t type, gpu_block **out)
{
    gpu_block *block = calloc(1, sizeof(*block));
    if (!block)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    *block = (gpu_block){.bytes = bytes, .type = type, .next = dev->memory.blocks};
    VkResult result = dev->vk.vkAllocateMemory(
        dev->handle,
        &(VkMemoryAllocateInfo){.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                .allocationSize = bytes,
                                .memoryTypeIndex = type},
        NULL, &block->memory);
    const VkMemoryType *t = &dev->memory.properties.memoryTypes[type];
    if (result == VK_SUCCESS && (t->propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)) {
        result = dev->vk.vkMapMemory(dev->handle, block->memory, 0, VK_WHOLE_SIZE, 0,
                                     (void **)&block->mapped);
        if (result != VK_SUCCESS)
            dev->vk.vkFreeMemory(dev->handle, block->memory, NULL);
    }
    if (result != VK_SUCCESS) {
        free(block);
        return result;
    }
    dev->memory.blocks = block;
    dev->memory.total += bytes;
    dev->memory.heap[t->heapIndex] += bytes;
    dev->counters.allocations++;
    *out = block;
    return VK_SUCCESS;
}

static void destroy_block(vkb_device *dev, gpu_block *block)
{
    gpu_block **at = &dev->memory.blocks;
    while (*at != block)
        at = &(*at)->next;
    *at = block->next;
    dev->memory.total -= block->bytes;
    dev->memory.heap[dev->memory.properties.memoryTypes[block->type].heapIndex] -= block->bytes;
    dev->vk.vkFreeMemory(dev->handle, block->memory, NULL);
    free(block->used.at);
    free(block);
}

// ---- Parts of blocks ----

// First fit; false: the block has no such room.
static bool find_part(const gpu_block *block, uint64_t bytes, uint64_t alignment, size_t *index,
                      uint64_t *offset)
{
    uint64_t at = 0;
    for (size_t i = 0; i <= block->used.count; i++) {
        uint64_t end = i < block->used.count ? block->used.at[i].offset : block->bytes;
        uint64_t aligned = (at + alignment - 1) / alignment * alignment;
        if (aligned <= end && bytes <= end - aligned) {
            *index = i;
            *offset = aligned;
            return true;
        }
        if (i < block->used.count)
            at = block->used.at[i].offset + block->used.at[i].bytes;
    }
    return false;
}

static bool take_part(gpu_block *block, uint64_t bytes, uint64_t alignment, gpu_allocation *out)
{
    size_t index;
    uint64_t offset;
    if (!find_part(block, bytes, alignment, &index, &offset) ||
        !array_reserve(&block->used, block->used.count + 1))
        return false;
    memmove(block->used.at + index + 1, block->used.at + index,
            (block->used.count - index) * sizeof(*block->used.at));
    block->used.at[index] = (used_part){offset, bytes};
    block->used.count++;
    *out = (gpu_allocation){block, offset, bytes};
    return true;
}

static uint64_t block_bytes(const vkb_device *dev, uint64_t wanted, uint64_t room)
{
    uint64_t bytes = dev->memory.total;
    bytes = bytes < MIN_BLOCK ? MIN_BLOCK : bytes > MAX_BLOCK ? MAX_BLOCK : bytes;
    if (bytes > dev->physical.info.max_allocation)
        bytes = dev->physical.info.max_allocation;
    // A quarter of the room at most is taken in advance.
    return wanted > bytes / 2 || bytes > room / 4 ? wanted : bytes;
}

vkb_status gpu_allocate(vkb_device *dev, const char *name, const VkMemoryRequirements *wanted,
                        gpu_memory memory, gpu_allocation *out)
{
    int type = choose_type(dev, wanted->memoryTypeBits, memory);
    if (type < 0)
        return vkb_fail(dev->ctx, VKB_OUT_OF_MEMORY,
                        "buffer %s: %s has no memory type that fits it", name,
                        dev->physical.info.name);
    for (gpu_block *block = dev->memory.blocks; block; block = block->next)
        if (block->type == (uint32_t)type && take_part(block, wanted->size, wanted->alignment, out))
            return VKB_OK;

    uint64_t room = heap_room(dev, dev->memory.properties.memoryTypes[type].heapIndex);
    uint64_t allowed =
        dev->memory.limit > dev->memory.total ? dev->memory.limit - dev->memory.total : 0;
    room = room < allowed ? room : allowed;
    uint64_t bytes = block_bytes(dev, wanted->size, room);
    gpu_block *block = NULL;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (wanted->size <= room)
        result = create_block(dev, bytes, (uint32_t)type, &block);
    if (wanted->size <= room && result != VK_SUCCESS && bytes > wanted->size)
        result = create_block(dev, wanted->size, (uint32_t)type, &block);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY)
        return vkb_fail(dev->ctx, VKB_OUT_OF_MEMORY,
                        "buffer %s: %" PRIu64 " bytes do not fit on %s: %" PRIu64
                        " bytes are free, %" PRIu64 " are in use by vkbert; a smaller batch or "
                        "model needs less",
                        name, (uint64_t)wanted->size, dev->physical.info.name, room,
                        dev->memory.total);
    if (result != VK_SUCCESS)
        return gpu_fail(dev, result, "allocating %" PRIu64 " bytes for buffer %s",
                        (uint64_t)wanted->size, name);
    if (!take_part(block, wanted->size, wanted->alignment, out)) {
        destroy_block(dev, block);
        return vkb_fail_memory(dev->ctx, sizeof(used_part), "a block of device memory");
    }
    return VKB_OK;
}

uint64_t gpu_memory_room(const vkb_device *dev)
{
    const int type = choose_type(dev, UINT32_MAX, GPU_LOCAL);
    const uint64_t used = dev->memory.total, limit = dev->memory.limit;
    const uint64_t allowed = limit > used ? limit - used : 0;
    const uint64_t room =
        type < 0 ? 0 : heap_room(dev, dev->memory.properties.memoryTypes[type].heapIndex);
    return room < allowed ? room : allowed;
}

void gpu_free(vkb_device *dev, gpu_allocation *allocation)
{
    gpu_block *block = allocation->block;
    if (!block)
        return;
    size_t i = 0;
    while (block->used.at[i].offset != allocation->offset)
        i++;
    block->used.count--;
    memmove(block->used.at + i, block->used.at + i + 1,
            (block->used.count - i) * sizeof(*block->used.at));
    if (block->used.count == 0)
        destroy_block(dev, block);
    *allocation = (gpu_allocation){0};
}

VkDeviceMemory gpu_allocation_memory(const gpu_allocation *allocation)
{
    return allocation->block->memory;
}

void *gpu_allocation_mapped(const gpu_allocation *allocation)
{
    gpu_block *block = allocation->block;
    return block && block->mapped ? block->mapped + allocation->offset : NULL;
}

bool gpu_allocation_cached(const vkb_device *dev, const gpu_allocation *allocation)
{
    return dev->memory.properties.memoryTypes[allocation->block->type].propertyFlags &
           VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
}

// ---- Opening and closing ----

// $VKBERT_MEMORY_LIMIT in MiB; 0: it is not set.
static vkb_status environments_limit(vkb_context *ctx, uint64_t *limit)
{
    const char *text = getenv("VKBERT_MEMORY_LIMIT");
    char *end;
    *limit = 0;
    if (!text || !*text)
        return VKB_OK;
    const unsigned long long mib = strtoull(text, &end, 10);
    if (*end || *text < '0' || *text > '9' || mib == 0 || mib > UINT64_MAX >> 20)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "VKBERT_MEMORY_LIMIT is \"%s\", expected a number of MiB", text);
    *limit = (uint64_t)mib << 20;
    return VKB_OK;
}

vkb_status gpu_memory_open(vkb_device *dev, uint64_t limit)
{
    vkb_status status = limit ? VKB_OK : environments_limit(dev->ctx, &limit);
    if (status != VKB_OK)
        return status;
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    dev->instance->fn.vkGetPhysicalDeviceMemoryProperties2(dev->physical.handle, &memory);
    dev->memory.properties = memory.memoryProperties;
    dev->memory.limit = limit ? limit : UINT64_MAX;
    if (limit && limit < dev->physical.info.device_memory)
        dev->physical.info.device_memory = limit;
    return VKB_OK;
}

void gpu_memory_close(vkb_device *dev)
{
    while (dev->memory.blocks)
        destroy_block(dev, dev->memory.blocks);
}

void gpu_test_limit_memory(vkb_device *dev, uint64_t bytes)
{
    dev->memory.limit = bytes < UINT64_MAX ? dev->memory.total + bytes : bytes;
}
