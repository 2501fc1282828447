// The Vulkan instance: layers and extensions, validation messages, names of objects.
#include "gpu/internal.h"

#include <stdlib.h>
#include <string.h>

static const char validation_layer[] = "VK_LAYER_KHRONOS_validation";

// ---- Validation messages ----

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data,
                                                 void *user)
{
    gpu_instance *instance = user;
    (void)types;
    instance->messages++;
    vkb_log(instance->ctx,
            severity & VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT ? VKB_LOG_ERROR
                                                                     : VKB_LOG_WARNING,
            "validation: %s", data->pMessage);
    return VK_FALSE;
}

static VkDebugUtilsMessengerCreateInfoEXT messenger_info(gpu_instance *instance)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = instance,
    };
}

// ---- What the loader offers ----

static bool has_extension(const char *layer, const char *name)
{
    uint32_t count = 0;
    if (vkEnumerateInstanceExtensionProperties(layer, &count, NULL) != VK_SUCCESS || count == 0)
        return false;
    VkExtensionProperties *list = calloc(count, sizeof(*list));
    if (!list || vkEnumerateInstanceExtensionProperties(layer, &count, list) < 0)
        count = 0;
    bool found = false;
    for (uint32_t i = 0; i < count; i++)
        found |= strcmp(list[i].extensionName, name) == 0;
    free(list);
    return found;
}

static bool has_validation_layer(void)
{
    uint32_t count = 0;
    if (vkEnumerateInstanceLayerProperties(&count, NULL) != VK_SUCCESS || count == 0)
        return false;
    VkLayerProperties *list = calloc(count, sizeof(*list));
    if (!list || vkEnumerateInstanceLayerProperties(&count, list) < 0)
        count = 0;
    bool found = false;
    for (uint32_t i = 0; i < count; i++)
        found |= strcmp(list[i].layerName, validation_layer) == 0;
    free(list);
    return found;
}

// ---- Creating ----

static vkb_status fail_create(vkb_context *ctx, VkResult result)
{
    const char *files = getenv("VK_DRIVER_FILES");
    if (!files)
        files = getenv("VK_ICD_FILENAMES");
    if (result != VK_ERROR_INCOMPATIBLE_DRIVER)
        return vkb_fail(ctx, VKB_NO_DEVICE, "the Vulkan loader failed: %s",
                        gpu_result_text(result));
    if (files)
        return vkb_fail(ctx, VKB_NO_DEVICE,
                        "no Vulkan driver was found: VK_DRIVER_FILES or VK_ICD_FILENAMES says to "
                        "look at %s only, unset it or name a driver's .json file",
                        files);
    return vkb_fail(ctx, VKB_NO_DEVICE,
                    "no Vulkan driver was found: install your GPU's driver, or Mesa's, which has a "
                    "software one too (Debian, Ubuntu: apt install mesa-vulkan-drivers; Fedora: "
                    "dnf install mesa-vulkan-drivers; Arch: pacman -S vulkan-swrast)");
}

vkb_status gpu_instance_create(vkb_context *ctx, bool validate, gpu_instance **out)
{
    vkb_status status = gpu_loader_open(ctx);
    if (status != VKB_OK)
        return status;
    if (validate && !has_validation_layer())
        return vkb_fail(ctx, VKB_NO_DEVICE,
                        "validation was asked for, but the layer %s is not installed (Debian, "
                        "Ubuntu: apt install vulkan-validationlayers)",
                        validation_layer);
    gpu_instance *instance = calloc(1, sizeof(*instance));
    if (!instance)
        return vkb_fail_memory(ctx, sizeof(*instance), "the Vulkan instance");
    instance->ctx = ctx;
    instance->debug_utils = has_extension(NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) || validate;

    const char *extensions[4];
    uint32_t extension_count = 0;
    VkInstanceCreateFlags flags = 0;
    if (instance->debug_utils)
        extensions[extension_count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    if (has_extension(NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) { // MoltenVK
        extensions[extension_count++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(instance);
    VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &messenger,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures =
            (VkValidationFeatureEnableEXT[]){
                VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT},
    };
    if (validate && has_extension(validation_layer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME))
        extensions[extension_count++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;

    VkResult result = vkCreateInstance(
        &(VkInstanceCreateInfo){
            .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
            .pNext = validate ? &features : NULL,
            .flags = flags,
            // 1.2 is the floor; the newest version that our headers and code know is asked for.
            .pApplicationInfo =
                &(VkApplicationInfo){
                    .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                    .pApplicationName = "vkbert",
                    .pEngineName = "vkbert",
                    .apiVersion = VK_API_VERSION_1_3,
                },
            .enabledLayerCount = validate ? 1 : 0,
            .ppEnabledLayerNames = (const char *[]){validation_layer},
            .enabledExtensionCount = extension_count,
            .ppEnabledExtensionNames = extensions,
        },
        NULL, &instance->handle);
    if (result != VK_SUCCESS) {
        free(instance);
        return fail_create(ctx, result);
    }
    gpu_loader_instance(instance);
    if (validate)
        instance->fn.vkCreateDebugUtilsMessengerEXT(instance->handle, &messenger, NULL,
                                                    &instance->messenger);
    *out = instance;
    return VKB_OK;
}

void gpu_instance_destroy(gpu_instance **instance_)
{
    gpu_instance *instance = *instance_;
    *instance_ = NULL;
    if (!instance)
        return;
    if (instance->messenger)
        instance->fn.vkDestroyDebugUtilsMessengerEXT(instance->handle, instance->messenger, NULL);
    instance->fn.vkDestroyInstance(instance->handle, NULL);
    free(instance);
}

void gpu_object_name(const vkb_device *dev, VkObjectType type, uint64_t handle, const char *name)
{
    if (dev->instance->debug_utils)
        dev->instance->fn.vkSetDebugUtilsObjectNameEXT(
            dev->handle, &(VkDebugUtilsObjectNameInfoEXT){
                             .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
                             .objectType = type,
                             .objectHandle = handle,
                             .pObjectName = name,
                         });
}
