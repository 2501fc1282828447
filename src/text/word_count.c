#include "text/word_count.h"

#include "base/array.h"
#include "base/thread.h"
#include "text/corpus.h"
#include "text/vocabulary.h"

#include <stdlib.h>

static bool grow_slots(text_words *words)
{
    size_t slot_count = words->slot_count ? words->slot_count * 2 : 4096;
    uint32_t *slots = calloc(slot_count, sizeof(*slots));
    if (!slots)
        return false;
    for (size_t i = 0; i < words->count; i++) {
        size_t slot = words->at[i].hash & (slot_count - 1);
        while (slots[slot])
            slot = (slot + 1) & (slot_count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    free(words->slots);
    words->slots = slots;
    words->slot_count = slot_count;
    return true;
}

static bool count_word(text_words *words, const char *text, size_t bytes, uint64_t times)
{
    if (words->count >= words->slot_count / 2 && !grow_slots(words))
        return false;
    uint32_t hash = vocabulary_hash(VOCABULARY_HASH_START, text, bytes);
    size_t slot = hash & (words->slot_count - 1);
    for (; words->slots[slot]; slot = (slot + 1) & (words->slot_count - 1)) {
        text_word *word = &words->at[words->slots[slot] - 1];
        if (word->hash == hash && word->bytes == bytes && memcmp(word->text, text, bytes) == 0) {
            word->count += times;
            return true;
        }
    }
    char *copy = malloc(bytes);
    if (!copy || !array_reserve(words, words->count + 1)) {
        free(copy);
        return false;
    }
    memcpy(copy, text, bytes);
    words->at[words->count++] = (text_word){copy, (uint32_t)bytes, hash, .count = times};
    words->slots[slot] = (uint32_t)words->count;
    return true;
}

// ---- Counting on several threads ----

enum {
    BATCH_BYTES = 4 << 20, // of text read for each thread
    SLICE_TEXTS = 128,     // counted together by one thread
};

typedef struct counter {
    const text_splitter *splitter;
    corpus_batch batch;
    struct counting {
        words_scratch scratch;
        text_words words;
    } * threads;
    bool failed; // memory is exhausted
} counter;

static bool add_word(void *words, const word_view *word)
{
    return word->chars > WORDS_LONGEST || count_word(words, word->utf8, word->bytes, 1);
}

static void count_slice(void *counter_, size_t slice, uint32_t thread)
{
    counter *c = counter_;
    struct counting *mine = &c->threads[thread];
    const size_t first = slice * SLICE_TEXTS, rest = c->batch.count - first;
    for (size_t i = first; i < first + (rest < SLICE_TEXTS ? rest : SLICE_TEXTS); i++)
        if (!words_each(&mine->scratch, c->splitter, c->batch.at[i].at, 0, c->batch.at[i].bytes,
                        add_word, &mine->words))
            c->failed = true; // every thread writes the same
}

static vkb_status count_all(vkb_context *ctx, counter *c, uint32_t threads, corpus *text)
{
    do {
        vkb_status status = corpus_read(text, (size_t)BATCH_BYTES * threads, &c->batch);
        if (status != VKB_OK)
            return status;
        thread_each(threads, (c->batch.count + SLICE_TEXTS - 1) / SLICE_TEXTS, count_slice, c);
        if (c->failed)
            return vkb_fail_memory(ctx, c->threads[0].words.count * sizeof(text_word),
                                   "the words of the text");
    } while (c->batch.count);
    corpus_log_doubts(text);
    return VKB_OK;
}

vkb_status words_count(vkb_context *ctx, const text_splitter *splitter,
                       const vkb_text_source *source, text_words *words)
{
    const uint32_t threads = thread_count(0);
    corpus *text = NULL;
    counter c = {.splitter = splitter, .threads = calloc(threads, sizeof(*c.threads))};
    vkb_status status = c.threads ? corpus_open(ctx, source, &text)
                                  : vkb_fail_memory(ctx, sizeof(*c.threads), "counting words");
    if (status == VKB_OK)
        status = count_all(ctx, &c, threads, text);
    for (uint32_t i = 0; i < threads && c.threads; i++) {
        const text_words *from = &c.threads[i].words;
        for (size_t k = 0; k < from->count && status == VKB_OK; k++)
            if (!count_word(words, from->at[k].text, from->at[k].bytes, from->at[k].count))
                status =
                    vkb_fail_memory(ctx, words->count * sizeof(text_word), "the words of the text");
        words_free(&c.threads[i].words);
        words_scratch_free(&c.threads[i].scratch);
    }
    free(c.threads);
    corpus_batch_free(&c.batch);
    corpus_close(&text);
    return status;
}

static int by_spelling(const void *a_, const void *b_)
{
    const text_word *a = a_, *b = b_;
    int order = memcmp(a->text, b->text, a->bytes < b->bytes ? a->bytes : b->bytes);
    return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

void words_sort(text_words *words)
{
    if (words->count)
        qsort(words->at, words->count, sizeof(*words->at), by_spelling);
    free(words->slots);
    words->slots = NULL;
    words->slot_count = 0;
}

void words_free(text_words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->at[i].text);
    free(words->at);
    free(words->slots);
    *words = (text_words){0};
}
