// A folder's tensors against those that its config.json asks for: what is missing, what belongs to
// another model, what has another shape. Names and shapes alone, so it needs no device.
#include "bert/bert.h"
#include "hf/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_IN_A_SENTENCE = 4, SENTENCE_BYTES = 1024 };

static uint32_t tensor_shape(const bert_tensor *t, uint64_t shape[2])
{
    shape[0] = t->rows ? t->rows : t->cols;
    shape[1] = t->cols;
    return t->rows ? 2 : 1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const bert_tensor *)a)->name, ((const bert_tensor *)b)->name);
}

static bool in_layout(const bert_tensor *sorted, uint32_t count, const char *name)
{
    bert_tensor key = {0};
    if (strlen(name) >= sizeof(key.name))
        return false;
    snprintf(key.name, sizeof(key.name), "%s", name);
    return bsearch(&key, sorted, count, sizeof(key), compare_names) != NULL;
}

static size_t list_expected(const vkb_folder *folder, const bert_layout *layout,
                            vkb_tensor_fault *list)
{
    size_t count = 0;
    for (uint32_t i = 0; i < layout->tensor_count; i++) {
        const bert_tensor *t = &layout->tensors[i];
        const hf_tensor *found = hf_folder_find(folder, t->name);
        vkb_tensor_fault fault = {.kind = VKB_TENSOR_MISSING};
        snprintf(fault.name, sizeof(fault.name), "%s", t->name);
        fault.expected_rank = tensor_shape(t, fault.expected);
        if (found) {
            if (found->rank == fault.expected_rank &&
                memcmp(found->shape, fault.expected, found->rank * sizeof(found->shape[0])) == 0)
                continue;
            fault.kind = VKB_TENSOR_MISMATCHED;
            fault.rank = found->rank;
            memcpy(fault.shape, found->shape, sizeof(fault.shape));
            snprintf(fault.name, sizeof(fault.name), "%s", found->name);
        }
        list[count++] = fault;
    }
    return count;
}

static size_t list_unexpected(const vkb_folder *folder, const bert_layout *layout,
                              const bert_tensor *sorted, vkb_tensor_fault *list)
{
    size_t count = 0;
    for (size_t i = 0; i < vkb_folder_tensor_count(folder); i++) {
        const hf_entry *entry = hf_folder_entry(folder, i);
        if (entry->unused || in_layout(sorted, layout->tensor_count, entry->name))
            continue;
        vkb_tensor_fault fault = {.kind = VKB_TENSOR_UNEXPECTED, .rank = entry->tensor->rank};
        memcpy(fault.shape, entry->tensor->shape, sizeof(fault.shape));
        snprintf(fault.name, sizeof(fault.name), "%s", entry->tensor->name);
        list[count++] = fault;
    }
    return count;
}

vkb_status bert_folder_compare(vkb_context *ctx, const vkb_folder *folder,
                               const bert_layout *layout, vkb_tensor_fault **list, size_t *count)
{
    const size_t most = layout->tensor_count + vkb_folder_tensor_count(folder);
    vkb_tensor_fault *faults = calloc(most + 1, sizeof(*faults));
    bert_tensor *sorted = malloc(layout->tensor_count * sizeof(*sorted));
    if (!faults || !sorted) {
        free(faults);
        free(sorted);
        return vkb_fail_memory(ctx, (most + 1) * sizeof(*faults), "a list of tensors");
    }
    memcpy(sorted, layout->tensors, layout->tensor_count * sizeof(*sorted));
    qsort(sorted, layout->tensor_count, sizeof(*sorted), compare_names);
    *count = list_expected(folder, layout, faults);
    *count += list_unexpected(folder, layout, sorted, faults + *count);
    *list = faults;
    free(sorted);
    return VKB_OK;
}

vkb_status vkb_folder_compare(vkb_context *ctx, const vkb_folder *folder, vkb_tensor_fault **list,
                              size_t *count)
{
    bert_layout layout;
    vkb_status status =
        bert_layout_create(ctx, vkb_folder_config(folder), UINT64_MAX, sizeof(float), &layout);
    if (status != VKB_OK)
        return status;
    status = bert_folder_compare(ctx, folder, &layout, list, count);
    bert_layout_free(&layout);
    return status;
}

size_t bert_split_absent(const bert_layout *layout, const bool optional[BERT_PARTS],
                         vkb_tensor_fault *list, size_t count)
{
    size_t absent = 0;
    for (size_t i = 0; i < count - absent;) {
        bool allowed = false;
        for (uint32_t k = 0; list[i].kind == VKB_TENSOR_MISSING && k < layout->tensor_count; k++)
            allowed = allowed || (optional[layout->tensors[k].part] &&
                                  strcmp(layout->tensors[k].name, list[i].name) == 0);
        if (!allowed) {
            i++;
            continue;
        }
        const vkb_tensor_fault moved = list[i];
        memmove(&list[i], &list[i + 1], (count - i - 1) * sizeof(*list));
        list[count - 1] = moved;
        absent++;
    }
    return absent;
}

// ---- Sentences ----

// The names of one kind from the fault *next on, at most `most` of them and what fits; advances *next.
static size_t names_print(const vkb_tensor_fault *list, size_t count, vkb_tensor_fault_kind kind,
                          size_t most, size_t *next, char text[SENTENCE_BYTES])
{
    size_t used = 0, printed = 0;
    text[0] = 0;
    for (; *next < count && printed < most; ++*next) {
        if (list[*next].kind != kind)
            continue;
        if (used + strlen(list[*next].name) + 3 > SENTENCE_BYTES)
            break;
        used += (size_t)snprintf(text + used, SENTENCE_BYTES - used, "%s%s", used ? ", " : "",
                                 list[*next].name);
        printed++;
    }
    return printed;
}

static size_t kind_count(const vkb_tensor_fault *list, size_t count, vkb_tensor_fault_kind kind)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += list[i].kind == kind;
    return sum;
}

// All names, in as many lines as they need.
static void names_log(vkb_context *ctx, vkb_log_level level, const char *path, const char *what,
                      const vkb_tensor_fault *list, size_t count, vkb_tensor_fault_kind kind)
{
    char text[SENTENCE_BYTES];
    size_t next = 0;
    while (names_print(list, count, kind, SIZE_MAX, &next, text))
        vkb_log(ctx, level, "%s: %s: %s", path, what, text);
}

void bert_log_unexpected(vkb_context *ctx, const vkb_folder *folder, const vkb_tensor_fault *list,
                         size_t count)
{
    names_log(ctx, VKB_LOG_WARNING, vkb_folder_weights(folder),
              "not of a BERT with these heads, and left out", list, count, VKB_TENSOR_UNEXPECTED);
}

void bert_log_random(vkb_context *ctx, const vkb_folder *folder, const vkb_tensor_fault *list,
                     size_t count)
{
    names_log(ctx, VKB_LOG_INFO, vkb_folder_weights(folder),
              "these are not in it and start at random", list, count, VKB_TENSOR_MISSING);
}

static vkb_status fail_mismatched(vkb_context *ctx, const char *path, const vkb_tensor_fault *list,
                                  size_t count, size_t mismatched)
{
    const vkb_tensor_fault *first = list;
    while (first->kind != VKB_TENSOR_MISMATCHED)
        first++;
    for (const vkb_tensor_fault *fault = list; mismatched > 1 && fault < list + count; fault++)
        if (fault->kind == VKB_TENSOR_MISMATCHED)
            vkb_log(ctx, VKB_LOG_WARNING, "%s: tensor %s is %s, expected %s", path, fault->name,
                    hf_shape(fault->rank, fault->shape).text,
                    hf_shape(fault->expected_rank, fault->expected).text);
    char more[32] = "";
    if (mismatched > 1)
        snprintf(more, sizeof(more), ", and %zu more", mismatched - 1);
    return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s is %s, expected %s by config.json%s", path,
                    first->name, hf_shape(first->rank, first->shape).text,
                    hf_shape(first->expected_rank, first->expected).text, more);
}

vkb_status bert_fail_faults(vkb_context *ctx, const vkb_folder *folder,
                            const vkb_tensor_fault *list, size_t count, uint32_t expected)
{
    const char *path = vkb_folder_weights(folder);
    const size_t mismatched = kind_count(list, count, VKB_TENSOR_MISMATCHED),
                 missing = kind_count(list, count, VKB_TENSOR_MISSING);
    char names[SENTENCE_BYTES];
    size_t next = 0;
    if (mismatched)
        return fail_mismatched(ctx, path, list, count, mismatched);
    if (!missing)
        return VKB_OK;
    if (missing > NAMES_IN_A_SENTENCE)
        names_log(ctx, VKB_LOG_WARNING, path, "missing", list, count, VKB_TENSOR_MISSING);
    names_print(list, count, VKB_TENSOR_MISSING, NAMES_IN_A_SENTENCE, &next, names);
    return vkb_fail(ctx, VKB_BAD_FILE, "%s: %zu of the model's %u tensors are missing: %s%s", path,
                    missing, expected, names, missing > NAMES_IN_A_SENTENCE ? ", ..." : "");
}
