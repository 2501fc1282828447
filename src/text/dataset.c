// Text files -> rows of ids.
//
// Joined, as run_mlm groups texts: every line is [CLS] line [SEP], all of them are one long run of
// ids, cut every max_seq_length. run_mlm cuts each 1000 lines on their own and drops 1000 tails; we
// cut the whole text and drop one, unless it is all there is. Line by line: a row a line, too long
// ones truncated, blank lines skipped.
#include "text/dataset.h"

#include "base/array.h"
#include "base/philox.h"
#include "text/lines.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdlib.h>

typedef struct id_list {
    uint32_t *at;
    size_t count, capacity;
} id_list;

typedef struct offset_list {
    size_t *at;
    size_t count, capacity;
} offset_list;

struct vkb_dataset {
    vkb_context *ctx;
    id_list ids;        // all rows, one behind the other, without padding
    offset_list starts; // rows + 1 offsets into ids
    uint32_t length, pad;
    vkb_special_ids special;
};

// ---- Adding lines ----

// What the loading of one call shares.
typedef struct loader {
    const vkb_tokenizer *tok;
    vkb_dataset_params params;
    words_scratch scratch;
    vkb_tokens tokens;
    size_t lines;   // that hold text
    bool held_out;  // where the last line went: blank lines stay with the line before them
    size_t invalid; // bytes that are not UTF-8
    const char *invalid_name;
} loader;

static bool append_id(vkb_dataset *data, uint32_t id)
{
    if (!array_reserve(&data->ids, data->ids.count + 1))
        return false;
    data->ids.at[data->ids.count++] = id;
    return true;
}

static bool append_start(vkb_dataset *data, size_t start)
{
    if (!array_reserve(&data->starts, data->starts.count + 1))
        return false;
    data->starts.at[data->starts.count++] = start;
    return true;
}

static bool is_full(const loader *l, const vkb_dataset *data)
{
    size_t most = (size_t)l->params.max_samples;
    if (most == 0)
        return false;
    return l->params.rows == VKB_ROWS_LINES ? data->starts.count > most
                                  : data->ids.count / l->params.max_seq_length >= most;
}

static bool append_line(loader *l, vkb_dataset *data, const char *line, size_t bytes)
{
    l->tokens.count = 0;
    if (!tokenizer_append(l->tok, &l->scratch, line, bytes, 0, &l->tokens))
        return false;
    size_t count = l->tokens.count;
    if (l->params.rows == VKB_ROWS_LINES && count > l->params.max_seq_length - 2)
        count = l->params.max_seq_length - 2;
    if (!append_id(data, data->special.cls))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!append_id(data, l->tokens.at[i].id))
            return false;
    if (!append_id(data, data->special.sep))
        return false;
    return l->params.rows != VKB_ROWS_LINES || append_start(data, data->ids.count);
}

// Line number `line` (from 0) is held out when the share passes a whole number there: every k-th.
static bool is_held_out(double split, size_t line)
{
    return floor((double)(line + 1) * split + 1e-9) > floor((double)line * split + 1e-9);
}

static bool append_file(loader *l, text_file *file, vkb_dataset *train, vkb_dataset *held_out)
{
    const char *line;
    size_t bytes;
    while (text_next_line(file, &line, &bytes)) {
        if (!held_out && is_full(l, train))
            return true;
        bool blank = text_is_blank(line, bytes);
        if (!blank)
            l->held_out = held_out && is_held_out(l->params.validation_split, l->lines++);
        vkb_dataset *data = l->held_out ? held_out : train;
        if ((blank && l->params.rows == VKB_ROWS_LINES) || (data == train && is_full(l, train)))
            continue;
        if (!append_line(l, data, line, bytes))
            return false;
    }
    return true;
}

// ---- Making rows ----

static bool cut_rows(vkb_dataset *data, const vkb_dataset_params *params)
{
    if (params->rows != VKB_ROWS_LINES) {
        size_t length = data->length, total = data->ids.count;
        size_t rows = total / length;
        for (size_t row = 1; row <= rows; row++)
            if (!append_start(data, row * length))
                return false;
        if (rows == 0 && total && !append_start(data, total))
            return false;
    }
    size_t rows = data->starts.count - 1;
    if (params->max_samples && rows > params->max_samples)
        rows = params->max_samples;
    data->starts.count = rows + 1;
    data->ids.count = data->starts.at[rows];
    return true;
}

static vkb_dataset *dataset_create(const vkb_tokenizer *tok, uint32_t length)
{
    vkb_dataset *data = calloc(1, sizeof(*data));
    if (!data)
        return NULL;
    data->ctx = tokenizer_context(tok);
    data->length = length;
    data->special = vkb_tokenizer_special(tok);
    data->pad = data->special.pad;
    if (!append_start(data, 0))
        vkb_dataset_destroy(&data);
    return data;
}

static vkb_status check_params(vkb_context *ctx, size_t file_count,
                               const vkb_dataset_params *params, bool has_held_out)
{
    if (file_count == 0)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT, "no text file is given");
    if (params->max_seq_length < 3)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "max_seq_length is %u, expected 3 or more: [CLS], a token, [SEP]",
                        params->max_seq_length);
    if (!(params->validation_split >= 0 && params->validation_split < 1))
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "validation_split is %g, expected a share from 0 up to, not including, 1",
                        params->validation_split);
    if (params->validation_split > 0 && !has_held_out)
        return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                        "validation_split is %g, but there is no place for the held-out rows",
                        params->validation_split);
    return VKB_OK;
}

static vkb_status load_file(loader *l, const char *path, vkb_dataset *train, vkb_dataset *held_out)
{
    vkb_context *ctx = tokenizer_context(l->tok);
    text_file file;
    vkb_status status = text_file_open(ctx, path, &file);
    if (status != VKB_OK)
        return status;
    if (file.invalid && !l->invalid)
        l->invalid_name = file.name;
    l->invalid += file.invalid;
    if (!append_file(l, &file, train, held_out))
        status = vkb_fail_memory(ctx, file.bytes * sizeof(uint32_t), file.name);
    text_file_close(&file);
    return status;
}

static vkb_status check_rows(const loader *l, const vkb_dataset *train, const vkb_dataset *held_out)
{
    const char *lacks = vkb_dataset_rows(train) == 0                  ? "training"
                        : held_out && vkb_dataset_rows(held_out) == 0 ? "held-out"
                                                                      : NULL;
    if (!lacks)
        return VKB_OK;
    return vkb_fail(tokenizer_context(l->tok), VKB_BAD_FILE,
                    "a validation_split of %g of %zu lines leaves no %s row; give more text or "
                    "another share",
                    l->params.validation_split, l->lines, lacks);
}

vkb_status vkb_dataset_load(const vkb_tokenizer *tok, const vkb_text_source *source,
                            const vkb_dataset_params *params, vkb_dataset **out,
                            vkb_dataset **held_out)
{
    const char *const *files = source->paths;
    const size_t file_count = source->path_count;
    vkb_context *ctx = tokenizer_context(tok);
    vkb_dataset *train = NULL, *held = NULL;
    loader l = {.tok = tok};
    if (params)
        l.params = *params;
    if (l.params.max_seq_length == 0)
        l.params.max_seq_length = 128;
    vkb_status status = check_params(ctx, file_count, &l.params, held_out != NULL);
    if (status != VKB_OK)
        return status;

    bool split = l.params.validation_split > 0;
    train = dataset_create(tok, l.params.max_seq_length);
    held = split ? dataset_create(tok, l.params.max_seq_length) : NULL;
    if (!train || (split && !held)) {
        status = vkb_fail_memory(ctx, sizeof(*train), "a data set");
        goto cleanup;
    }
    for (size_t i = 0; i < file_count; i++)
        BASE_TRY(load_file(&l, files[i], train, held));
    if (!cut_rows(train, &l.params) ||
        (held && !cut_rows(held, &(vkb_dataset_params){.rows = l.params.rows}))) {
        status = vkb_fail_memory(ctx, train->ids.count / l.params.max_seq_length * sizeof(size_t),
                                 "the rows of a data set");
        goto cleanup;
    }
    BASE_TRY(check_rows(&l, train, held));
    if (l.invalid)
        vkb_log(ctx, VKB_LOG_WARNING, "%s: %zu bytes are not UTF-8 and were read as U+FFFD",
                l.invalid_name, l.invalid);
    *out = train;
    if (held_out)
        *held_out = held;
    train = held = NULL;
cleanup:
    vkb_dataset_destroy(&train);
    vkb_dataset_destroy(&held);
    words_scratch_free(&l.scratch);
    vkb_tokens_free(&l.tokens);
    return status;
}

void vkb_dataset_destroy(vkb_dataset **data_)
{
    vkb_dataset *data = data_ ? *data_ : NULL;
    if (!data)
        return;
    *data_ = NULL;
    free(data->ids.at);
    free(data->starts.at);
    free(data);
}

// ---- Reading rows ----

uint64_t vkb_dataset_rows(const vkb_dataset *data)
{
    return data->starts.count - 1;
}

uint64_t vkb_dataset_tokens(const vkb_dataset *data)
{
    return data->ids.count;
}

uint32_t dataset_row_length(const vkb_dataset *data)
{
    return data->length;
}

bool vkb_dataset_was_cached(const vkb_dataset *data)
{
    (void)data;
    return false;
}

vkb_context *dataset_context(const vkb_dataset *data)
{
    return data->ctx;
}

vkb_status dataset_begin_epoch(vkb_dataset *data, uint64_t epoch, uint64_t *rows)
{
    (void)epoch;
    *rows = vkb_dataset_rows(data);
    return VKB_OK;
}

vkb_status dataset_read(const vkb_dataset *data, uint64_t row, dataset_row *out)
{
    size_t start = data->starts.at[row], count = data->starts.at[row + 1] - start;
    for (uint32_t i = 0; i < data->length; i++) {
        out->ids[i] = i < count ? data->ids.at[start + i] : data->pad;
        out->types[i] = 0;
        out->positions[i] = i;
        out->segments[i] = i < count;
    }
    out->used = (uint32_t)count;
    out->example = (uint32_t)row;
    out->is_random = 0;
    return VKB_OK;
}

// A permutation by cycle walking: a Feistel network on the smallest even number of bits that holds
// rows, applied until it lands inside.
uint64_t dataset_shuffled(uint64_t rows, uint64_t seed, uint64_t epoch, uint64_t place)
{
    uint32_t half = 1;
    while (half < 32 && ((uint64_t)1 << (2 * half)) < rows)
        half++;
    const uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = place >> half, right = place & mask;
        for (uint32_t round = 0; round < 6; round++) {
            philox4 r = philox(seed, (philox4){{(uint32_t)right, (uint32_t)epoch, round, PHILOX_SHUFFLE}});
            uint64_t swapped = left ^ (r.v[0] & mask);
            left = right;
            right = swapped;
        }
        place = left << half | right;
    } while (place >= rows);
    return place;
}

double vkb_dataset_unigram_entropy(const vkb_dataset *data)
{
    uint32_t largest = 0;
    for (size_t i = 0; i < data->ids.count; i++)
        if (data->ids.at[i] > largest)
            largest = data->ids.at[i];
    uint64_t *counts = calloc((size_t)largest + 1, sizeof(*counts));
    if (!counts)
        return NAN;
    uint64_t total = 0;
    const vkb_special_ids *s = &data->special;
    for (size_t i = 0; i < data->ids.count; i++) {
        uint32_t id = data->ids.at[i];
        // [UNK] counts: it stands for a word, and a model is asked for it like for any other.
        bool special = id == s->pad || id == s->cls || id == s->sep || id == s->mask;
        counts[id] += !special;
        total += !special;
    }
    double entropy = 0;
    for (uint32_t id = 0; total && id <= largest; id++)
        if (counts[id])
            entropy -= (double)counts[id] / (double)total * log((double)counts[id] / (double)total);
    free(counts);
    return entropy;
}
