// Tuning: which of its variants a product is fastest with on this device, measured.
//
//   tune_products.c   products of a recording
//   tune.c            what is tried when, within a budget; what is remembered
//   tune_trial.c      one variant of one product: is it right, and how long does it take?
//   tune_notes.c      what a trial leaves in the notes
//   tune_then.c       what a variant's kernel does behind its product: is it right?
//   tune_attention.c  the same for attention by cooperative matrices, against its plain twin
//
// A variant is trusted only after its numbers were those of the plain family. Before it runs for
// the first time it is noted as being in trial, so that one that kills the process or the machine
// is known by the next one; what did not build, was wrong, hung or lost the device is a fault of
// that variant, and it is never used again on this device and driver (matmul_choose).
#ifndef VKB_OPS_TUNE_H
#define VKB_OPS_TUNE_H

#include "ops/matmul.h"

// ---- Products of a recording ----

typedef struct op_product {
    op_matmul_params params; // of the first one of its name; without views
    matmul_name name;
    double calls; // in what was heard
    op_then then; // without views: whether GELU's backward makes gelu again is in `again`
    bool again;
} op_product;

typedef struct op_products {
    op_product *at;
    size_t count, capacity;
    bool failed;            // memory
    op_attention attention; // the fused one that was heard, without views; no rows: none was
} op_products;

// Adds the products that `record` would record.
vkb_status op_products_hear(vkb_device *dev, gpu_record_fn record, void *user, op_products *list);
void op_products_add(op_products *list, const op_matmul_params *params); // for matmul.c
void op_products_attention(op_products *list, const op_attention *a);    // for attention.c
void op_products_free(op_products *list);

// ---- Tuning ----

typedef struct op_tune_params {
    double max_seconds; // a trial that has begun is ended
    double steps; // how often the products will be run, 0: not known; and how long that takes,
    double run_seconds;       // 0: not known. Tuning takes a small share of it at most
    bool thorough;            // everything anew, and longer
    double enough;            // seconds of measuring a variant; 0: the usual ones
    double hang_seconds;      // beyond what a trial should take: then it hangs
    vkb_progress_fn progress; // variants; may be NULL
    bool (*stop)(void *user); // may be NULL
    void *user;
} op_tune_params;

// Measures, and puts the choices to use (GPU_NOTE_IN_USE) for what is recorded from now on. out is
// freed by op_tuning_free. VKB_DEVICE_LOST: a variant hung or lost the device, and is noted.
// VKB_INTERRUPTED: stop.
vkb_status op_tune(vkb_device *dev, const op_products *products, const op_tune_params *params,
                   vkb_tuning *out);
void op_tuning_free(vkb_tuning *tuning);

// ---- tune_trial.c ----

// What all trials share: random operands, a result.
typedef struct tune_bench {
    vkb_device *dev;
    gpu_buffer *pool, *c;
    uint64_t pool_bytes;
    gpu_type filled_as;          // fp16 needs other words than fp32 and bf16, which share theirs
    double hang_seconds, enough; // enough: seconds of measuring a variant
    op_matmul_params right_of;   // the product whose result by the plain family is in
    void *right;                 // NULL: none
    double usual_seconds;        // of the usual variant of the product at hand; 0: not measured
    double *sparse_usual;        // parts of its result, [TUNE_SPARSE]
} tune_bench;
enum { TUNE_SPARSE = 4096 };

vkb_status tune_bench_open(vkb_device *dev, const op_products *products, tune_bench *out);
void tune_bench_close(tune_bench *bench);

typedef struct tune_result {
    double seconds;  // 0: not measured
    char fault[192]; // a part of a sentence; "": none
} tune_result;

// Both fail only where no other variant can be tried after it.
//
// The plain family's result of what is compared for this variant: bench->right.
vkb_status tune_make_right(tune_bench *bench, const op_matmul_params *params,
                           const matmul_variant *variant, const matmul_variant *plain,
                           tune_result *out);
// Compares, then measures.
vkb_status tune_try(tune_bench *bench, const op_matmul_params *params,
                    const matmul_variant *variant, tune_result *out);
// Of two that were measured: both again, in turn. seconds: in, what is known of them, and out.
vkb_status tune_duel(const tune_bench *bench, const op_matmul_params *params,
                     const matmul_variant *const variants[2], double seconds[2]);
// Whether bench->right is already what tune_make_right would make.
bool tune_has_right(const tune_bench *bench, const op_matmul_params *params,
                    const matmul_variant *variant);
// Submits a stream and waits; *seconds of the kernels in it where the device tells, else of it all.
vkb_status tune_run_stream(const tune_bench *bench, gpu_stream *s, double expected,
                           double *seconds);
// The largest difference as a share of the root mean square; what both left as it was, between
// rows, is NaN in both and passed over. INFINITY: one has a number where the other has none, or has
// none at all.
double tune_error_of(const void *seen, const void *right, gpu_type type, uint64_t count);
double tune_most_error(gpu_type type); // that is right
// Where the next one of several views of a buffer may begin.
static inline uint64_t tune_aligned(const vkb_device *dev, uint64_t bytes)
{
    const uint64_t step = gpu_alignment(dev);
    return (bytes + step - 1) / step * step;
}
// Random numbers, uniform in width * [-0.5, 0.5): pairs of 16 bits, which as bf16, the upper half of an
// fp32, do for that too.
vkb_status tune_fill(vkb_device *dev, gpu_view view, gpu_type type, float width);
// The medians of two recorded streams in turn, for so many seconds, so that a machine that is slow
// for a while is slow for both. expected: what each should take.
vkb_status tune_in_turn(const tune_bench *bench, gpu_stream *const s[2], const double expected[2],
                        double enough, double seconds[2]);
// What went wrong with the recording of one variant says nothing about the others.
vkb_status tune_as_fault(const tune_bench *bench, vkb_status status, tune_result *out);
#define TUNE_NAN 0x7FC07FC0u // words of NaN in each type: what is not written is seen

// ---- tune_notes.c ----

// Before a variant runs. sync: it may take the machine with it.
vkb_status tune_begin_trial(vkb_device *dev, const char *name, bool sync);
// What ended with a status: a fault is noted, and the log says so. A device that is lost is a fault
// of the variant, and fails with what the person is to do.
vkb_status tune_end_trial(vkb_device *dev, const char *name, tune_result *result,
                          vkb_status status);

// ---- tune_then.c ----

// Whether the kernel of a variant gives what kernels apart give, of what follows the product.
vkb_status tune_then(const tune_bench *bench, const op_product *product,
                     const matmul_variant *variant, tune_result *out);

// ---- tune_attention.c ----

// Puts the family of attention's kernels to use that is right and faster, and remembers it. Fails
// as op_tune does.
vkb_status tune_attention(vkb_device *dev, const op_attention *a, const op_tune_params *params);

#endif
