// A copy of a model folder with its tensors changed: renamed, cut, left out, converted.
#ifndef VKB_TESTS_FIXTURE_COPY_H
#define VKB_TESTS_FIXTURE_COPY_H

#include "hf/safetensors.h"
#include "check.h"
#include "temp.h"

#include <stdlib.h>

// Changes name (room for 128 bytes), dtype or shape of a tensor on its way; false leaves it out. Of a
// smaller shape the first elements are written; another dtype's bytes must be what the tensor has.
typedef bool (*fixture_edit)(hf_tensor *tensor, char *name);

typedef struct fixture_tensor {
    char name[128]; // first: hf_tensor.name points at it
    const uint8_t *data;
} fixture_tensor;

static inline bool fixture_keep(hf_tensor *tensor, char *name)
{
    (void)tensor, (void)name;
    return true;
}

// `to` is emptied first; gets config.json and model.safetensors.
static inline void fixture_copy(vkb_context *ctx, const char *fixture, const char *to,
                                fixture_edit edit)
{
    size_t bytes, count = 0;
    hf_safetensors from = {0};
    hf_safetensors_writer *writer = NULL;
    char *config = temp_read(fixture, "config.json", &bytes);
    temp_empty(to);
    temp_write(to, "config.json", config, bytes);
    free(config);
    CHECK_INT(hf_safetensors_open(ctx, temp_path(fixture, "model.safetensors"), &from), VKB_OK);
    hf_tensor *kept = calloc(from.tensor_count + 1, sizeof(*kept));
    fixture_tensor *sources = calloc(from.tensor_count + 1, sizeof(*sources));
    for (size_t i = 0; i < from.tensor_count; i++) {
        kept[count] = from.tensors[i];
        snprintf(sources[count].name, sizeof(sources[count].name), "%s", from.tensors[i].name);
        sources[count].data = from.tensors[i].data;
        if (edit(&kept[count], sources[count].name)) {
            kept[count].name = sources[count].name;
            count++;
        }
    }
    CHECK_INT(hf_safetensors_create(ctx, temp_path(to, "model.safetensors"), kept, count, NULL, 0,
                                    &writer),
              VKB_OK);
    for (size_t i = 0; i < count; i++)
        hf_safetensors_write(writer, ((const fixture_tensor *)kept[i].name)->data, kept[i].bytes);
    CHECK_INT(hf_safetensors_commit(&writer), VKB_OK);
    free(kept);
    free(sources);
    hf_safetensors_close(&from);
}

// ---- Edits ----

static inline bool fixture_starts(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

// As BertModel.save_pretrained writes it.
static inline bool fixture_bare(hf_tensor *tensor, char *name)
{
    (void)tensor;
    if (fixture_starts(name, "bert."))
        memmove(name, name + 5, strlen(name + 5) + 1);
    return !fixture_starts(name, "cls.");
}

#endif
