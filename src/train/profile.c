#include "train/profile.h"

#include "base/array.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>

struct train_profiler {
    struct {
        vkb_profile_run *at;
        size_t count, capacity;
    } runs;
    struct {
        double *at;
        size_t count, capacity;
    } gaps, submissions; // of each step
    double gap;          // of the step so far
    double step_seconds;
    uint32_t plain_steps;
    uint64_t submitted; // to the device when the last step had ended
};

void train_profiler_free(train_profiler **profiler)
{
    train_profiler *p = profiler ? *profiler : NULL;
    if (!p)
        return;
    *profiler = NULL;
    free(p->runs.at);
    free(p->gaps.at);
    free(p->submissions.at);
    free(p);
}

// ---- Taking times ----

// Streams that were submitted one behind the other.
static vkb_status take(vkb_trainer *t, gpu_stream *const *streams, size_t count)
{
    train_profiler *p = t->profiler;
    const size_t before = p->runs.count;
    for (size_t i = 0; i < count; i++) {
        const gpu_time *times;
        size_t runs;
        vkb_status status = gpu_times(streams[i], &times, &runs);
        if (status != VKB_OK)
            return status;
        if (!array_reserve(&p->runs, p->runs.count + runs))
            return vkb_fail_memory(gpu_context(t->model->dev), runs * sizeof(*p->runs.at),
                                   "the profile");
        for (size_t k = 0; k < runs; k++) {
            vkb_profile_run *run = &p->runs.at[p->runs.count++];
            *run = (vkb_profile_run){
                .kernel = gpu_kernel_name(times[k].kernel),
                .step = (uint32_t)p->gaps.count,
                .begin = times[k].begin,
                .seconds = times[k].seconds,
                .flops = times[k].flops,
                .bytes = times[k].bytes,
            };
            snprintf(run->label, sizeof(run->label), "%s", times[k].label);
        }
    }
    for (size_t i = before + 1; i < p->runs.count; i++) {
        const vkb_profile_run *last = &p->runs.at[i - 1];
        p->gap += p->runs.at[i].begin - last->begin - last->seconds;
    }
    return VKB_OK;
}

vkb_status train_profile_micro(vkb_trainer *t, bool first)
{
    if (!t->profiler || t->params.gradient_accumulation_steps == 1)
        return VKB_OK;
    return take(t, first ? &t->first : &t->more, 1);
}

vkb_status train_profile_step(vkb_trainer *t)
{
    train_profiler *p = t->profiler;
    gpu_stream *streams[] = {t->first, t->update};
    const size_t taken = t->params.gradient_accumulation_steps > 1;
    if (!p)
        return VKB_OK;
    vkb_status status = take(t, streams + taken, BASE_COUNT(streams) - taken);
    if (status != VKB_OK)
        return status;
    if (!array_reserve(&p->gaps, p->gaps.count + 1) ||
        !array_reserve(&p->submissions, p->submissions.count + 1))
        return vkb_fail_memory(gpu_context(t->model->dev), sizeof(double), "the profile");
    p->gaps.at[p->gaps.count++] = p->gap;
    p->gap = 0;
    // Where the caller works with the device between two steps, the median leaves that out.
    const uint64_t submitted = gpu_count(t->model->dev).submissions;
    p->submissions.at[p->submissions.count++] = (double)(submitted - p->submitted);
    p->submitted = submitted;
    return VKB_OK;
}

// ---- Summing up ----

static int longest_first(const void *a, const void *b)
{
    const double x = ((const vkb_profile_kernel *)a)->seconds;
    const double y = ((const vkb_profile_kernel *)b)->seconds;
    return (x < y) - (x > y);
}

// The median over the steps of what the kernel's runs add up to in each. sums: [steps], scratch.
static double median_of(const vkb_profile *out, const char *kernel, double *sums,
                        double (*value)(const vkb_profile_run *run))
{
    for (uint32_t i = 0; i < out->steps; i++)
        sums[i] = 0;
    for (size_t i = 0; i < out->run_count; i++)
        if (out->runs[i].kernel == kernel)
            sums[out->runs[i].step] += value(&out->runs[i]);
    return train_median(sums, out->steps);
}

static double run_call(const vkb_profile_run *run)
{
    (void)run;
    return 1;
}

static double run_seconds(const vkb_profile_run *run)
{
    return run->seconds;
}

static double run_flops(const vkb_profile_run *run)
{
    return run->flops;
}

static double run_bytes(const vkb_profile_run *run)
{
    return run->bytes;
}

static void sum_up(vkb_profile *out, double *sums)
{
    for (int k = 0; k < GPU_KERNEL_COUNT; k++) {
        const char *name = gpu_kernel_name((gpu_kernel)k);
        const vkb_profile_kernel kernel = {
            .name = name,
            .calls = median_of(out, name, sums, run_call),
            .seconds = median_of(out, name, sums, run_seconds),
            .flops = median_of(out, name, sums, run_flops),
            .bytes = median_of(out, name, sums, run_bytes),
        };
        if (kernel.calls == 0)
            continue;
        out->kernels[out->kernel_count++] = kernel;
        out->kernel_seconds += kernel.seconds;
    }
    for (size_t k = 0; k < out->kernel_count && out->kernel_seconds > 0; k++)
        out->kernels[k].share = out->kernels[k].seconds / out->kernel_seconds;
    qsort(out->kernels, out->kernel_count, sizeof(*out->kernels), longest_first);
}

// Moves the runs over.
static vkb_status make_profile(vkb_device *dev, train_profiler *p, vkb_profile **out)
{
    vkb_status status = VKB_OK;
    const size_t steps = p->gaps.count;
    double *sums = calloc(steps + 1, sizeof(*sums));
    vkb_profile *made = calloc(1, sizeof(*made));
    vkb_profile_kernel *kernels = calloc(GPU_KERNEL_COUNT, sizeof(*kernels));
    if (!sums || !made || !kernels) {
        free(kernels);
        free(made);
        BASE_TRY(vkb_fail_memory(gpu_context(dev), steps * sizeof(*sums), "the profile"));
    }
    *made = (vkb_profile){
        .steps = (uint32_t)steps,
        .plain_steps = p->plain_steps,
        .step_seconds = p->step_seconds,
        .gap_seconds = train_median(p->gaps.at, steps),
        .submissions = train_median(p->submissions.at, steps),
        .kernels = kernels,
        .runs = p->runs.at,
        .run_count = p->runs.count,
    };
    p->runs.at = NULL;
    const double start = made->run_count ? made->runs[0].begin : 0;
    for (size_t i = 0; i < made->run_count; i++)
        made->runs[i].begin -= start;
    sum_up(made, sums);
    *out = made;
cleanup:
    free(sums);
    return status;
}

// ---- Begin and end ----

vkb_status vkb_trainer_profile_begin(vkb_trainer *t)
{
    vkb_device *dev = t->model->dev;
    vkb_context *ctx = gpu_context(dev);
    const vkb_device_info *info = vkb_device_get_info(dev);
    if (!info->timestamps)
        return vkb_fail(ctx, VKB_FAILED,
                        "%s (%s) has no timestamps, so that its kernels cannot be timed",
                        info->name, info->driver);
    if (t->profiler)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "the trainer is being profiled already");
    vkb_status status = vkb_trainer_finish(t, NULL);
    if (status == VKB_OK)
        status = gpu_wait_all(dev);
    if (status == VKB_OK)
        status = train_record_step(t, true);
    if (status != VKB_OK)
        return status;
    t->profiler = calloc(1, sizeof(*t->profiler));
    if (!t->profiler)
        return vkb_fail_memory(ctx, sizeof(*t->profiler), "the profile");
    t->profiler->step_seconds = pace_median(&t->pace, &t->profiler->plain_steps);
    t->profiler->submitted = gpu_count(dev).submissions;
    return VKB_OK;
}

vkb_status vkb_trainer_profile_end(vkb_trainer *t, vkb_profile **out)
{
    vkb_status status = VKB_OK;
    vkb_profile *made = NULL;
    vkb_device *dev = t->model->dev;
    if (!t->profiler)
        return vkb_fail(gpu_context(dev), VKB_BAD_ARGUMENT, "the trainer is not being profiled");
    BASE_TRY(vkb_trainer_finish(t, NULL));
    BASE_TRY(gpu_wait_all(dev));
    BASE_TRY(make_profile(dev, t->profiler, &made));
    BASE_TRY(train_record_step(t, false));
    train_profiler_free(&t->profiler);
    *out = made;
    return VKB_OK;
cleanup:
    vkb_profile_free(&made);
    return status;
}

void vkb_profile_free(vkb_profile **profile)
{
    vkb_profile *p = profile ? *profile : NULL;
    if (!p)
        return;
    *profile = NULL;
    free(p->kernels);
    free(p->runs);
    free(p);
}
