#include "cli/tuning.h"

#include <stdio.h>
#include <string.h>

typedef struct progress {
    output *out;
    bool thorough;
} progress;

static void show_progress(void *user, const char *what, uint64_t done, uint64_t total)
{
    const progress *p = user;
    if (done == 0)
        output_note(p->out, "trying kernels, once for this device and driver%s",
                    p->thorough ? "" : ", for 20 seconds at most (--no-tune leaves it out)");
    output_share(p->out, what, done, total, show_count);
}

vkb_status tuning_run(cli_state *cli, vkb_trainer *trainer, bool thorough, bool (*stop)(void *),
                      vkb_tuning **out)
{
    progress p = {&cli->out, thorough};
    const vkb_tune_params params = {
        .thorough = thorough, .progress = show_progress, .stop = stop, .user = &p};
    vkb_status status = vkb_trainer_tune(trainer, &params, out);
    output_clear_line(&cli->out);
    return status;
}

void tuning_note(output *out, const vkb_tuning *t)
{
    if (!t->measured)
        return;
    output_note(
        out,
        "tuning: kernels of %zu of %zu products tried in %.1f s (--no-tune leaves it out); a "
        "step's products take %.1f %% less%s%s",
        t->measured, t->products, t->seconds,
        t->usual_seconds > 0 ? 100 * (1 - t->tuned_seconds / t->usual_seconds) : 0,
        *t->path ? "; kept in " : "", t->path);
}

// ---- Table ----

static void print_variant(const vkb_tuned_variant *v, bool first)
{
    const char *mark = v->chosen ? "chosen" : "", *usual = v->usual ? "usual" : "";
    if (first)
        printf("\n%s, %g a step\n", v->product, v->calls);
    printf("  %-24s", v->variant);
    if (*v->fault)
        printf(" %s\n", v->fault);
    else if (v->seconds > 0)
        printf(" %10.3f ms %10.1f GFLOP/s  %-6s%s%s\n", 1e3 * v->seconds,
               1e-9 * v->flops / v->seconds, usual, *mark ? "  " : "", mark);
    else
        printf(" %13s %18s  %-6s%s%s\n", "-", "-", usual, *mark ? "  " : "", mark);
}

void tuning_print(const vkb_tuning *t)
{
    printf(
        "tuning      %zu products, %zu measured now, %zu known, in %.1f s; %zu have another kernel "
        "than the usual\n",
        t->products, t->measured, t->known, t->seconds, t->changed);
    if (t->measured)
        printf("products    %.2f ms a step, %.2f with the usual kernels: %.1f %% less\n",
               1e3 * t->tuned_seconds, 1e3 * t->usual_seconds,
               t->usual_seconds > 0 ? 100 * (1 - t->tuned_seconds / t->usual_seconds) : 0);
    printf("kept in     %s\n", *t->path ? t->path : "nothing: there is no cache folder");
    for (size_t i = 0; i < t->variant_count; i++)
        print_variant(&t->variants[i],
                      i == 0 || strcmp(t->variants[i].product, t->variants[i - 1].product) != 0);
}

// ---- JSON ----

static cJSON *variant_json(const vkb_tuned_variant *v)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "product", v->product);
    cJSON_AddStringToObject(item, "variant", v->variant);
    cJSON_AddNumberToObject(item, "calls", v->calls);
    cJSON_AddNumberToObject(item, "flops", v->flops);
    cJSON_AddNumberToObject(item, "seconds", v->seconds);
    cJSON_AddBoolToObject(item, "usual", v->usual);
    cJSON_AddBoolToObject(item, "chosen", v->chosen);
    if (*v->fault)
        cJSON_AddStringToObject(item, "fault", v->fault);
    return item;
}

void tuning_add_json(cJSON *tree, const vkb_tuning *t)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"products", (double)t->products},
        {"measured", (double)t->measured},
        {"known", (double)t->known},
        {"changed", (double)t->changed},
        {"seconds", t->seconds},
        {"usual_seconds", t->usual_seconds},
        {"tuned_seconds", t->tuned_seconds},
    };
    cJSON *own = cJSON_AddObjectToObject(tree, "tuning");
    for (size_t i = 0; i < CLI_COUNT(numbers); i++)
        cJSON_AddNumberToObject(own, numbers[i].name, numbers[i].value);
    cJSON *list = cJSON_AddArrayToObject(own, "variants");
    for (size_t i = 0; i < t->variant_count; i++)
        cJSON_AddItemToArray(list, variant_json(&t->variants[i]));
}
