// The table of kernels: shaders/kernels.def and the SPIR-V that the build made of shaders/*.comp.
#include "gpu/internal.h"

#include "base/hash.h"
#include "shaders/params.h"
#include "kernels_spirv.h"

#include <pthread.h>
#include <stdio.h>

// 128 bytes of push constants are all that Vulkan guarantees.
#define KERNEL(name, access, push)                                                                 \
    _Static_assert(sizeof(struct push) <= 128 && sizeof(access) - 1 <= GPU_MAX_BINDINGS, #name);
#include "shaders/kernels.def"
#undef KERNEL

static const gpu_kernel_entry table[] = {
#define KERNEL(name, access, push)                                                                 \
    {#name, access, sizeof(access) - 1, sizeof(struct push), spirv_##name, sizeof(spirv_##name)},
#include "shaders/kernels.def"
#undef KERNEL
};

const gpu_kernel_entry *gpu_kernel_get(gpu_kernel kernel)
{
    return &table[kernel];
}

const char *gpu_kernel_name(gpu_kernel kernel)
{
    return table[kernel].name;
}

gpu_groups gpu_items(uint64_t count)
{
    uint64_t y = (count + 65534) / 65535;
    return (gpu_groups){y ? (uint32_t)((count + y - 1) / y) : 0, (uint32_t)y, 1};
}

// ---- Hash of the shader set ----

static pthread_once_t hash_once = PTHREAD_ONCE_INIT;
static char hash_text[17];

static void hash_all(void)
{
    uint64_t hash = HASH_START;
    for (size_t k = 0; k < BASE_COUNT(table); k++)
        hash = hash_bytes(hash, table[k].code, table[k].code_bytes);
    snprintf(hash_text, sizeof(hash_text), "%016llx", (unsigned long long)hash);
}

const char *vkb_shader_hash(void)
{
    pthread_once(&hash_once, hash_all);
    return hash_text;
}
