#include "cli/profile.h"

#include "cli/files.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Table ----

// "12.3", or "-" of what has no such number.
static short_text show_rate(double amount, double seconds, double unit)
{
    short_text shown = {"-"};
    if (amount > 0 && seconds > 0)
        snprintf(shown.text, sizeof(shown.text), "%.1f", amount / seconds / unit);
    return shown;
}

static short_text show_share(double amount, double seconds, double ceiling)
{
    short_text shown = {"-"};
    if (amount > 0 && seconds > 0 && ceiling > 0)
        snprintf(shown.text, sizeof(shown.text), "%.0f %%", 100 * amount / seconds / ceiling);
    return shown;
}

// Of a step, the time that no kernel runs: of the plain step, where it is known.
static double outside_seconds(const vkb_profile *p)
{
    return fmax(0, p->step_seconds - p->kernel_seconds);
}

static void print_step(const vkb_profile *p)
{
    if (p->plain_steps)
        printf("step        %10.2f ms  median of %u, without timestamps\n", 1e3 * p->step_seconds,
               p->plain_steps);
    printf("in kernels  %10.2f ms  ", 1e3 * p->kernel_seconds);
    if (p->plain_steps)
        printf("%.1f %% of it, ", 100 * p->kernel_seconds / p->step_seconds);
    printf("median of %u profiled step%s, a kernel at a time\n", p->steps, p->steps > 1 ? "s" : "");
    if (p->plain_steps)
        printf("outside     %10.2f ms  host, submissions, copies, barriers\n",
               1e3 * outside_seconds(p));
    printf("gaps        %10.2f ms  on the device, from one kernel's end to the next one's begin\n",
           1e3 * p->gap_seconds);
    printf("submissions %7g     a step\n", p->submissions);
}

void profile_print(const vkb_profile *p, const vkb_ceilings *c)
{
    print_step(p);
    printf("ceilings    %.1f GFLOP/s, the best product of this precision; %.1f GB/s, a copy, read "
           "plus written\n\n",
           1e-9 * c->product_flops_per_second, 1e-9 * c->copy_bytes_per_second);
    printf("%-20s %7s %6s %10s %9s %8s %8s %8s\n", "kernel", "share", "calls", "ms", "GFLOP/s",
           "of best", "GB/s", "of copy");
    for (size_t i = 0; i < p->kernel_count; i++) {
        const vkb_profile_kernel *k = &p->kernels[i];
        printf("%-20s %5.1f %% %6g %10.3f %9s %8s %8s %8s\n", k->name, 100 * k->share, k->calls,
               1e3 * k->seconds, show_rate(k->flops, k->seconds, 1e9).text,
               show_share(k->flops, k->seconds, c->product_flops_per_second).text,
               show_rate(k->bytes, k->seconds, 1e9).text,
               show_share(k->bytes, k->seconds, c->copy_bytes_per_second).text);
    }
}

// ---- JSON ----

static cJSON *kernel_json(const vkb_profile_kernel *k)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", k->name);
    cJSON_AddNumberToObject(item, "share", k->share);
    cJSON_AddNumberToObject(item, "calls", k->calls);
    cJSON_AddNumberToObject(item, "seconds", k->seconds);
    cJSON_AddNumberToObject(item, "flops", k->flops);
    cJSON_AddNumberToObject(item, "bytes", k->bytes);
    return item;
}

void profile_add_json(cJSON *tree, const vkb_profile *p, const vkb_ceilings *c)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"product_flops_per_second", c->product_flops_per_second},
        {"copy_bytes_per_second", c->copy_bytes_per_second},
        {"profiled_steps", p->steps},
        {"kernel_seconds", p->kernel_seconds},
        {"outside_seconds", outside_seconds(p)},
        {"gap_seconds", p->gap_seconds},
        {"submissions", p->submissions},
    };
    for (size_t i = 0; i < CLI_COUNT(numbers); i++)
        cJSON_AddNumberToObject(tree, numbers[i].name, numbers[i].value);
    cJSON *list = cJSON_AddArrayToObject(tree, "kernels");
    for (size_t i = 0; i < p->kernel_count; i++)
        cJSON_AddItemToArray(list, kernel_json(&p->kernels[i]));
}

// ---- Trace ----

vkb_status profile_check_trace(cli_state *cli, const char *path)
{
    char folder[PATH_BYTES];
    if (!*path || snprintf(folder, sizeof(folder), "%s", path) >= PATH_BYTES)
        return cli_fail(cli, VKB_BAD_ARGUMENT, "the trace needs the path of a file");
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0; // the root keeps its slash
    if (path_is_folder(path))
        return cli_fail(cli, VKB_BAD_ARGUMENT, "%s is a folder: name a file for the trace", path);
    if (slash && !path_is_folder(folder))
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "there is no folder %s for the trace: make it, or name another", folder);
    return VKB_OK;
}

enum { TRACK_STEPS = 1, TRACK_PARTS, TRACK_KERNELS };

typedef struct trace {
    char *text;
    size_t used, capacity;
    bool failed; // memory
} trace;

static void add(trace *t, const char *format, ...) OUTPUT_PRINTF(2, 3);
static void add(trace *t, const char *format, ...)
{
    char piece[1024];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(piece, sizeof(piece), format, args);
    va_end(args);
    const size_t bytes = length < 0 || length >= (int)sizeof(piece) ? 0 : (size_t)length;
    while (!t->failed && t->used + bytes + 1 > t->capacity) {
        const size_t larger = t->capacity ? 2 * t->capacity : 1 << 16;
        char *moved = realloc(t->text, larger);
        t->failed = !moved;
        t->text = moved ? moved : t->text;
        t->capacity = moved ? larger : t->capacity;
    }
    t->failed = t->failed || !bytes;
    if (!t->failed) {
        memcpy(t->text + t->used, piece, bytes + 1);
        t->used += bytes;
    }
}

// A text as JSON has it, quotes included.
static void add_text(trace *t, const char *text)
{
    cJSON *node = cJSON_CreateString(text);
    char *quoted = node ? cJSON_PrintUnformatted(node) : NULL;
    if (quoted)
        add(t, "%s", quoted);
    else
        t->failed = true;
    free(quoted);
    cJSON_Delete(node);
}

static void add_name(trace *t, const char *what, int track, const char *name)
{
    add(t, "{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"%s\",\"args\":{\"name\":", track, what);
    add_text(t, name);
    add(t, "}},\n");
}

// A slice; what follows is for `args`, and ends it.
static void add_slice(trace *t, int track, double begin, double end)
{
    add(t, "{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"name\":", track,
        1e6 * begin, 1e6 * (end - begin));
}

static double run_end(const vkb_profile_run *run)
{
    return run->begin + run->seconds;
}

static void add_step(trace *t, const vkb_profile_run *first, const vkb_profile_run *last)
{
    add_slice(t, TRACK_STEPS, first->begin, run_end(last));
    add(t, "\"step\",\"args\":{\"step\":%" PRIu32 "}},\n", first->step);
}

static void add_part(trace *t, const vkb_profile_run *first, const vkb_profile_run *last)
{
    add_slice(t, TRACK_PARTS, first->begin, run_end(last));
    add_text(t, *first->label ? first->label : "step");
    add(t, "},\n");
}

static void add_run(trace *t, const vkb_profile_run *run, const char *end)
{
    add_slice(t, TRACK_KERNELS, run->begin, run_end(run));
    add_text(t, run->kernel);
    add(t, ",\"args\":{\"part\":");
    add_text(t, run->label);
    add(t, ",\"flops\":%.0f,\"bytes\":%.0f,\"gflops_per_second\":%.3f,\"gb_per_second\":%.3f}}%s\n",
        run->flops, run->bytes, run->seconds > 0 ? 1e-9 * run->flops / run->seconds : 0,
        run->seconds > 0 ? 1e-9 * run->bytes / run->seconds : 0, end);
}

static void add_events(trace *t, const vkb_profile *p)
{
    size_t step = 0, part = 0; // where the open ones began
    for (size_t i = 0; i < p->run_count; i++) {
        const vkb_profile_run *run = &p->runs[i];
        const bool last = i + 1 == p->run_count, ends_step = last || run[1].step != run->step;
        if (ends_step || strcmp(run[1].label, run->label) != 0) {
            add_part(t, &p->runs[part], run);
            part = i + 1;
        }
        if (ends_step) {
            add_step(t, &p->runs[step], run);
            step = i + 1;
        }
        add_run(t, run, last ? "" : ",");
    }
}

vkb_status profile_write_trace(cli_state *cli, const char *path, const vkb_device_info *device,
                               const vkb_profile *profile)
{
    trace t = {0};
    add(&t, "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"device\":");
    add_text(&t, device->name);
    add(&t, ",\"driver\":");
    add_text(&t, device->driver);
    add(&t, "},\"traceEvents\":[\n");
    add_name(&t, "process_name", 0, device->name);
    add_name(&t, "thread_name", TRACK_STEPS, "steps");
    add_name(&t, "thread_name", TRACK_PARTS, "parts");
    add_name(&t, "thread_name", TRACK_KERNELS, "kernels");
    add_events(&t, profile);
    add(&t, "]}\n");
    vkb_status status = t.failed ? cli_fail_memory(cli) : file_write_path(cli, path, t.text);
    free(t.text);
    return status;
}
