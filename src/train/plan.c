// Parameters filled in and checked, and what a run will take on the device.
#include "train/trainer.h"

#include <stdlib.h>
#include <string.h>

vkb_status train_params_complete(vkb_context *ctx, vkb_train_params *p)
{
#define DEFAULT(field, value) p->field = p->field != 0 ? p->field : (value)
    DEFAULT(batch_size, 8);
    DEFAULT(gradient_accumulation_steps, 1);
    DEFAULT(learning_rate, 5e-5);
    DEFAULT(adam_beta1, 0.9);
    DEFAULT(adam_beta2, 0.999);
    DEFAULT(adam_epsilon, 1e-8);
    DEFAULT(max_grad_norm, 1.0);
    if (p->max_seconds == 0)
        DEFAULT(num_train_epochs, 3);
#undef DEFAULT
    train_mask_complete(&p->mask);
    const struct {
        const char *name;
        double value, least, most;
    } checks[] = {
        {"learning_rate", p->learning_rate, 0, 1e3},
        {"weight_decay", p->weight_decay, 0, 1e3},
        {"adam_beta1", p->adam_beta1, 0, 0.999999999},
        {"adam_beta2", p->adam_beta2, 0, 0.999999999},
        {"adam_epsilon", p->adam_epsilon, 0, 1},
        {"warmup_ratio", p->warmup_ratio, 0, 1},
        {"num_train_epochs", p->num_train_epochs, 0, 1e9},
        {"max_seconds", p->max_seconds, 0, 1e9},
    };
    for (size_t i = 0; i < BASE_COUNT(checks); i++)
        if (!(checks[i].value >= checks[i].least && checks[i].value <= checks[i].most))
            return vkb_fail(ctx, VKB_BAD_ARGUMENT, "%s is %g, expected %g to %g", checks[i].name,
                            checks[i].value, checks[i].least, checks[i].most);
    if (p->objective < VKB_OBJECTIVE_MLM || p->objective > VKB_OBJECTIVE_MLM_NSP)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "there is no objective %d", (int)p->objective);
    return train_mask_check(ctx, &p->mask);
}

vkb_status train_shape(vkb_context *ctx, const vkb_train_params *params, uint32_t length,
                       bert_shape *shape)
{
    const uint64_t tokens = (uint64_t)params->batch_size * length;
    if (tokens > INT32_MAX)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "a batch of %u rows of %u tokens is too large, expected at most %d tokens",
                        params->batch_size, length, INT32_MAX);
    *shape = (bert_shape){
        .rows = params->batch_size,
        .length = length,
        .predictions = train_capacity(&params->mask, params->objective, (uint32_t)tokens),
        .training = true,
        .precision = params->precision,
        .recompute = params->gradient_checkpointing,
    };
    return VKB_OK;
}

// ---- Plan ----

enum { PLAN_ENTRIES = 64 };

typedef struct plan_list {
    vkb_plan_entry *entries;
    size_t count;
} plan_list;

static void plan_add(void *user, const char *name, uint64_t bytes, uint64_t shared)
{
    plan_list *list = user;
    if (bytes && list->count < PLAN_ENTRIES)
        list->entries[list->count++] = (vkb_plan_entry){name, bytes, shared};
}

// Of several buffers of one kind.
static void plan_add_up(plan_list *list, const char *name, uint64_t bytes)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->entries[i].name, name) == 0) {
            list->entries[i].bytes += bytes;
            return;
        }
    plan_add(list, name, bytes, 0);
}

// A buffer that training would make, under the name of its kind. Activations are listed on their own.
static void plan_buffer(void *user, const char *name, uint64_t bytes)
{
    static const char *const kinds[] = {"weights", "16-bit weights", "gradients", "exp_avg_sq",
                                        "exp_avg", "activation",     "scratch"};
    static const char *const names[] = {
        "weights", "16-bit weights",         "gradients", "exp_avg_sq", "exp_avg",
        NULL,      "(scratch of operations)"};
    const char *shown = "(rows and metrics)";
    for (size_t i = BASE_COUNT(kinds); i-- > 0;)
        if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
            shown = names[i];
    if (shown)
        plan_add_up(user, shown, bytes);
}

// Makes a model and a trainer that reach no memory.
static vkb_status plan_on(vkb_device *dev, const vkb_config *config, const vkb_train_params *params,
                          uint32_t length, plan_list *list)
{
    vkb_status status = VKB_OK;
    vkb_trainer t = {.params = *params};
    gpu_plan(dev, plan_buffer, list);
    BASE_TRY(bert_model_allocate(dev, config, &t.model));
    BASE_TRY(train_build(&t, NULL, length));
cleanup:
    if (t.model)
        train_tear_down(&t);
    vkb_model_destroy(&t.model);
    gpu_plan(dev, NULL, NULL);
    return status;
}

// What a GPU would have, its limits and its operations' scratch memory not known.
static vkb_status plan_anywhere(vkb_context *ctx, const vkb_config *config, vkb_precision precision,
                                plan_list *list)
{
    static const char *const copies[] = {"weights", "gradients", "exp_avg", "exp_avg_sq"};
    bert_layout layout = {0};
    vkb_status status = bert_layout_create(ctx, config, UINT64_MAX / 2, 16, &layout);
    if (status != VKB_OK)
        return status;
    for (size_t i = 0; i < BASE_COUNT(copies); i++)
        plan_add(list, copies[i], 4 * layout.elements, 0);
    if (precision != VKB_FP32)
        plan_add(list, "16-bit weights", bert_halves_bytes(&layout), 0);
    bert_layout_free(&layout);
    return VKB_OK;
}

vkb_status vkb_trainer_plan(vkb_context *ctx, vkb_device *device, const vkb_config *config,
                            const vkb_train_params *params_, uint32_t max_seq_length,
                            vkb_plan_entry **plan)
{
    const vkb_device_info any_gpu = {.type = VKB_DISCRETE};
    vkb_status status = VKB_OK;
    vkb_train_params params = *params_;
    bert_shape shape;
    plan_list list = {calloc(PLAN_ENTRIES + 1, sizeof(vkb_plan_entry)), 0};
    if (!list.entries)
        return vkb_fail_memory(ctx, PLAN_ENTRIES * sizeof(vkb_plan_entry), "the plan");
    BASE_TRY(train_params_complete(ctx, &params));
    BASE_TRY(train_shape(ctx, &params, max_seq_length, &shape));
    if (device)
        BASE_TRY(plan_on(device, config, &params, max_seq_length, &list));
    else
        BASE_TRY(plan_anywhere(ctx, config, params.precision, &list));
    if (!bert_acts_plan(device ? vkb_device_get_info(device) : &any_gpu, config, shape, plan_add,
                        &list))
        BASE_TRY(vkb_fail_memory(ctx, sizeof(*plan), "the plan"));
    *plan = list.entries;
    return VKB_OK;
cleanup:
    free(list.entries);
    return status;
}
