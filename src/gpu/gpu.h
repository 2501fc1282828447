// The device, as the rest of vkbert sees it: buffers, kernels, recorded streams. No Vulkan type
// leaves this folder.
//
//   gpu_buffer   memory with a name; gpu_view: a part of one, what kernels and copies work on
//   gpu_kernel   a shader of shaders/kernels.def
//   gpu_stream   a list of kernel runs and copies, recorded once and submitted many times; barriers
//                are derived from the access string of each kernel
//
// Threading: one thread per device at a time (gpu_lock). Everything a stream refers to must outlive
// it.
#ifndef VKB_GPU_H
#define VKB_GPU_H

#include "base/context.h"

enum { GPU_MAX_BINDINGS = 12, GPU_MAX_SPEC = 17, GPU_MAX_SCRATCH = 5 };

vkb_context *gpu_context(const vkb_device *dev);

// ---- Memory ----

typedef enum gpu_memory {
    GPU_LOCAL,    // the device's own; the host reaches it through gpu_upload and gpu_download
    GPU_UPLOAD,   // mapped for the host to write
    GPU_READBACK, // mapped for the host to read, cached where the device offers that
} gpu_memory;

typedef struct gpu_buffer gpu_buffer;

// What the elements are: of 32 bits, fp32 or uint32, or of 16.
typedef enum gpu_type { GPU_F32, GPU_F16, GPU_BF16 } gpu_type;

typedef struct gpu_view {
    gpu_buffer *buffer; // NULL: no view
    uint64_t offset, bytes;
    gpu_type type;
} gpu_view;

// Bytes 0 to `bytes` of a new buffer; contents are undefined. The name is copied, and shows in
// RenderDoc, validation messages and error sentences. VKB_OUT_OF_MEMORY: also when bytes exceed
// what one allocation may have on this device.
vkb_status gpu_buffer_create(vkb_device *dev, const char *name, uint64_t bytes, gpu_memory memory,
                             gpu_buffer **out);
// Bytes that GPU_LOCAL buffers may still take, by the driver's account.
uint64_t gpu_memory_room(const vkb_device *dev);
void gpu_buffer_destroy(gpu_buffer **buffer);

gpu_view gpu_whole(gpu_buffer *buffer); // of GPU_F32
// The same bytes, seen as elements of another type.
static inline gpu_view gpu_typed(gpu_view view, gpu_type type)
{
    view.type = type;
    return view;
}
static inline uint32_t gpu_type_bytes(gpu_type type)
{
    return type == GPU_F32 ? 4 : 2;
}
// offset is a multiple of gpu_alignment if the part is bound to a kernel, of 4 if it is only
// copied.
gpu_view gpu_part(gpu_view view, uint64_t offset, uint64_t bytes);
uint64_t gpu_alignment(const vkb_device *dev); // bytes, at least 16
// Bytes that one binding of a kernel may have (maxStorageBufferRange); a buffer may be larger.
uint64_t gpu_binding_limit(const vkb_device *dev);
void *gpu_mapped(gpu_view view); // GPU_UPLOAD and GPU_READBACK; NULL otherwise

// Block until done; direct where the memory is mapped, else through a staging buffer. The device
// must not be working on the view (gpu_wait first).
vkb_status gpu_upload(vkb_device *dev, gpu_view to, const void *data);
vkb_status gpu_download(vkb_device *dev, gpu_view from, void *data);

// gpu_upload and gpu_download of it are plain copies, of which several threads may make some at
// once.
bool gpu_is_direct(gpu_view view);

// One mutex a device, for those whose callers may be several threads; it is not recursive.
void gpu_lock(vkb_device *dev);
void gpu_unlock(vkb_device *dev);

// ---- Kernels ----

typedef enum gpu_kernel {
#define KERNEL(name, access, push) GPU_##name,
#include "shaders/kernels.def"
#undef KERNEL
    GPU_KERNEL_COUNT
} gpu_kernel;

const char *gpu_kernel_name(gpu_kernel kernel);

typedef struct gpu_groups {
    uint32_t x, y, z;
} gpu_groups;

// Workgroups for `count` items, one each. Only 65,535 groups per axis are guaranteed: folded into x
// and y; the shader computes index = y * gl_NumWorkGroups.x + x and returns when it is too large.
gpu_groups gpu_items(uint64_t count);

// What the driver's compiler says of a kernel that was built: `text` is a line for each of its
// forms, "NAME value, NAME value, ..."; "" where it tells nothing. numbers: the specialisation
// constants.
typedef void (*gpu_statistics_fn)(void *user, gpu_kernel kernel, const uint32_t *numbers,
                                  uint32_t count, const char *text);
// Until it is called with NULL, tells of each kernel that is built
// (VK_KHR_pipeline_executable_properties), and streams that are only rehearsed build theirs too.
void gpu_statistics(vkb_device *dev, gpu_statistics_fn tell, void *user);

// ---- Streams ----

typedef struct gpu_stream gpu_stream;

// Records commands into a stream; called twice by gpu_record, see there.
typedef void (*gpu_record_fn)(gpu_stream *s, void *user);

// Records a stream by calling record(s, user) twice: a dry pass, in which nothing is recorded and
// gpu_scratch only learns how much is wanted, then the real one. Both calls must ask for the same.
// A failure inside (a pipeline that does not build, memory) is kept by the stream and returned
// here.
//   timed   run one kernel at a time, with a timestamp before and after each, for gpu_times
vkb_status gpu_record(vkb_device *dev, const char *name, bool timed, gpu_record_fn record,
                      void *user, gpu_stream **out);
void gpu_stream_destroy(gpu_stream **s);

vkb_device *gpu_stream_device(const gpu_stream *s);
bool gpu_is_dry(const gpu_stream *s);

// The dry pass alone: nothing is recorded. What is asked for may tell the listener, which is NULL
// in every other stream.
vkb_status gpu_rehearse(vkb_device *dev, const char *name, gpu_record_fn record, void *user,
                        void *listener);
void *gpu_listener(const gpu_stream *s);

// Scratch memory of the stream, the same for every call with that slot (0 .. GPU_MAX_SCRATCH - 1):
// its contents live until the slot is asked for again.
gpu_view gpu_scratch(gpu_stream *s, uint32_t slot, uint64_t bytes);

typedef struct gpu_run_params {
    gpu_view bind[GPU_MAX_BINDINGS]; // in the order of kernels.def; an empty one is given the
                                     // first view, the shader must not touch it
    const void *push;                // the push struct of kernels.def; copied
    uint32_t spec[GPU_MAX_SPEC];     // specialisation constants, ids from 0; id 0 is local_size_x
    uint32_t spec_count;
    uint32_t subgroup; // workgroups are of full subgroups of this size, see vkb_device_info; 0: any
    gpu_groups groups; // a zero in it: nothing to do, nothing is recorded
    double flops;      // estimate, for bounding submissions and for gpu_times
    double bytes;      // read and written, for gpu_times, where a run touches less than its views;
                       // 0: each view once, read, written or both, as kernels.def says
} gpu_run_params;

// Records a kernel run, behind a barrier if something it touches was written, or is now written,
// since the last one. An op call reads like its formula:
//
//     gpu_run(s, layernorm_fwd, .bind = {x, gain, bias, y, stat}, .push = &p, .groups = gpu_items(rows));
#define gpu_run(s, kernel, ...) gpu_run_(s, GPU_##kernel, &(gpu_run_params){__VA_ARGS__})
void gpu_run_(gpu_stream *s, gpu_kernel kernel, const gpu_run_params *params);

void gpu_copy(gpu_stream *s, gpu_view from, gpu_view to);   // to.bytes bytes
void gpu_fill(gpu_stream *s, gpu_view view, uint32_t word); // bytes a multiple of 4
// Names what follows, for RenderDoc, Nsight and gpu_times; the name is copied. "" ends it.
void gpu_label(gpu_stream *s, const char *name);
// A failure found by the one who records.
void gpu_stream_fail(gpu_stream *s, vkb_status status);

// Submits recorded streams, in order, behind everything submitted before: in one submission to the
// queue, or in several where one would keep a display waiting. Does not wait. *ticket (may be NULL)
// grows by one each time.
vkb_status gpu_submit(vkb_device *dev, gpu_stream *const *streams, size_t count, uint64_t *ticket);
vkb_status gpu_wait(vkb_device *dev, uint64_t ticket); // that, and everything before it
vkb_status gpu_wait_all(vkb_device *dev);
// The same, for so long at most: a device that has not finished by then hangs, and is taken for
// lost.
vkb_status gpu_wait_for(vkb_device *dev, uint64_t ticket, double seconds);
bool gpu_done(vkb_device *dev, uint64_t ticket);

// gpu_record, gpu_submit, gpu_wait, destroy.
vkb_status gpu_run_once(vkb_device *dev, const char *name, gpu_record_fn record, void *user);

// ---- Plans ----

// Is told of a buffer that would be made.
typedef void (*gpu_plan_fn)(void *user, const char *name, uint64_t bytes);
// Until it is called with NULL, nothing reaches the device: buffers get no memory, uploads,
// submissions and waits do nothing, and streams are only rehearsed. What is made in a plan is good
// for nothing but being destroyed. Scratch memory of streams is among what `buffer` is told of.
void gpu_plan(vkb_device *dev, gpu_plan_fn buffer, void *user);

// ---- What happened ----

typedef struct gpu_time {
    gpu_kernel kernel;
    const char *label;
    double begin; // seconds on the device's clock since the first time that it told
    double seconds, flops, bytes;
} gpu_time;

// Times of a timed stream's last submission, which it waits for: one per run, in order; *count is 0
// on devices without timestamps. Valid until the next call.
vkb_status gpu_times(gpu_stream *s, const gpu_time **times, size_t *count);

// What was done since the device was opened. A training step must only count submissions.
typedef struct gpu_counters {
    uint64_t allocations; // of device memory; buffers share them
    uint64_t pipelines, descriptor_sets, recorded_runs;
    uint64_t recorded_barriers; // between runs; those around each submission are not counted
    uint64_t submissions;       // to the queue: streams of many flops are several
    uint64_t waits;
    uint64_t buffer_bytes; // in buffers that there are now
} gpu_counters;
gpu_counters gpu_count(const vkb_device *dev);

// ---- Notes: what was found out about this device (notes.c) ----
//
// A text by kind and key. But for the last kind they are kept in the user's cache folder, for this
// device, driver and set of shaders, between gpu_notes_begin and gpu_notes_end.
typedef enum gpu_note_kind {
    GPU_NOTE_CHOICE, // of a product: the variant that was measured to be the fastest
    GPU_NOTE_FAULT,  // of a variant that must not be used: why
    GPU_NOTE_TRIAL, // of a variant that is being tried: left behind when the process ends in it, and
                    // found as a fault by the next one
    GPU_NOTE_IN_USE, // not kept. Of a product: the variant that recordings take from now on
} gpu_note_kind;

const char *gpu_note(const vkb_device *dev, gpu_note_kind kind, const char *key); // NULL: none
// The index-th of a kind; false: there are not so many. Valid until the next one is set.
bool gpu_note_at(const vkb_device *dev, gpu_note_kind kind, size_t index, const char **key,
                 const char **text);
vkb_status gpu_note_set(vkb_device *dev, gpu_note_kind kind, const char *key,
                        const char *text); // NULL takes it away
void gpu_note_clear(vkb_device *dev, gpu_note_kind kind);
// Who measures: alone among all processes, so that times are true. Waits for another one for so
// many seconds, then reads what that has kept; false: it is still at it.
bool gpu_notes_begin(vkb_device *dev, double seconds);
// Whole or not at all, and a log line when it cannot be. sync: it outlives the machine, too, which
// takes long.
void gpu_notes_write(vkb_device *dev, bool sync);
void gpu_notes_end(vkb_device *dev);
const char *gpu_notes_path(const vkb_device *dev); // NULL: nothing is kept

// ---- For tests: what good hardware does not show ----

// No more than `bytes` beyond what is allocated now, as on a small device; UINT64_MAX ends it.
void gpu_test_limit_memory(vkb_device *dev, uint64_t bytes);
// No more than so many operations in one submission, as on a slow device with a display; 0 ends it.
// For streams recorded and submitted from here on.
void gpu_test_limit_submissions(vkb_device *dev, double flops);
// gpu_upload and gpu_download go through staging buffers even where the memory is mapped.
void gpu_test_force_staging(vkb_device *dev, bool on);
// No more than `bytes` in one binding, as on a device that binds little; 0 ends it.
void gpu_test_limit_binding(vkb_device *dev, uint64_t bytes);
// Runs of the kernel whose specialisation constant has the value go wrong.
typedef enum gpu_test_fault {
    GPU_TEST_NONE,
    GPU_TEST_DOES_NOT_BUILD, // its pipeline, even one that is there already
    GPU_TEST_GIVES_NOTHING,  // its results are not written
    GPU_TEST_GIVES_LESS,     // nor are they beyond the eighth row of workgroups
    GPU_TEST_HANGS,          // its submission never ends
    GPU_TEST_LOST,           // its submission loses the device
    GPU_TEST_ENDS,           // its submission kills the process
} gpu_test_fault;
void gpu_test_break(vkb_device *dev, gpu_test_fault fault, gpu_kernel kernel, uint32_t constant,
                    uint32_t value);
// Seconds that a run with these specialisation constants takes: gpu_times says so in place of the
// device's clock, with or without one, as if each run began when the one before had ended. NULL
// ends it. For streams recorded from here on.
typedef double (*gpu_test_time_fn)(void *user, gpu_kernel kernel, const uint32_t *spec,
                                   uint32_t spec_count);
void gpu_test_times(vkb_device *dev, gpu_test_time_fn takes, void *user);

#endif
