#include "text/dataset_build.h"

#include "base/array.h"
#include "base/hash.h"
#include "base/thread.h"
#include "text/corpus.h"
#include "text/encode.h"
#include "text/tokenizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BATCH_BYTES = 4 << 20, // of text read for each thread
    SLICE_TEXTS = 128,     // encoded together by one thread
};

// ---- What the ids are made from ----

typedef struct key_text {
    char *at;
    size_t count, capacity;
} key_text;

static bool key_add(key_text *key, const char *text)
{
    const size_t bytes = strlen(text);
    if (!array_reserve(key, key->count + bytes + 1))
        return false;
    memcpy(key->at + key->count, text, bytes + 1);
    key->count += bytes;
    return true;
}

// Describes the source: its settings and paths, and with `contents` size and time of each file, which
// tell a changed one. False: memory is exhausted.
static bool describe(const corpus *c, const vkb_tokenizer *tok, const vkb_text_source *source,
                     const vkb_dataset_params *p, int number, bool contents, key_text *key)
{
    char line[256];
    key->count = 0;
    snprintf(line, sizeof(line),
             "ids of tokenizer %016" PRIx64 ", split %.17g %s, part %d%s, column ",
             tokenizer_hash(tok), p->validation_split,
             p->rows == VKB_ROWS_PAIRS ? "of documents" : "of texts", number,
             source->drop_duplicates ? ", without duplicates" : "");
    bool ok = key_add(key, line) && key_add(key, source->text_column ? source->text_column : "");
    for (size_t i = 0; i < corpus_file_count(c) && ok; i++) {
        const corpus_file file = corpus_file_at(c, i);
        char *whole = realpath(file.path, NULL);
        snprintf(line, sizeof(line), " %" PRIu64 " %" PRId64, file.bytes, file.modified);
        ok = key_add(key, "\n") && key_add(key, whole ? whole : file.path) &&
             (!contents || key_add(key, line));
        free(whole);
    }
    return ok;
}

static bool has_stream(const corpus *c)
{
    for (size_t i = 0; i < corpus_file_count(c); i++)
        if (corpus_file_at(c, i).is_stream)
            return true;
    return false;
}

// ---- One building ----

typedef struct part {
    char *path, *key;
    bool temporary; // nobody finds it again: unlinked once it is open
    token_writer *writer;
} part;

typedef struct builder {
    vkb_context *ctx;
    const vkb_tokenizer *tok;
    const vkb_text_source *source;
    const vkb_dataset_params *params;
    corpus *corpus;
    part part[BUILD_PARTS];
    int parts;
    // a batch
    corpus_batch batch;
    uint32_t threads;
    text_encoder **encoders;
    struct {
        text_ids *at; // ids of each slice's texts
        size_t count, capacity;
    } slices;
    struct {
        uint32_t *at; // tokens of each text
        size_t count, capacity;
    } lengths;
    bool failed;
    // where texts go
    uint64_t units;           // texts or documents that were given a part
    int current;              // the part of the last
    bool begins[BUILD_PARTS]; // the part's next text begins a document
} builder;

static char *path_of(const char *folder, uint64_t hash, int number, bool temporary)
{
    static _Atomic uint32_t made; // temporary files of one process differ
    const size_t room = strlen(folder) + 96;
    char *path = malloc(room);
    if (!path)
        return NULL;
    if (temporary)
        snprintf(path, room, "%s/vkbert-%ld-%u-%d.tokens", folder, (long)getpid(), made++, number);
    else
        snprintf(path, room, "%s/%016" PRIx64 ".tokens", folder, hash);
    return path;
}

static const char *temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

// Where each part's file is and what it must have been made from.
static vkb_status name_parts(builder *b, const char *folder, bool temporary)
{
    for (int i = 0; i < b->parts; i++) {
        key_text where = {0}, what = {0};
        const bool ok = describe(b->corpus, b->tok, b->source, b->params, i, false, &where) &&
                        describe(b->corpus, b->tok, b->source, b->params, i, true, &what);
        part *p = &b->part[i];
        free(p->path);
        free(p->key);
        p->temporary = temporary;
        const uint64_t hash = ok ? hash_bytes(HASH_START, where.at, strlen(where.at)) : 0;
        p->path = ok ? path_of(folder, hash, i, temporary) : NULL;
        p->key = what.at;
        free(where.at);
        if (!p->path)
            return vkb_fail_memory(b->ctx, 4096, "the token cache");
    }
    return VKB_OK;
}

// ---- Tokenising ----

static void encode_slice(void *builder_, size_t slice, uint32_t thread)
{
    builder *b = builder_;
    text_ids *ids = &b->slices.at[slice];
    const size_t first = slice * SLICE_TEXTS, rest = b->batch.count - first;
    ids->count = 0;
    for (size_t i = first; i < first + (rest < SLICE_TEXTS ? rest : SLICE_TEXTS); i++) {
        const size_t before = ids->count;
        if (!text_encode_ids(b->encoders[thread], b->batch.at[i].at, b->batch.at[i].bytes, ids))
            b->failed = true; // every thread writes the same
        b->lengths.at[i] = (uint32_t)(ids->count - before);
    }
}

// Number `unit` (from 0) is held out when the share passes a whole number there: every k-th.
static bool is_held_out(double split, uint64_t unit)
{
    return floor((double)(unit + 1) * split + 1e-9) > floor((double)unit * split + 1e-9);
}

// Blank texts stay with the text before them; with pairs, documents stay together.
static vkb_status give(builder *b, const corpus_text *text, const uint32_t *ids, size_t count)
{
    const bool by_document = b->params->rows == VKB_ROWS_PAIRS;
    if (text->begins_document)
        b->begins[BUILD_TRAIN] = b->begins[BUILD_HELD_OUT] = true;
    if (text->bytes && (!by_document || text->begins_document))
        b->current = b->parts > 1 && is_held_out(b->params->validation_split, b->units++)
                         ? BUILD_HELD_OUT
                         : BUILD_TRAIN;
    const bool begins = count && b->begins[b->current]; // a document begins with a token
    if (begins)
        b->begins[b->current] = false;
    return token_writer_add(b->part[b->current].writer, ids, count, begins);
}

static vkb_status encode_batch(builder *b)
{
    const size_t texts = b->batch.count, slices = (texts + SLICE_TEXTS - 1) / SLICE_TEXTS;
    if (slices > b->slices.count) {
        if (!array_reserve(&b->slices, slices))
            return vkb_fail_memory(b->ctx, slices * sizeof(text_ids), "the ids of a text");
        memset(b->slices.at + b->slices.count, 0,
               (slices - b->slices.count) * sizeof(*b->slices.at));
        b->slices.count = slices;
    }
    if (!array_reserve(&b->lengths, texts))
        return vkb_fail_memory(b->ctx, texts * sizeof(uint32_t), "the ids of a text");
    thread_each(b->threads, slices, encode_slice, b);
    if (b->failed)
        return vkb_fail_memory(b->ctx, b->batch.used * sizeof(uint32_t), "the ids of a text");
    vkb_status status = VKB_OK;
    for (size_t i = 0, at = 0; i < texts && status == VKB_OK; i++) {
        if (i % SLICE_TEXTS == 0)
            at = 0;
        status = give(b, &b->batch.at[i], b->slices.at[i / SLICE_TEXTS].at + at, b->lengths.at[i]);
        at += b->lengths.at[i];
    }
    return status;
}

static vkb_status create_writers(builder *b)
{
    vkb_status status = VKB_OK;
    for (int i = 0; i < b->parts && status == VKB_OK; i++)
        status = token_writer_create(b->ctx, b->part[i].path, vkb_tokenizer_size(b->tok),
                                     &b->part[i].writer);
    for (int i = 0; i < b->parts && status != VKB_OK; i++)
        token_writer_abandon(&b->part[i].writer);
    return status;
}

static vkb_status tokenise(builder *b)
{
    vkb_status status = VKB_OK;
    b->threads = thread_count(b->params->threads);
    b->encoders = calloc(b->threads, sizeof(*b->encoders));
    bool ok = b->encoders != NULL;
    for (uint32_t i = 0; i < b->threads && ok; i++)
        ok = (b->encoders[i] = text_encoder_create(b->tok)) != NULL;
    if (!ok)
        return vkb_fail_memory(b->ctx, b->threads * sizeof(*b->encoders),
                               "the tokenizer's threads");
    do {
        BASE_TRY(corpus_read(b->corpus, (size_t)BATCH_BYTES * b->threads, &b->batch));
        BASE_TRY(encode_batch(b));
    } while (b->batch.count);
    corpus_log_doubts(b->corpus);
    for (int i = 0; i < b->parts; i++)
        BASE_TRY(token_writer_finish(&b->part[i].writer, b->part[i].key));
cleanup:
    return status;
}

// ---- All together ----

static vkb_status open_parts(builder *b, built_stores *out)
{
    vkb_status status = VKB_OK;
    for (int i = 0; i < b->parts && status == VKB_OK; i++)
        status = token_store_open(b->ctx, b->part[i].path, b->part[i].key,
                                  vkb_tokenizer_size(b->tok), &out->part[i]);
    for (int i = 0; i < b->parts; i++) {
        if (b->part[i].temporary)
            unlink(b->part[i].path);
        if (status != VKB_OK)
            token_store_close(&out->part[i]);
    }
    return status;
}

static bool all_there(const builder *b)
{
    for (int i = 0; i < b->parts; i++)
        if (!file_exists(b->part[i].path))
            return false;
    return true;
}

// The user's cache folder, or the one asked for; a temporary one when it cannot be written, and for
// what can be read only once.
static vkb_status choose_folder(builder *b, char **folder, bool *temporary)
{
    char *cache = b->params->cache_folder ? NULL : path_cache_folder();
    *folder = b->params->cache_folder ? strdup(b->params->cache_folder)
              : cache                 ? path_join(cache, "tokens")
                                      : NULL;
    free(cache);
    *temporary = has_stream(b->corpus) || !*folder || folder_create(b->ctx, *folder) != VKB_OK ||
                 access(*folder, W_OK) != 0;
    if (!*temporary)
        return VKB_OK;
    free(*folder);
    *folder = strdup(temporary_folder());
    return *folder ? VKB_OK : vkb_fail_memory(b->ctx, 64, "the token cache");
}

static void builder_free(builder *b)
{
    for (int i = 0; i < BUILD_PARTS; i++) {
        token_writer_abandon(&b->part[i].writer);
        free(b->part[i].path);
        free(b->part[i].key);
    }
    for (uint32_t i = 0; i < b->threads && b->encoders; i++)
        text_encoder_destroy(&b->encoders[i]);
    for (size_t i = 0; i < b->slices.count; i++)
        free(b->slices.at[i].at);
    free(b->encoders);
    free(b->slices.at);
    free(b->lengths.at);
    corpus_batch_free(&b->batch);
    corpus_close(&b->corpus);
}

vkb_status dataset_build(const vkb_tokenizer *tok, const vkb_text_source *source,
                         const vkb_dataset_params *params, built_stores *out)
{
    vkb_status status = VKB_OK;
    char *folder = NULL;
    bool temporary = false;
    builder b = {
        .ctx = tokenizer_context(tok),
        .tok = tok,
        .source = source,
        .params = params,
        .parts = params->validation_split > 0 ? BUILD_PARTS : 1,
    };
    *out = (built_stores){0};
    BASE_TRY(corpus_open(b.ctx, source, &b.corpus));
    BASE_TRY(choose_folder(&b, &folder, &temporary));
    BASE_TRY(name_parts(&b, folder, temporary));
    // A store that is stale or damaged is made anew.
    if (!temporary && !params->rebuild_cache && all_there(&b) && open_parts(&b, out) == VKB_OK) {
        out->was_cached = true;
        goto cleanup;
    }
    BASE_TRY(create_writers(&b));
    BASE_TRY(tokenise(&b));
    BASE_TRY(open_parts(&b, out));
cleanup:
    free(folder);
    builder_free(&b);
    return status;
}
