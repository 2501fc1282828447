// What a recording would compute, heard in a rehearsal: its products by name, and its attention.
#include "ops/tune.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

void op_products_add(op_products *list, const op_matmul_params *params)
{
    const matmul_name name = matmul_name_of(params);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i].name.text, name.text) == 0) {
            list->at[i].calls++;
            return;
        }
    if (!array_reserve(list, list->count + 1)) {
        list->failed = true;
        return;
    }
    matmul_product x = matmul_product_of(params);
    x.p.used = (gpu_view){0}; // all rows are: how many a step has is not known here
    x.p.then = (op_then){0};  // what follows costs all variants the same
    list->at[list->count++] = (op_product){x.p,
                                           name,
                                           1,
                                           {.kind = params->then.kind, .form = params->then.form},
                                           params->then.gelu.buffer != NULL};
}

void op_products_attention(op_products *list, const op_attention *a)
{
    const gpu_type type = a->q.type;
    op_attention shape = {.rows = a->rows,
                          .length = a->length,
                          .heads = a->heads,
                          .hidden = a->hidden,
                          .ld = a->ld,
                          .dropout.p = a->dropout.p};
    shape.q.type = type;
    list->attention = shape;
}

vkb_status op_products_hear(vkb_device *dev, gpu_record_fn record, void *user, op_products *list)
{
    vkb_status status = gpu_rehearse(dev, "products", record, user, list);
    if (status == VKB_OK && list->failed)
        status = vkb_fail_memory(gpu_context(dev), sizeof(op_product), "tuning");
    return status;
}

void op_products_free(op_products *list)
{
    free(list->at);
    *list = (op_products){0};
}
