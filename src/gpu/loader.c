// The Vulkan loader, through volk: opened at run time, so that vkbert starts, and says what is
// missing, on machines without one.
//
// volk keeps its functions in globals. We use them for the four functions that exist before an
// instance and, while a device's table is filled, for vkGetDeviceProcAddr, under one lock;
// everything else is fetched per instance and per device, so that contexts of different threads
// share nothing.
#define VOLK_IMPLEMENTATION
#include "gpu/internal.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool opened; // under lock

uint32_t vkb_loader_version(void)
{
    pthread_mutex_lock(&lock);
    if (!opened)
        opened = volkInitialize() == VK_SUCCESS && vkCreateInstance;
    uint32_t version = opened ? volkGetInstanceVersion() : 0;
    pthread_mutex_unlock(&lock);
    return version;
}

vkb_status gpu_loader_open(vkb_context *ctx)
{
    const uint32_t version = vkb_loader_version();
    if (!version)
        return vkb_fail(ctx, VKB_NO_DEVICE,
                        "no Vulkan loader was found: install it and a driver (Debian, Ubuntu: apt "
                        "install libvulkan1 mesa-vulkan-drivers; Fedora: dnf install vulkan-loader "
                        "mesa-vulkan-drivers; Arch: pacman -S vulkan-icd-loader vulkan-swrast)");
    if (version < VK_API_VERSION_1_2)
        return vkb_fail(ctx, VKB_NO_DEVICE,
                        "the Vulkan loader is version %u.%u, vkbert needs 1.2: update it (Debian, "
                        "Ubuntu: apt install libvulkan1)",
                        VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    return VKB_OK;
}

PFN_vkVoidFunction gpu_loader_function(const gpu_instance *instance, const char *name)
{
    return instance->get(instance->handle, name);
}

void gpu_loader_instance(gpu_instance *instance)
{
#define X(name) instance->fn.name = (PFN_##name)gpu_loader_function(instance, #name);
    GPU_INSTANCE_FUNCTIONS(X)
#undef X
}

void gpu_loader_device(const gpu_instance *instance, VkDevice device, struct VolkDeviceTable *vk)
{
    pthread_mutex_lock(&lock);
    vkGetDeviceProcAddr =
        (PFN_vkGetDeviceProcAddr)gpu_loader_function(instance, "vkGetDeviceProcAddr");
    volkLoadDeviceTable(vk, device);
    pthread_mutex_unlock(&lock);
}
