// A data set: a token store, and the kind of rows that are cut from it.
#include "text/dataset.h"

#include "text/dataset_build.h"
#include "text/rows.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdlib.h>

static const rows_kind *const kinds[] = {
    [VKB_ROWS_GROUPED] = &rows_grouped,
    [VKB_ROWS_LINES] = &rows_lines,
    [VKB_ROWS_PACKED] = &rows_packed,
    [VKB_ROWS_PAIRS] = &rows_pairs,
};

// ---- Making ----

static vkb_status check_params(vkb_context *ctx, const vkb_dataset_params *p, bool wants_held_out)
{
    const uint32_t least = p->rows == VKB_ROWS_PAIRS ? 5 : 3; // a token beside the special ones
    if ((size_t)p->rows >= BASE_COUNT(kinds))
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "there is no kind of rows %d", (int)p->rows);
    if (p->max_seq_length < least || p->max_seq_length > 1 << 20)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "max_seq_length is %u, expected %u to %u",
                        p->max_seq_length, least, 1 << 20);
    if (!(p->validation_split >= 0 && p->validation_split < 1))
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "validation_split is %g, expected 0 to below 1",
                        p->validation_split);
    if (!(p->short_seq_probability <= 1))
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "short_seq_probability is %g, expected 0 to 1",
                        p->short_seq_probability);
    if (p->validation_split > 0 && !wants_held_out)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "a validation_split of %g needs a place for the held-out rows",
                        p->validation_split);
    return VKB_OK;
}

// Takes the store over, also when it fails.
static vkb_status create(const vkb_tokenizer *tok, const vkb_dataset_params *params,
                         uint64_t max_rows, token_store *store, vkb_dataset **out)
{
    vkb_context *ctx = tokenizer_context(tok);
    vkb_dataset *data = calloc(1, sizeof(*data));
    if (!data) {
        token_store_close(&store);
        return vkb_fail_memory(ctx, sizeof(*data), "a data set");
    }
    data->ctx = ctx;
    data->store = store;
    data->kind = kinds[params->rows];
    data->params = *params;
    data->params.cache_folder = NULL; // the caller's string
    data->max_rows = max_rows;
    data->special = vkb_tokenizer_special(tok);
    vkb_status status = dataset_begin_epoch(data, 0, &data->first_rows);
    data->first_tokens = data->tokens;
    if (status == VKB_OK)
        *out = data;
    else
        vkb_dataset_destroy(&data);
    return status;
}

static vkb_status check_rows(vkb_context *ctx, const vkb_dataset_params *p,
                             const vkb_dataset *train, const vkb_dataset *held_out)
{
    const char *lacks = train->rows == 0                  ? "training"
                        : held_out && held_out->rows == 0 ? "held-out"
                                                          : NULL;
    if (!lacks)
        return VKB_OK;
    if (held_out)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "a validation_split of %g leaves no %s row of this text; give more text or "
                        "another share%s",
                        p->validation_split, lacks,
                        p->rows == VKB_ROWS_PAIRS ? " (blank lines between documents)" : "");
    return vkb_fail(ctx, VKB_BAD_FILE,
                    "the text makes no row: nothing is left of it once tokenised");
}

vkb_status vkb_dataset_load(const vkb_tokenizer *tok, const vkb_text_source *source,
                            const vkb_dataset_params *params_, vkb_dataset **out,
                            vkb_dataset **held_out)
{
    vkb_context *ctx = tokenizer_context(tok);
    vkb_dataset *parts[BUILD_PARTS] = {NULL, NULL};
    built_stores stores;
    vkb_dataset_params params = params_ ? *params_ : (vkb_dataset_params){0};
    params.max_seq_length = params.max_seq_length ? params.max_seq_length : 128;
    params.short_seq_probability =
        params.short_seq_probability != 0 ? fmax(params.short_seq_probability, 0) : 0.1;
    vkb_status status = check_params(ctx, &params, held_out != NULL);
    if (status == VKB_OK)
        status = dataset_build(tok, source, &params, &stores);
    if (status != VKB_OK)
        return status;
    const uint64_t limits[BUILD_PARTS] = {params.max_samples, params.max_held_out_samples};
    for (int i = 0; i < BUILD_PARTS && stores.part[i]; i++) {
        token_store *store = stores.part[i];
        stores.part[i] = NULL;
        BASE_TRY(create(tok, &params, limits[i], store, &parts[i]));
        parts[i]->was_cached = stores.was_cached;
    }
    BASE_TRY(check_rows(ctx, &params, parts[BUILD_TRAIN], parts[BUILD_HELD_OUT]));
    *out = parts[BUILD_TRAIN];
    if (held_out)
        *held_out = parts[BUILD_HELD_OUT];
    return VKB_OK;
cleanup:
    for (int i = 0; i < BUILD_PARTS; i++) {
        vkb_dataset_destroy(&parts[i]);
        token_store_close(&stores.part[i]);
    }
    return status;
}

void vkb_dataset_destroy(vkb_dataset **data_)
{
    vkb_dataset *data = data_ ? *data_ : NULL;
    if (!data)
        return;
    *data_ = NULL;
    token_store_close(&data->store);
    free(data->lines.at);
    free(data->pieces.at);
    free(data->row_starts.at);
    free(data->pairs.at);
    free(data);
}

// ---- Rows ----

vkb_context *dataset_context(const vkb_dataset *data)
{
    return data->ctx;
}

uint32_t dataset_row_length(const vkb_dataset *data)
{
    return data->params.max_seq_length;
}

vkb_status dataset_begin_epoch(vkb_dataset *data, uint64_t epoch, uint64_t *rows)
{
    vkb_status status = VKB_OK;
    if (!data->begun || data->epoch != epoch) {
        data->epoch = epoch;
        status = data->kind->begin(data, epoch);
        data->begun = status == VKB_OK;
    }
    *rows = data->rows;
    return status;
}

vkb_status dataset_read(const vkb_dataset *data, uint64_t row, dataset_row *out)
{
    out->used = out->is_random = 0;
    out->example = (uint32_t)row;
    vkb_status status = data->kind->read(data, row, out);
    if (status == VKB_OK)
        dataset_pad(out, data->special.pad, data->params.max_seq_length);
    return status;
}

void dataset_pad(dataset_row *row, uint32_t pad, uint32_t length)
{
    for (uint32_t i = row->used; i < length; i++) {
        row->ids[i] = pad;
        row->types[i] = row->segments[i] = 0;
        row->positions[i] = i;
    }
}

// ---- What is in it ----

uint64_t vkb_dataset_rows(const vkb_dataset *data)
{
    return data->first_rows;
}

uint64_t vkb_dataset_tokens(const vkb_dataset *data)
{
    return data->first_tokens;
}

vkb_special_ids dataset_special(const vkb_dataset *data)
{
    return data->special;
}

uint32_t dataset_random_vocab(const vkb_dataset *data)
{
    return data->random_vocab;
}

bool dataset_has_pairs(const vkb_dataset *data)
{
    return data->kind == &rows_pairs;
}

bool vkb_dataset_was_cached(const vkb_dataset *data)
{
    return data->was_cached;
}

double vkb_dataset_unigram_entropy(const vkb_dataset *data)
{
    const vkb_special_ids *s = &data->special;
    if (!data->store)
        return log(data->random_vocab - ROWS_SPECIAL_IDS);
    double total = 0, sum = 0; // of counts; of counts times their logarithms
    for (uint32_t id = 0; id < token_store_vocab_size(data->store); id++) {
        uint64_t count = 0;
        // [UNK] counts: it stands for a word, and a model is asked for it like for any other.
        if (id == s->pad || id == s->cls || id == s->sep || id == s->mask)
            continue;
        if (token_store_count_of(data->store, id, &count) != VKB_OK)
            return NAN;
        if (count) {
            total += (double)count;
            sum += (double)count * log((double)count);
        }
    }
    return total > 0 ? log(total) - sum / total : 0;
}
