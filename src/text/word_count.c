#include "text/word_count.h"

#include "base/array.h"
#include "text/lines.h"
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

static bool count_word(text_words *words, const char *text, size_t bytes)
{
    if (words->count >= words->slot_count / 2 && !grow_slots(words))
        return false;
    uint32_t hash = vocabulary_hash(VOCABULARY_HASH_START, text, bytes);
    size_t slot = hash & (words->slot_count - 1);
    for (; words->slots[slot]; slot = (slot + 1) & (words->slot_count - 1)) {
        text_word *word = &words->at[words->slots[slot] - 1];
        if (word->hash == hash && word->bytes == bytes && memcmp(word->text, text, bytes) == 0) {
            word->count++;
            return true;
        }
    }
    char *copy = malloc(bytes);
    if (!copy || !array_reserve(words, words->count + 1)) {
        free(copy);
        return false;
    }
    memcpy(copy, text, bytes);
    words->at[words->count++] = (text_word){copy, (uint32_t)bytes, hash, .count = 1};
    words->slots[slot] = (uint32_t)words->count;
    return true;
}

static bool add_word(void *words, const word_view *word)
{
    return word->chars > WORDS_LONGEST || count_word(words, word->utf8, word->bytes);
}

vkb_status words_count_file(vkb_context *ctx, const text_splitter *splitter, const char *path,
                            text_words *words)
{
    text_file file;
    words_scratch scratch = {0};
    const char *line;
    size_t bytes;
    vkb_status status = text_file_open(ctx, path, &file);
    if (status != VKB_OK)
        return status;
    if (file.invalid)
        vkb_log(ctx, VKB_LOG_WARNING, "%s: %zu bytes are not UTF-8 and were left out", file.name,
                file.invalid);
    bool ok = true;
    while (ok && text_next_line(&file, &line, &bytes))
        ok = words_each(&scratch, splitter, line, 0, bytes, add_word, words);
    if (!ok)
        status = vkb_fail_memory(ctx, words->count * sizeof(text_word), file.name);
    words_scratch_free(&scratch);
    text_file_close(&file);
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
