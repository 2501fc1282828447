// What the files of this folder share: the only header with Vulkan types.
//
//   loader.c      volk, instance functions        instance.c   layers, validation messages, names
//   extensions.h  what is newer than the oldest headers
//   newer_driver.c  a fetched software driver instead of the system's old one
//   driver_file.c   its files: found, safe to load, whole
//   probe.c       what a device has               probe_matrices.c  its cooperative matrices
//   choose.c      which device to take
//   device.c      opening and closing one         result.c     VkResult as a sentence
//   memory.c      blocks of VkDeviceMemory        buffer.c     buffers and views
//   transfer.c    upload, download                kernels.c    the table of SPIR-V
//   pipeline.c    pipelines on demand             pipeline_cache.c  their cache on disk
//   stream.c      recording, submissions          run.c        one kernel run: checks, commands
//   hazard.c      barriers from access letters    submit.c     queue, tickets
//   copy.c        copies and fills                times.c      timestamps
//   bound.c       how much a submission may hold
//   notes.c       what was found out              notes_file.c kept on disk
//   statistics.c  registers and spills, as compilers tell them
//   faults.c      made for tests
//
// Device functions are called through dev->vk, volk's table; instance functions through
// dev->instance->fn. Nothing here is global but the loader itself.
#ifndef VKB_GPU_INTERNAL_H
#define VKB_GPU_INTERNAL_H

#include "gpu/bound.h"
#include "gpu/gpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <volk.h>

// ---- loader.c ----

// Those we use; the last five are NULL without VK_EXT_debug_utils.
#define GPU_INSTANCE_FUNCTIONS(X)                                                                  \
    X(vkDestroyInstance)                                                                           \
    X(vkEnumeratePhysicalDevices)                                                                  \
    X(vkEnumerateDeviceExtensionProperties)                                                        \
    X(vkGetPhysicalDeviceProperties)                                                               \
    X(vkGetPhysicalDeviceProperties2)                                                              \
    X(vkGetPhysicalDeviceFeatures2)                                                                \
    X(vkGetPhysicalDeviceMemoryProperties2)                                                        \
    X(vkGetPhysicalDeviceQueueFamilyProperties)                                                    \
    X(vkCreateDevice)                                                                              \
    X(vkCreateDebugUtilsMessengerEXT)                                                              \
    X(vkDestroyDebugUtilsMessengerEXT)                                                             \
    X(vkSetDebugUtilsObjectNameEXT)                                                                \
    X(vkCmdBeginDebugUtilsLabelEXT)                                                                \
    X(vkCmdEndDebugUtilsLabelEXT)

typedef struct gpu_instance_functions {
#define X(name) PFN_##name name;
    GPU_INSTANCE_FUNCTIONS(X)
#undef X
} gpu_instance_functions;

// A driver of our choice instead of the loader's.
typedef struct gpu_driver {
    void *library; // dlopen's
    PFN_vkGetInstanceProcAddr get;
    char *file;       // its .json
    char *instead_of; // the system's driver, for people
} gpu_driver;

typedef struct gpu_instance {
    vkb_context *ctx;
    VkInstance handle;
    gpu_driver driver;             // library NULL: those that the loader finds
    PFN_vkGetInstanceProcAddr get; // the loader's; the driver's own where the loader is too old
    gpu_instance_functions fn;
    bool debug_utils;
    VkDebugUtilsMessengerEXT messenger; // with validation only
    atomic_uint messages;               // what validation had to say
} gpu_instance;

vkb_status gpu_loader_open(vkb_context *ctx); // VKB_NO_DEVICE when there is none
void gpu_loader_instance(gpu_instance *instance);
void gpu_loader_device(const gpu_instance *instance, VkDevice device, struct VolkDeviceTable *vk);
PFN_vkVoidFunction gpu_loader_function(const gpu_instance *instance, const char *name);

// ---- instance.c ----

vkb_status gpu_instance_create(vkb_context *ctx, bool validate, gpu_instance **out);
// The same of one driver, which becomes the instance's, also when it fails.
vkb_status gpu_instance_of(vkb_context *ctx, bool validate, gpu_driver *driver,
                           gpu_instance **out);
void gpu_instance_destroy(gpu_instance **instance);

// A name for RenderDoc, Nsight and validation messages; does nothing without VK_EXT_debug_utils.
void gpu_object_name(const vkb_device *dev, VkObjectType type, uint64_t handle, const char *name);

// ---- probe.c, probe_matrices.c ----

// A device that the loader lists, and all that vkbert wants to know about it.
typedef struct gpu_physical {
    VkPhysicalDevice handle;
    vkb_device_info info; // info.unusable says why the rest is not filled
    VkPhysicalDeviceLimits limits;
    uint32_t driver_version;
    uint32_t llvmpipe; // the first number of Mesa's version; 0: it is no llvmpipe, or hides it
    uint8_t cache_uuid[VK_UUID_SIZE];
    uint32_t queue_family, timestamp_bits;
    bool storage8, memory_budget, portability_subset, pipeline_statistics;
    bool cooperative_matrix; // the extension, with the features that we want of it
} gpu_physical;

// Fills info.matrix*, of a device that lists VK_KHR_cooperative_matrix; bf16: so it has matrices of
// it; workgroups: it lists VK_NV_cooperative_matrix2 too. The workgroups' limits are known by then.
void gpu_probe_matrices(gpu_instance *instance, gpu_physical *p,
                        const VkPhysicalDeviceVulkan12Features *v12, bool bf16, bool workgroups);

vkb_status gpu_probe_all(gpu_instance *instance, gpu_physical **list, size_t *count);

// ---- newer_driver.c ----

// VKB_BAD_ARGUMENT: $VKBERT_DRIVER is none that we know.
vkb_status gpu_newer_driver_check(vkb_context *ctx);
// An instance of the fetched driver where it is to be used instead of what `system` lists; else
// NULL: whatever keeps it from being used costs a line of log, not a failure.
gpu_instance *gpu_newer_driver_open(gpu_instance *system, bool validate);
// Fills info.driver_file, instead_of, faster_driver.
void gpu_newer_driver_tell(const gpu_instance *instance, gpu_physical *list, size_t count);

// ---- driver_file.c ----

// Loads the driver that `file`, a .json, names, if nobody else can have written it and it is whole.
// VKB_BAD_FILE: it has to be fetched again; VKB_FAILED: others can write to it.
vkb_status gpu_driver_load(vkb_context *ctx, const char *file, gpu_driver *out);
void gpu_driver_unload(gpu_driver *driver); // of zeros, too
// Whether nobody else can write the folder and the one that it lies in; as gpu_driver_load.
vkb_status gpu_folder_check(vkb_context *ctx, const char *folder);

// ---- choose.c ----

// select as in vkb_device_params.
vkb_status gpu_choose(vkb_context *ctx, const char *select, const gpu_physical *list, size_t count,
                      const gpu_physical **chosen);

// ---- memory.c ----

typedef struct gpu_block gpu_block;

typedef struct gpu_allocation {
    gpu_block *block;
    uint64_t offset, bytes;
} gpu_allocation;

typedef struct gpu_memory_state {
    VkPhysicalDeviceMemoryProperties properties;
    gpu_block *blocks;
    uint64_t total;                     // bytes in all blocks
    uint64_t limit;                     // on total; UINT64_MAX: none but the heaps'
    uint64_t heap[VK_MAX_MEMORY_HEAPS]; // bytes in blocks of each heap
} gpu_memory_state;

vkb_status gpu_memory_open(vkb_device *dev, uint64_t limit); // 0: as the environment says
void gpu_memory_close(vkb_device *dev);
// `name` is for the sentence of a refusal.
vkb_status gpu_allocate(vkb_device *dev, const char *name, const VkMemoryRequirements *wanted,
                        gpu_memory memory, gpu_allocation *out);
void gpu_free(vkb_device *dev, gpu_allocation *allocation);
VkDeviceMemory gpu_allocation_memory(const gpu_allocation *allocation);
void *gpu_allocation_mapped(const gpu_allocation *allocation); // NULL: not visible to the host
bool gpu_allocation_cached(const vkb_device *dev, const gpu_allocation *allocation);

// ---- buffer.c ----

struct gpu_buffer {
    vkb_device *dev;
    char *name;
    uint64_t bytes;
    gpu_memory memory;
    VkBuffer handle; // NULL: of a plan
    gpu_allocation allocation;
    bool counted; // in counters.buffer_bytes
};

// ---- kernels.c ----

typedef struct gpu_kernel_entry {
    const char *name, *access;
    uint32_t bindings, push_bytes;
    const uint32_t *code;
    size_t code_bytes;
} gpu_kernel_entry;

const gpu_kernel_entry *gpu_kernel_get(gpu_kernel kernel);

// ---- pipeline.c ----

typedef struct gpu_pipeline {
    struct gpu_pipeline *next;
    uint32_t spec[GPU_MAX_SPEC], spec_count, subgroup;
    VkPipeline handle;
} gpu_pipeline;

typedef struct gpu_kernel_state {
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkShaderModule module;
    gpu_pipeline *pipelines;
} gpu_kernel_state;

// subgroup as in gpu_run_params.
vkb_status gpu_pipeline_get(vkb_device *dev, gpu_kernel kernel, const uint32_t *spec,
                            uint32_t spec_count, uint32_t subgroup, VkPipeline *out);
void gpu_pipelines_destroy(vkb_device *dev);

// ---- statistics.c ----

VkPipelineCreateFlags
gpu_statistics_flags(const vkb_device *dev); // of a pipeline that may be told of
void gpu_statistics_tell(vkb_device *dev, gpu_kernel kernel, const gpu_pipeline *pipeline);

// ---- pipeline_cache.c ----

vkb_status gpu_pipeline_cache_open(vkb_device *dev, bool no_file);
void gpu_pipeline_cache_close(vkb_device *dev); // writes the file
// KIND-DEVICE-DRIVER-SHADERS.SUFFIX in the user's cache folder, freed with free(); NULL: there is
// none.
char *gpu_cache_path(const vkb_device *dev, const char *kind, const char *suffix);

// ---- notes.c, notes_file.c ----

typedef struct gpu_noted {
    gpu_note_kind kind;
    char *key, *text;
} gpu_noted;

typedef struct gpu_notes {
    gpu_noted *at;
    size_t count, capacity;
    char *path; // NULL: nothing is kept
    int lock;   // -1: not held
} gpu_notes;

bool gpu_notes_add(gpu_notes *notes, gpu_note_kind kind, const char *key,
                   const char *text);               // false: memory
void gpu_notes_clear_kept(vkb_device *dev);         // all but those in use
void gpu_notes_open(vkb_device *dev, bool no_file); // reads the file, if there is one
void gpu_notes_close(vkb_device *dev);

// ---- faults.c ----

gpu_test_fault gpu_fault_of(const vkb_device *dev, gpu_kernel kernel, const uint32_t *spec,
                            uint32_t spec_count);
// Whether a stream with that fault is kept from the queue; then *result is what the queue says.
bool gpu_fault_on_submit(vkb_device *dev, gpu_test_fault fault, VkResult *result);

// Scratch memory of one slot, of one stream or more.
typedef struct gpu_scratch_memory {
    gpu_buffer *buffer;
    uint32_t users;
} gpu_scratch_memory;

// ---- device.c ----

enum { GPU_STAGING_BYTES = 16 << 20 };

struct vkb_device {
    vkb_context *ctx;
    pthread_mutex_t lock; // gpu_lock
    gpu_instance *instance;
    gpu_physical physical;
    VkDevice handle;
    struct VolkDeviceTable vk;
    VkQueue queue;
    VkSemaphore
        timeline; // its value is the ticket of the last finished submission; none before the first
    uint64_t ticket; // of the last submission
    gpu_bound bound; // of submissions
    bool lost;
    bool stuck; // lost, and working: what it works on cannot be given back
    gpu_counters counters;
    uint64_t first_tick; // of its clock, as the first gpu_times saw it; 0: not yet

    gpu_memory_state memory;
    struct {
        gpu_plan_fn buffer; // NULL: it is no plan
        void *user;
    } plan;
    gpu_scratch_memory *scratch[2][GPU_MAX_SCRATCH]; // the newest of each slot; [1]: of a plan
    gpu_buffer *staging[2]; // GPU_UPLOAD, GPU_READBACK; created when first needed
    bool force_staging;     // for tests
    uint64_t binding_limit; // for tests; 0: none but the device's own

    struct {
        gpu_test_fault fault;
        gpu_kernel kernel;
        uint32_t constant, value;
    } broken; // for tests
    struct {
        gpu_test_time_fn takes; // NULL: times are the device's
        void *user;
        double now; // of the clock that is played
    } played;       // for tests

    struct {
        gpu_statistics_fn tell; // NULL: nobody wants to know
        void *user;
    } statistics;

    gpu_notes notes;
    gpu_kernel_state kernels[GPU_KERNEL_COUNT];
    VkPipelineCache cache;
    char *cache_path;    // NULL: no file
    uint64_t cache_hash; // of the data that the file had
};

// ---- result.c ----

// The sentence and status of a Vulkan call that failed: "NAME: doing WHAT failed: ...".
vkb_status gpu_fail(vkb_device *dev, VkResult result, const char *format, ...) BASE_PRINTF(3, 4);
const char *gpu_result_text(VkResult result);

// ---- hazard.c ----

// What was touched since the last barrier.
typedef struct gpu_access {
    const gpu_buffer *buffer;
    uint64_t begin, end;
    bool write;
} gpu_access;

typedef struct gpu_hazards {
    gpu_access *at;
    size_t count, capacity;
} gpu_hazards;

bool gpu_hazard_found(const gpu_hazards *since, const gpu_access *touched, size_t count);
bool gpu_hazard_add(gpu_hazards *since, const gpu_access *touched, size_t count); // false: memory

// ---- submit.c ----

// What a command buffer may hold, as far as its runs let it: operations.
double gpu_commands_flops(const vkb_device *dev);
// Whether the device hangs in what was submitted: nothing that it may touch can be destroyed.
bool gpu_is_stuck(vkb_device *dev);

// ---- stream.c ----

typedef struct gpu_commands {
    VkCommandBuffer handle;
    double flops;
} gpu_commands;

struct gpu_stream {
    vkb_device *dev;
    char *name;
    bool timed, dry;
    vkb_status status;
    char *error; // the first failure's sentence
    void *listener;
    gpu_test_fault fault; // of a run in it

    struct {
        uint64_t bytes;
        gpu_scratch_memory *memory;
    } scratch[GPU_MAX_SCRATCH];
    gpu_buffer dry_scratch; // what views of the dry pass point to

    uint32_t run_count, binding_count; // learnt in the dry pass
    uint32_t recorded;                 // runs so far in the real pass
    VkDescriptorPool sets;
    VkCommandPool pool;
    struct {
        gpu_commands *at;
        size_t count, capacity;
    } commands; // in order; the last one is open while recording
    gpu_hazards since;

    struct {
        char **at;
        size_t count, capacity;
    } labels;
    const char *label; // the open one, or ""

    VkQueryPool queries; // two a run
    gpu_time *times;     // [run_count]; all but begin and seconds are filled while recording
    bool played;         // seconds are, too: gpu_test_times
    uint64_t ticket;     // of the last submission; 0: never
};

// The command buffer to record into, behind a barrier if `touched` needs one; NULL after a failure.
// `flops` is what will be recorded: a long stream is split into several submissions.
VkCommandBuffer gpu_stream_commands(gpu_stream *s, const gpu_access *touched, size_t count,
                                    double flops);

// ---- times.c ----

vkb_status gpu_times_open(gpu_stream *s);
void gpu_times_begin(gpu_stream *s, VkCommandBuffer commands, gpu_kernel kernel,
                     const gpu_run_params *params);
void gpu_times_end(gpu_stream *s, VkCommandBuffer commands);
void gpu_times_close(gpu_stream *s);

#endif
