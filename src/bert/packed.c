// Weights in the order that inference on software drivers wants (op_panel), and back: in place, when
// they are first asked for the other way. What reads or writes weights as a checkpoint has them, a
// trainer, an evaluation or a save, borrows them first.
#include "base/thread.h"
#include "bert/bert.h"

#include <stdlib.h>

typedef struct rearrangement {
    vkb_model *model;
    uint32_t panel;
    bool pack;
    vkb_status *results; // [tensor_count]
} rearrangement;

uint32_t bert_panel(const vkb_model *model)
{
    const vkb_config *c = &model->config;
    return c->hidden_size % 4 == 0 && c->intermediate_size % 4 == 0 ? op_panel(model->dev) : 0;
}

// What is multiplied with, the word embeddings as the decoder among it; what lies together is packed with
// the first.
static bool is_packed(const vkb_model *model, const bert_tensor *t)
{
    const gpu_view view = bert_params_view(&model->weights, t);
    const gpu_view looked_up[] = {model->weights.position, model->weights.type};
    for (size_t i = 0; i < BASE_COUNT(looked_up); i++)
        if (view.buffer == looked_up[i].buffer && view.offset == looked_up[i].offset)
            return false;
    return t->rows > 0 && t->together > 0;
}

static vkb_status tensor_rearrange(const rearrangement *r, const bert_tensor *t)
{
    vkb_status status = VKB_OK;
    vkb_device *dev = r->model->dev;
    const gpu_view whole = bert_params_together(&r->model->weights, t);
    const uint32_t all = t->together * t->rows;
    const uint64_t row_bytes = 4ull * t->cols, bytes = r->panel * row_bytes;
    float *from = malloc(bytes), *to = malloc(bytes);
    if (!from || !to)
        BASE_TRY(vkb_fail_memory(gpu_context(dev), bytes, t->name));
    for (uint32_t first = 0; first < all; first += r->panel) {
        const uint32_t rows = all - first < r->panel ? all - first : r->panel;
        const gpu_view view = gpu_part(whole, first * row_bytes, rows * row_bytes);
        BASE_TRY(gpu_download(dev, view, from));
        (r->pack ? op_pack : op_unpack)(from, rows, t->cols, to);
        BASE_TRY(gpu_upload(dev, view, to));
    }
cleanup:
    free(from);
    free(to);
    return status;
}

static void tensor_work(void *user, size_t item, uint32_t thread)
{
    const rearrangement *r = user;
    const bert_tensor *t = &r->model->layout.tensors[item];
    (void)thread;
    if (is_packed(r->model, t))
        r->results[item] = tensor_rearrange(r, t);
}

static vkb_status rearrange(vkb_model *model, uint32_t panel, bool pack)
{
    const uint32_t count = model->layout.tensor_count;
    rearrangement r = {.model = model, .panel = panel, .pack = pack};
    r.results = calloc(count, sizeof(*r.results));
    if (!r.results)
        return vkb_fail_memory(gpu_context(model->dev), count * sizeof(*r.results), "weights");
    vkb_status status = gpu_wait_all(model->dev);
    if (status == VKB_OK)
        thread_each(gpu_is_direct(model->weights.word) ? thread_count(0) : 1, count, tensor_work,
                    &r);
    for (uint32_t i = 0; i < count && status == VKB_OK; i++)
        status = r.results[i];
    free(r.results);
    if (status == VKB_OK)
        model->panel = pack ? panel : 0;
    return status;
}

vkb_status bert_weights_pack(vkb_model *model)
{
    const uint32_t panel = bert_panel(model);
    if (model->borrowers || model->panel == panel)
        return VKB_OK;
    return rearrange(model, panel, true);
}

vkb_status bert_weights_borrow(vkb_model *model)
{
    gpu_lock(model->dev);
    model->borrowers++;
    vkb_status status = model->panel ? rearrange(model, model->panel, false) : VKB_OK;
    gpu_unlock(model->dev);
    return status;
}

void bert_weights_return(vkb_model *model)
{
    gpu_lock(model->dev);
    model->borrowers--;
    gpu_unlock(model->dev);
}
