// One trial of an op on a device against the reference, in the manner of ggml's test-backend-ops.
//
//     trial *t = trial_open(dev, "layernorm %ux%u", rows, cols);
//     tensor *x = trial_input(t, "x", rows * cols, VALUES_FAR);
//     tensor *y = trial_output(t, "y", rows * cols, 1e-11);
//     ref_layernorm_fwd(x->ref, ..., y->ref, ...);
//     trial_run(t, record, &arguments);            // record binds x->view, y->view
//     CHECK(trial_close(&t));
//
// The tensors lie in one buffer between bands of NaN. trial_run records once and submits twice,
// each time from the same start; it checks that
//   the bands and the inputs are as they were, to the bit
//   both runs gave the same bits
//   every output is within its tensor's limit of the reference, and no element far out
// What is wrong is printed with trial, tensor and element; trial_close is then false.
//
//     int main(void) { return trial_devices(all_trials) ? check_report() : 77; }
#ifndef VKB_TESTS_OPS_HARNESS_H
#define VKB_TESTS_OPS_HARNESS_H

#include "devices.h"
#include "ops/ops.h"

// fp32 against double, as normalised mean squared error: sum (x - ref)^2 / sum ref^2. A rounding is
// 2^-24 = 6e-8 of a value, 3.6e-15 squared; sums of some hundred terms lose a digit or two more.
#define LIMIT_FP32 1e-11
#define LIMIT_EXACT 0.0 // copies and sums of one term: no rounding at all
// Outputs that are rounded once to 16 bits, by at most 2^-11 and 2^-8 of each value: its square, or
// up to a factor of 4 less when all are rounded to the nearest.
#define LIMIT_F16 2.4e-7
#define LIMIT_BF16 1.6e-5

typedef enum values {
    VALUES_NORMAL, // N(0, 1)
    VALUES_FAR,    // N(300, 1): what one-pass variances and unshifted softmaxes do not survive
    VALUES_WIDE,   // N(0, 30): saturated tails
    VALUES_SMALL,  // N(0, 0.02), as BERT's weights
    VALUES_ZERO,
} values;

typedef enum tensor_role { TENSOR_INPUT, TENSOR_OUTPUT, TENSOR_INOUT, TENSOR_FREE } tensor_role;

typedef struct tensor {
    const char *name;
    tensor_role role;
    size_t count;
    bool words;     // uint32 or a struct: compared exactly with expected_words
    gpu_type type;  // on the device; start, ref and tensor_seen are what it stands for
    double limit;   // of the normalised mean squared error
    float *start;   // what the device starts from; NaN for outputs
    double *ref;    // the same for the reference, which leaves its result here
    uint32_t *seen; // bits after trial_run
    uint32_t *expected_words;
    gpu_view view; // on the device, from trial_ready or trial_run on
    size_t first;  // word of the buffer
} tensor;

typedef struct trial trial;

trial *trial_open(vkb_device *dev, const char *name, ...) __attribute__((format(printf, 2, 3)));
// Frees the trial; true when nothing was wrong with it.
bool trial_close(trial **t);
// Says that something is wrong with the trial, for checks of the test's own.
void trial_wrong(trial *t, const char *sentence, ...) __attribute__((format(printf, 2, 3)));

tensor *trial_input(trial *t, const char *name, size_t count, values kind);
// Starts as NaN, so that an element that is never written fails.
tensor *trial_output(trial *t, const char *name, size_t count, double limit);
// Starts with values that stay or are added to.
tensor *trial_inout(trial *t, const char *name, size_t count, values kind, double limit);
// uint32 values or structs, copied.
tensor *trial_words(trial *t, const char *name, size_t count, const void *data);
// Compared to the bit with expected (copied), start may be NULL: NaN bits.
tensor *trial_words_out(trial *t, const char *name, size_t count, const void *start,
                        const void *expected);
// Anything may happen inside it: the caller looks at tensor->seen. start may be NULL.
tensor *trial_free_words(trial *t, const char *name, size_t count, const void *start);

// The reference's values of an input that another reference computed, rounded for the device; the
// reference goes on with the rounded ones.
void tensor_start_from_ref(tensor *x);
// The tensor, just made, is 16 bits wide on the device: its start is rounded, for the reference too,
// and its limit is no less than LIMIT_F16 or LIMIT_BF16. GPU_F32 changes nothing. count: of fours.
void tensor_as(tensor *x, gpu_type type);
// Packs an input [rows][cols] for the device (op_pack); the reference keeps it as it lies.
void tensor_start_packed(tensor *x, uint32_t rows, uint32_t cols, uint32_t panel);
// Memory that lives as long as the trial.
double *trial_spare(trial *t, size_t count);

// After trial_run: the device's value of an element.
float tensor_seen(const tensor *x, size_t i);

// Puts the tensors on the device: no more are added. trial_run and what follows it begin so.
bool trial_ready(trial *t);
void trial_run(trial *t, gpu_record_fn record, void *user);

// Recording must fail with VKB_BAD_ARGUMENT and a sentence that says `part`.
void trial_refuses(trial *t, const char *part, gpu_record_fn record, void *user);
// The same when x is missing, and when it is one element too short.
void trial_needs(trial *t, tensor *x, gpu_record_fn record, void *user);
void trial_needs_all(trial *t, tensor *x, gpu_record_fn record, void *user);

// devices_run, twice on each device: with the kernels' variants for GPUs, then with those for software
// drivers.
int trial_devices(device_test_fn fn);

// ---- Random numbers, the same on every machine ----

typedef struct random_source {
    uint64_t key, next;
} random_source;

uint32_t random_below(random_source *r, uint32_t bound); // 0 .. bound - 1
double random_uniform(random_source *r);                 // [0, 1)
double random_normal(random_source *r);
random_source *trial_random(trial *t); // seeded by the trial's name

#endif
