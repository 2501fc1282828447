// Many texts on several threads: runs of texts are encoded by whoever is free, then put in order.
#include "base/array.h"
#include "base/thread.h"
#include "text/encode.h"
#include "text/tokenizer.h"

#include <stdlib.h>

enum { RUN_TEXTS = 256 }; // encoded together by one thread

typedef struct batch {
    const vkb_tokenizer *tok;
    const char *const *texts;
    const size_t *bytes;
    size_t count;
    bool specials;
    text_encoder **encoders; // [threads]
    text_ids *runs;          // [runs]: the ids of each run's texts
    size_t *starts;          // [count + 1]: lengths first, then where each text starts
    bool failed;             // memory is exhausted
} batch;

static void encode_run(void *batch_, size_t run, uint32_t thread)
{
    batch *b = batch_;
    const size_t first = run * RUN_TEXTS;
    const size_t behind = first + RUN_TEXTS < b->count ? first + RUN_TEXTS : b->count;
    text_ids *ids = &b->runs[run];
    bool ok = true;
    for (size_t i = first; i < behind && ok; i++) {
        const size_t start = ids->count;
        ok = array_reserve(ids, ids->count + 2);
        if (ok && b->specials)
            ids->at[ids->count++] = b->tok->special.cls;
        ok = ok && text_encode_ids(b->encoders[thread], b->texts[i], b->bytes[i], ids) &&
             array_reserve(ids, ids->count + 1);
        if (ok && b->specials)
            ids->at[ids->count++] = b->tok->special.sep;
        b->starts[i + 1] = ids->count - start;
    }
    if (!ok)
        b->failed = true; // every thread writes the same
}

static vkb_status check_texts(const vkb_tokenizer *tok, const size_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] > VKB_TEXT_MAX)
            return vkb_fail(tok->ctx, VKB_BAD_ARGUMENT,
                            "text %zu of %zu bytes is too long, at most %u", i, bytes[i],
                            VKB_TEXT_MAX);
    return VKB_OK;
}

// Puts the runs one behind the other.
static bool join(batch *b, size_t runs, uint32_t **ids)
{
    b->starts[0] = 0;
    for (size_t i = 0; i < b->count; i++)
        b->starts[i + 1] += b->starts[i];
    *ids = malloc((b->starts[b->count] + 1) * sizeof(**ids));
    size_t at = 0;
    for (size_t run = 0; run < runs && *ids; run++) {
        if (b->runs[run].count)
            memcpy(*ids + at, b->runs[run].at, b->runs[run].count * sizeof(**ids));
        at += b->runs[run].count;
    }
    return *ids != NULL;
}

vkb_status vkb_encode_batch(const vkb_tokenizer *tok, const char *const *texts, const size_t *bytes,
                            size_t count, bool no_special_tokens, uint32_t threads, uint32_t **ids,
                            size_t **starts)
{
    const size_t runs = (count + RUN_TEXTS - 1) / RUN_TEXTS;
    vkb_status status = check_texts(tok, bytes, count);
    if (status != VKB_OK)
        return status;
    threads = thread_count(threads);
    if (threads > runs)
        threads = runs ? (uint32_t)runs : 1;
    batch b = {
        .tok = tok,
        .texts = texts,
        .bytes = bytes,
        .count = count,
        .specials = !no_special_tokens,
        .encoders = calloc(threads, sizeof(*b.encoders)),
        .runs = calloc(runs + 1, sizeof(*b.runs)),
        .starts = calloc(count + 1, sizeof(*b.starts)),
    };
    bool ok = b.encoders && b.runs && b.starts;
    for (uint32_t i = 0; i < threads && ok; i++)
        ok = (b.encoders[i] = text_encoder_create(tok)) != NULL;
    if (ok) {
        thread_each(threads, runs, encode_run, &b);
        ok = !b.failed && join(&b, runs, ids);
    }
    for (uint32_t i = 0; i < threads && b.encoders; i++)
        text_encoder_destroy(&b.encoders[i]);
    for (size_t i = 0; i < runs && b.runs; i++)
        free(b.runs[i].at);
    free(b.encoders);
    free(b.runs);
    if (ok) {
        *starts = b.starts;
        return VKB_OK;
    }
    free(b.starts);
    return vkb_fail_memory(tok->ctx, count * sizeof(uint32_t), "the ids of texts");
}
