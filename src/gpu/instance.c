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

static bool has_extension(PFN_vkEnumerateInstanceExtensionProperties enumerate, const char *layer,
                          const char *name)
{
    uint32_t count = 0;
    if (enumerate(layer, &count, NULL) != VK_SUCCESS || count == 0)
        return false;
    VkExtensionProperties *list = calloc(count, sizeof(*list));
    if (!list || enumerate(layer, &count, list) < 0)
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

// What vkCreateInstance is given, and what that points to.
typedef struct request {
    VkInstanceCreateInfo info;
    const char *extensions[5];
    PFN_vkEnumerateInstanceExtensionProperties enumerate;
    VkDebugUtilsMessengerCreateInfoEXT messenger;
    VkValidationFeaturesEXT features;
    VkDirectDriverLoadingInfoLUNARG driver;
    VkDirectDriverLoadingListLUNARG drivers;
} request;

static void add(request *r, const char *extension)
{
    r->extensions[r->info.enabledExtensionCount++] = extension;
}

static void add_validation(request *r, gpu_instance *instance)
{
    static const char *const layers[] = {validation_layer};
    static const VkValidationFeatureEnableEXT synchronisation =
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    r->messenger = messenger_info(instance);
    r->features = (VkValidationFeaturesEXT){
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &r->messenger,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = &synchronisation,
    };
    if (has_extension(r->enumerate, validation_layer, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME))
        add(r, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
    r->info.enabledLayerCount = 1;
    r->info.ppEnabledLayerNames = layers;
    r->info.pNext = &r->features;
}

// The loader gets the one driver to use.
static void add_driver(request *r, const gpu_driver *driver)
{
    r->driver = (VkDirectDriverLoadingInfoLUNARG){
        .sType = VK_STRUCTURE_TYPE_DIRECT_DRIVER_LOADING_INFO_LUNARG,
        .pfnGetInstanceProcAddr = driver->get,
    };
    r->drivers = (VkDirectDriverLoadingListLUNARG){
        .sType = VK_STRUCTURE_TYPE_DIRECT_DRIVER_LOADING_LIST_LUNARG,
        .pNext = (void *)r->info.pNext,
        .mode = VK_DIRECT_DRIVER_LOADING_MODE_EXCLUSIVE_LUNARG,
        .driverCount = 1,
        .pDrivers = &r->driver,
    };
    add(r, VK_LUNARG_DIRECT_DRIVER_LOADING_EXTENSION_NAME);
    r->info.pNext = &r->drivers;
}

// By the functions of instance->get: the loader's, or the driver's own.
static VkResult create(gpu_instance *instance, bool validate)
{
    request r = {
        .enumerate = (PFN_vkEnumerateInstanceExtensionProperties)instance->get(
            NULL, "vkEnumerateInstanceExtensionProperties"),
        .info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                 // 1.2 is the floor; asked for is the newest that our headers and code know.
                 .pApplicationInfo =
                     &(VkApplicationInfo){
                         .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                         .pApplicationName = "vkbert",
                         .pEngineName = "vkbert",
                         .apiVersion = VK_API_VERSION_1_3,
                     }},
    };
    const PFN_vkCreateInstance create_instance =
        (PFN_vkCreateInstance)instance->get(NULL, "vkCreateInstance");
    if (!r.enumerate || !create_instance)
        return VK_ERROR_INCOMPATIBLE_DRIVER;
    r.info.ppEnabledExtensionNames = r.extensions;
    instance->debug_utils =
        validate || has_extension(r.enumerate, NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    if (instance->debug_utils)
        add(&r, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    if (has_extension(r.enumerate, NULL,
                      VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) { // MoltenVK
        add(&r, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
        r.info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    if (validate)
        add_validation(&r, instance);
    if (instance->driver.library && instance->get != instance->driver.get)
        add_driver(&r, &instance->driver);
    const VkResult result = create_instance(&r.info, NULL, &instance->handle);
    if (result != VK_SUCCESS)
        return result;
    gpu_loader_instance(instance);
    if (validate)
        instance->fn.vkCreateDebugUtilsMessengerEXT(instance->handle, &r.messenger, NULL,
                                                    &instance->messenger);
    return VK_SUCCESS;
}

vkb_status gpu_instance_of(vkb_context *ctx, bool validate, gpu_driver *driver, gpu_instance **out)
{
    gpu_instance *instance = calloc(1, sizeof(*instance));
    if (!instance) {
        if (driver)
            gpu_driver_unload(driver);
        return vkb_fail_memory(ctx, sizeof(*instance), "the Vulkan instance");
    }
    instance->ctx = ctx;
    instance->get = vkGetInstanceProcAddr;
    if (driver) {
        instance->driver = *driver;
        *driver = (gpu_driver){0};
        // Older loaders, as Debian 12's, cannot be given a driver. One that is alone can do
        // without: all that the loader would add is layers.
        if (!has_extension(vkEnumerateInstanceExtensionProperties, NULL,
                           VK_LUNARG_DIRECT_DRIVER_LOADING_EXTENSION_NAME))
            instance->get = instance->driver.get;
    }
    if (validate && instance->get != vkGetInstanceProcAddr) {
        const vkb_status status =
            vkb_fail(ctx, VKB_FAILED,
                     "this Vulkan loader validates only what it has found; VK_DRIVER_FILES=%s "
                     "lets it find that",
                     instance->driver.file);
        gpu_instance_destroy(&instance);
        return status;
    }
    const VkResult result = create(instance, validate);
    if (result == VK_SUCCESS) {
        *out = instance;
        return VKB_OK;
    }
    const vkb_status status =
        driver ? vkb_fail(ctx, VKB_BAD_FILE, "%s: the driver fails: %s", instance->driver.file,
                          gpu_result_text(result))
               : fail_create(ctx, result);
    gpu_instance_destroy(&instance);
    return status;
}

vkb_status gpu_instance_create(vkb_context *ctx, bool validate, gpu_instance **out)
{
    vkb_status status = gpu_newer_driver_check(ctx);
    if (status == VKB_OK)
        status = gpu_loader_open(ctx);
    if (status != VKB_OK)
        return status;
    if (validate && !has_validation_layer())
        return vkb_fail(ctx, VKB_NO_DEVICE,
                        "validation was asked for, but the layer %s is not installed (Debian, "
                        "Ubuntu: apt install vulkan-validationlayers)",
                        validation_layer);
    status = gpu_instance_of(ctx, validate, NULL, out);
    gpu_instance *newer = status == VKB_OK ? gpu_newer_driver_open(*out, validate) : NULL;
    if (newer) {
        gpu_instance_destroy(out);
        *out = newer;
    }
    return status;
}

void gpu_instance_destroy(gpu_instance **instance_)
{
    gpu_instance *instance = *instance_;
    *instance_ = NULL;
    if (!instance)
        return;
    if (instance->messenger)
        instance->fn.vkDestroyDebugUtilsMessengerEXT(instance->handle, instance->messenger, NULL);
    if (instance->handle)
        instance->fn.vkDestroyInstance(instance->handle, NULL);
    gpu_driver_unload(&instance->driver);
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
