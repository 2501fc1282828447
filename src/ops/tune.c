// What is tried when, and what becomes of it: the products that take longest first, each one's usual
// variant before its others, until the budget ends.
#include "ops/tune.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_STEPS = 100 }; // of a run that is worth measuring anything for
#define SHARE_OF_RUN 0.02   // that tuning may take: it saves about that much, or nothing
#define LEAST_BUDGET 1.0    // seconds; less than that is the compiling of one variant
#define LEAST_GAIN 0.03     // that a variant has to be faster by, or the noise chooses
#define ENOUGH 0.15         // seconds of measuring a variant; thorough:
#define ENOUGH_THOROUGH 0.6

// ---- State ----

enum { NONE = MATMUL_VARIANTS };

typedef struct candidate {
    matmul_variant variant;
    matmul_name name;
    tune_result result;
    bool tried;
} candidate;

typedef struct state {
    const op_product *product;
    double flops;
    candidate list[MATMUL_VARIANTS];
    size_t count, usual, chosen; // indices; NONE
    bool known;                  // chosen before, by what the notes say
    double sparse[TUNE_SPARSE];
} state;

typedef struct tuner {
    vkb_device *dev;
    const op_tune_params *params;
    tune_bench bench;
    state **at;
    size_t count;
    uint64_t done, total; // variants, for progress
    double started, budget;
} tuner;

static bool is_faulty(const tuner *t, const candidate *c)
{
    return gpu_note(t->dev, GPU_NOTE_FAULT, c->name.text) != NULL;
}

// The first one that no fault is known of: what a recording takes without tuning.
static size_t usual_of(const tuner *t, const state *s)
{
    size_t i = 0;
    while (i < s->count && is_faulty(t, &s->list[i]))
        i++;
    return i < s->count ? i : NONE;
}

static state *state_of(const tuner *t, const op_product *product)
{
    matmul_variant list[MATMUL_VARIANTS];
    const size_t count = matmul_variants(t->dev, &product->params, list, MATMUL_VARIANTS);
    const matmul_product x = matmul_product_of(&product->params);
    state *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->product = product;
    s->flops = matmul_flops(&x);
    s->count = count;
    s->usual = s->chosen = NONE;
    for (size_t i = 0; i < count; i++) {
        s->list[i].variant = list[i];
        s->list[i].name = matmul_variant_name(&list[i]);
    }
    return s;
}

static int longest_first(const void *a, const void *b)
{
    const state *x = *(state *const *)a, *y = *(state *const *)b;
    const double first = x->flops * x->product->calls, second = y->flops * y->product->calls;
    return first != second ? (first < second) - (first > second)
                           : strcmp(x->product->name.text, y->product->name.text);
}

static vkb_status tuner_open(tuner *t, const op_products *products)
{
    t->started = clock_seconds(gpu_context(t->dev));
    t->at = calloc(products->count + 1, sizeof(*t->at));
    for (size_t i = 0; t->at && i < products->count; i++) {
        t->at[i] = state_of(t, &products->at[i]);
        if (!t->at[i])
            return vkb_fail_memory(gpu_context(t->dev), sizeof(state), "tuning");
        t->count++;
    }
    if (!t->at)
        return vkb_fail_memory(gpu_context(t->dev), products->count * sizeof(*t->at), "tuning");
    qsort(t->at, t->count, sizeof(*t->at), longest_first);
    return VKB_OK;
}

static void tuner_close(tuner *t)
{
    tune_bench_close(&t->bench);
    for (size_t i = 0; i < t->count; i++)
        free(t->at[i]);
    free(t->at);
}

// ---- Trials ----

// What runs for the first time may take the machine with it.
static vkb_status begin_trial(tuner *t, const candidate *c)
{
    bool first = true;
    for (size_t i = 0; i < t->count && first; i++)
        for (size_t k = 0; k < t->at[i]->count && first; k++)
            first = !t->at[i]->list[k].tried ||
                    !matmul_variant_equal(&t->at[i]->list[k].variant, &c->variant);
    return tune_begin_trial(t->dev, c->name.text, first);
}

// The right result for a variant, by the first of the plain family that works.
static vkb_status make_right(tuner *t, state *s, const candidate *c)
{
    const op_matmul_params *product = &s->product->params;
    vkb_status status = VKB_OK;
    if (tune_has_right(&t->bench, product, &c->variant))
        return VKB_OK;
    for (size_t i = 0; i < s->count; i++) {
        candidate *plain = &s->list[i];
        if (strcmp(plain->variant.family, matmul_tile.name) != 0 || is_faulty(t, plain))
            continue;
        const tune_result measured = plain->result; // it may have been tried itself
        BASE_TRY(begin_trial(t, plain));
        status = tune_make_right(&t->bench, product, &c->variant, &plain->variant, &plain->result);
        BASE_TRY(tune_end_trial(t->dev, plain->name.text, &plain->result, status));
        if (!*plain->result.fault) {
            plain->result = measured;
            return VKB_OK;
        }
    }
    status =
        vkb_fail(gpu_context(t->dev), VKB_FAILED,
                 "the plain kernel does not work here for the product %s", s->product->name.text);
cleanup:
    return status;
}

static vkb_status try_one(tuner *t, state *s, size_t i)
{
    candidate *c = &s->list[i];
    vkb_status status = VKB_OK;
    if (c->tried || is_faulty(t, c))
        return VKB_OK;
    if (t->params->stop && t->params->stop(t->params->user))
        return vkb_fail(gpu_context(t->dev), VKB_INTERRUPTED,
                        "interrupted while kernels were tried");
    if (t->params->progress)
        t->params->progress(t->params->user, "trying kernels", t->done, t->total);
    t->done++;
    t->bench.sparse_usual = s->sparse;
    t->bench.usual_seconds = s->usual == i ? 0 : s->list[s->usual].result.seconds;
    BASE_TRY(make_right(t, s, c));
    if (is_faulty(t, c)) // it was to be what is right
        return VKB_OK;
    BASE_TRY(begin_trial(t, c));
    status = tune_try(&t->bench, &s->product->params, &c->variant, &c->result);
    c->tried = status == VKB_OK;
    status = tune_end_trial(t->dev, c->name.text, &c->result, status);
cleanup:
    return status;
}

// Until one works, which is the usual one from then on.
static vkb_status try_usual(tuner *t, state *s)
{
    vkb_status status = VKB_OK;
    while (status == VKB_OK && (s->usual = usual_of(t, s)) != NONE && !s->list[s->usual].tried)
        status = try_one(t, s, s->usual);
    return status;
}

static bool over(const tuner *t)
{
    return clock_seconds(gpu_context(t->dev)) - t->started >= t->budget;
}

// The run's length as its products tell it, once their usual variants were measured.
static void fit_budget(tuner *t)
{
    double step = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->at[i]->usual != NONE)
            step += t->at[i]->product->calls * t->at[i]->list[t->at[i]->usual].result.seconds;
    if (!t->params->thorough && t->params->steps > 0)
        t->budget = fmin(t->budget, SHARE_OF_RUN * t->params->steps * step);
}

// The fastest one that was measured; true: every one was, so that it can be remembered.
static bool choose(const tuner *t, state *s)
{
    s->chosen = s->usual = usual_of(t, s);
    const double usual = s->usual == NONE ? 0 : s->list[s->usual].result.seconds;
    double best = usual * (1 - LEAST_GAIN);
    bool all = usual > 0;
    for (size_t i = 0; i < s->count; i++) {
        const candidate *c = &s->list[i];
        if (is_faulty(t, c))
            continue;
        all = all && c->tried;
        if (c->tried && c->result.seconds < best) {
            best = c->result.seconds;
            s->chosen = i;
        }
    }
    return all;
}

// The fastest one may have had luck: it has to win against the usual one side by side.
static vkb_status make_sure(tuner *t, state *s)
{
    choose(t, s);
    if (s->chosen == s->usual || s->chosen == NONE)
        return VKB_OK;
    candidate *usual = &s->list[s->usual], *best = &s->list[s->chosen];
    const matmul_variant *const two[] = {&usual->variant, &best->variant};
    double seconds[] = {usual->result.seconds, best->result.seconds};
    t->bench.usual_seconds = usual->result.seconds;
    vkb_status status = tune_duel(&t->bench, &s->product->params, two, seconds);
    if (status == VKB_OK) {
        usual->result.seconds = seconds[0];
        best->result.seconds = seconds[1];
    }
    return status == VKB_DEVICE_LOST
               ? tune_end_trial(t->dev, best->name.text, &best->result, status)
               : status;
}

// Of the variant that is taken: what its kernel does behind the product, once each.
static vkb_status try_then(tuner *t, state *s)
{
    op_matmul_params product = s->product->params;
    vkb_status status = VKB_OK;
    choose(t, s);
    if (s->chosen == NONE)
        return VKB_OK;
    candidate follows = {.variant = s->list[s->chosen].variant};
    product.then.kind = s->product->then.kind;
    follows.name = matmul_then_name(&follows.variant, product.then.kind);
    if (!matmul_does_then(t->dev, &product, &follows.variant))
        return VKB_OK;
    BASE_TRY(tune_begin_trial(t->dev, follows.name.text, true));
    status = tune_then(&t->bench, s->product, &follows.variant, &follows.result);
    status = tune_end_trial(t->dev, follows.name.text, &follows.result, status);
cleanup:
    return status;
}

static vkb_status try_all(tuner *t)
{
    vkb_status status = VKB_OK;
    for (size_t i = 0; i < t->count && !over(t); i++)
        if (!t->at[i]->known)
            BASE_TRY(try_usual(t, t->at[i]));
    fit_budget(t);
    for (size_t i = 0; i < t->count && !over(t); i++) {
        state *s = t->at[i];
        if (s->known || s->usual == NONE || !s->list[s->usual].tried)
            continue;
        for (size_t k = 0; k < s->count && !over(t); k++)
            BASE_TRY(try_one(t, s, k));
        BASE_TRY(make_sure(t, s));
        BASE_TRY(try_then(t, s));
    }
cleanup:
    return status;
}

// ---- Choices ----

static void take_known(tuner *t)
{
    for (size_t i = 0; i < t->count; i++) {
        state *s = t->at[i];
        const char *choice = gpu_note(t->dev, GPU_NOTE_CHOICE, s->product->name.text);
        s->usual = usual_of(t, s);
        for (size_t k = 0; choice && k < s->count && !t->params->thorough; k++)
            if (strcmp(s->list[k].name.text, choice) == 0 && !is_faulty(t, &s->list[k])) {
                s->chosen = k;
                s->known = true;
            }
        if (s->count == 1) { // nothing to choose from
            s->chosen = s->usual;
            s->known = true;
        }
        t->total += s->known ? 0 : s->count;
    }
}

static vkb_status conclude(tuner *t)
{
    vkb_status status = VKB_OK;
    for (size_t i = 0; i < t->count; i++) {
        state *s = t->at[i];
        const char *product = s->product->name.text;
        s->known = s->known && s->chosen != NONE && !is_faulty(t, &s->list[s->chosen]);
        const bool complete = s->known || choose(t, s);
        if (s->chosen == NONE)
            continue;
        const char *name = s->list[s->chosen].name.text;
        BASE_TRY(gpu_note_set(t->dev, GPU_NOTE_IN_USE, product, name));
        if (complete && !s->known)
            BASE_TRY(gpu_note_set(t->dev, GPU_NOTE_CHOICE, product, name));
    }
    if (t->done)
        gpu_notes_write(t->dev, true);
cleanup:
    return status;
}

// ---- What came of it ----

static void report_variant(const tuner *t, const state *s, size_t i, vkb_tuned_variant *v)
{
    const candidate *c = &s->list[i];
    const char *fault = gpu_note(t->dev, GPU_NOTE_FAULT, c->name.text);
    *v = (vkb_tuned_variant){.calls = s->product->calls,
                             .flops = s->flops,
                             .seconds = c->result.seconds,
                             .usual = i == s->usual,
                             .chosen = i == s->chosen};
    snprintf(v->product, sizeof(v->product), "%s", s->product->name.text);
    snprintf(v->variant, sizeof(v->variant), "%s", c->name.text);
    snprintf(v->fault, sizeof(v->fault), "%s", fault ? fault : "");
}

static vkb_status report(const tuner *t, vkb_tuning *out)
{
    size_t variants = 0;
    for (size_t i = 0; i < t->count; i++)
        variants += t->at[i]->count;
    *out = (vkb_tuning){.seconds = clock_seconds(gpu_context(t->dev)) - t->started,
                        .products = t->count,
                        .variants = calloc(variants + 1, sizeof(*out->variants))};
    if (!out->variants)
        return vkb_fail_memory(gpu_context(t->dev), variants * sizeof(*out->variants), "tuning");
    snprintf(out->path, sizeof(out->path), "%s",
             gpu_notes_path(t->dev) ? gpu_notes_path(t->dev) : "");
    for (size_t i = 0; i < t->count; i++) {
        const state *s = t->at[i];
        out->known += s->known;
        out->changed += s->chosen != s->usual && s->chosen != NONE;
        if (s->usual != NONE && s->list[s->usual].tried && s->list[s->chosen].tried) {
            out->measured++;
            out->usual_seconds += s->product->calls * s->list[s->usual].result.seconds;
            out->tuned_seconds += s->product->calls * s->list[s->chosen].result.seconds;
        }
        for (size_t k = 0; k < s->count; k++)
            report_variant(t, s, k, &out->variants[out->variant_count++]);
    }
    return VKB_OK;
}

void op_tuning_free(vkb_tuning *tuning)
{
    free(tuning->variants);
    *tuning = (vkb_tuning){0};
}

// ---- All of it ----

// The seconds that may be spent; 0: nothing is worth being measured.
static double first_budget(const op_tune_params *p, uint64_t total)
{
    double budget = p->max_seconds;
    if (total == 0)
        return 0;
    if (p->thorough)
        return budget;
    if (p->run_seconds > 0)
        budget = fmin(budget, SHARE_OF_RUN * p->run_seconds);
    if (budget < LEAST_BUDGET || (p->steps > 0 && p->steps < LEAST_STEPS))
        budget = 0;
    return budget;
}

static vkb_status measure(tuner *t, const op_products *products)
{
    vkb_context *ctx = gpu_context(t->dev);
    vkb_status status = tune_bench_open(t->dev, products, &t->bench);
    t->bench.hang_seconds = t->params->hang_seconds;
    t->bench.enough = t->params->enough > 0 ? t->params->enough
                      : t->params->thorough ? ENOUGH_THOROUGH
                                            : ENOUGH;
    if (status == VKB_OK)
        status = try_all(t);
    if (status != VKB_OUT_OF_MEMORY && status != VKB_FAILED)
        return status;
    vkb_log(ctx, VKB_LOG_WARNING, "kernels are not tried any further: %s", vkb_error(ctx));
    return VKB_OK;
}

vkb_status op_tune(vkb_device *dev, const op_products *products, const op_tune_params *params,
                   vkb_tuning *out)
{
    tuner t = {.dev = dev, .params = params};
    vkb_status status = VKB_OK, ended;
    bool alone = false;
    if (products->attention.rows && first_budget(params, 1) > 0)
        BASE_TRY(tune_attention(dev, &products->attention, params));
    BASE_TRY(tuner_open(&t, products));
    take_known(&t);
    t.budget = first_budget(params, t.total);
    if (t.budget > 0) {
        alone = gpu_notes_begin(dev, params->max_seconds);
        t.started = clock_seconds(gpu_context(dev));
        t.total = 0;
        take_known(&t); // what another process has found meanwhile
    }
    if (alone && t.total)
        status = measure(&t, products);
    if (status == VKB_DEVICE_LOST)
        goto cleanup;
    ended = conclude(&t);
    BASE_TRY(status == VKB_OK ? ended : status);
    BASE_TRY(report(&t, out));
cleanup:
    gpu_notes_end(dev);
    tuner_close(&t);
    return status;
}
