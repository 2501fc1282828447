// One text -> its tokens. The order is the fast tokenizer's: added tokens of the raw text, then
// stretch by stretch the words, normalised, and their pieces.
#include "text/encode.h"

#include "base/array.h"
#include "text/tokenizer.h"

#include <stdlib.h>

// ---- What every encoding does ----

// Who gets the words and the added tokens of a text.
typedef struct receiver {
    const vkb_tokenizer *tok;
    words_fn word;
    bool (*added)(void *user, uint32_t id, size_t begin, size_t end);
    void *user;
} receiver;

// The character that starts at or after a byte of normal->utf8.
static size_t char_at(const text_normal *normal, size_t byte)
{
    size_t low = 0, high = normal->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (normal->at[middle].byte < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// With added tokens that are matched in the normalised text: the stretch is normalised as a whole.
static bool receive_normalised(const receiver *r, words_scratch *scratch, const char *text,
                               size_t begin, size_t end)
{
    const vkb_tokenizer *tok = r->tok;
    text_normal *normal = &scratch->normal;
    if (!text_normalise(&tok->splitter.rules, text, begin, end, normal))
        return false;
    size_t at = 0, byte = 0, bytes = normal->at[normal->count].byte;
    text_match match;
    while (added_next(&tok->normal, normal->utf8, byte, bytes, &match)) {
        size_t first = char_at(normal, match.begin), behind = char_at(normal, match.end);
        if (!words_of_normal(normal, at, first, r->word, r->user) ||
            !r->added(r->user, match.id, normal->at[first].begin, normal->at[behind - 1].end))
            return false;
        at = behind;
        byte = match.end;
    }
    return words_of_normal(normal, at, normal->count, r->word, r->user);
}

static bool receive(const receiver *r, words_scratch *scratch, const char *text, size_t bytes)
{
    const vkb_tokenizer *tok = r->tok;
    size_t at = 0;
    text_match match;
    for (bool found = true; found; at = match.end) {
        found = added_next(&tok->raw, text, at, bytes, &match);
        const size_t stop = found ? match.begin : bytes;
        if (stop > at && !(tok->normal.count ? receive_normalised(r, scratch, text, at, stop)
                                             : words_each(scratch, &tok->splitter, text, at, stop,
                                                          r->word, r->user)))
            return false;
        if (found && !r->added(r->user, match.id, match.begin, match.end))
            return false;
    }
    return true;
}

// ---- Ids alone ----

// Words are few and come often: those of up to 16 bytes are looked up by their bytes before they are
// matched.
enum { CACHE_SLOTS = 1 << 13, CACHED_BYTES = 16, CACHED_PIECES = 7 };

typedef struct cached_word {
    uint64_t low, high; // its bytes, zeros behind them
    uint16_t bytes;     // 0: empty. A word may end in NULs, where they are not dropped
    uint16_t count;
    uint32_t ids[CACHED_PIECES];
} cached_word;

struct text_encoder {
    const vkb_tokenizer *tok;
    words_scratch scratch;
    text_ids *out;
    cached_word cache[CACHE_SLOTS];
};

text_encoder *text_encoder_create(const vkb_tokenizer *tok)
{
    text_encoder *encoder = calloc(1, sizeof(*encoder));
    if (encoder)
        encoder->tok = tok;
    return encoder;
}

void text_encoder_destroy(text_encoder **encoder)
{
    if (!encoder || !*encoder)
        return;
    words_scratch_free(&(*encoder)->scratch);
    free(*encoder);
    *encoder = NULL;
}

// A word's pieces, or the one [UNK]; ids has room for its bytes.
static size_t pieces_of(const vkb_tokenizer *tok, const word_view *w, uint32_t *ids)
{
    size_t count = 0;
    if (w->chars <= tok->files.max_input_chars_per_word)
        count = matcher_match(&tok->matcher, w->utf8, w->bytes, ids);
    if (count)
        return count;
    ids[0] = tok->special.unk;
    return 1;
}

// The word's bytes as two numbers, zeros behind them. TEXT_SLACK lets us read all 16.
static void word_key(const word_view *w, uint64_t *low, uint64_t *high)
{
    memcpy(low, w->utf8, 8);
    memcpy(high, w->utf8 + 8, 8);
    // Of the bytes in memory the first ones count, whatever the byte order: shift the others out.
    const size_t in_low = w->bytes < 8 ? w->bytes : 8, in_high = w->bytes - in_low;
    uint64_t keep_low = 0, keep_high = 0;
    memset(&keep_low, 0xFF, in_low);
    memset(&keep_high, 0xFF, in_high);
    *low &= keep_low;
    *high &= keep_high;
}

static cached_word *cache_slot(text_encoder *e, uint64_t low, uint64_t high)
{
    const uint64_t hash = (low ^ high * 0xC2B2AE3D27D4EB4Full) * 0x9E3779B97F4A7C15ull;
    return &e->cache[hash >> 51]; // 13 bits
}

static bool ids_word(void *encoder_, const word_view *w)
{
    text_encoder *e = encoder_;
    text_ids *out = e->out;
    if (!array_reserve(out, out->count + w->bytes + CACHED_PIECES))
        return false;
    uint32_t *ids = out->at + out->count;
    if (w->bytes > CACHED_BYTES) {
        out->count += pieces_of(e->tok, w, ids);
        return true;
    }
    uint64_t low, high;
    word_key(w, &low, &high);
    cached_word *slot = cache_slot(e, low, high);
    if (slot->low == low && slot->high == high && slot->bytes == w->bytes) {
        memcpy(ids, slot->ids, sizeof(slot->ids)); // all of them: a copy of known size
        out->count += slot->count;
        return true;
    }
    const size_t count = pieces_of(e->tok, w, ids);
    out->count += count;
    if (count <= CACHED_PIECES) {
        *slot = (cached_word){low, high, (uint16_t)w->bytes, (uint16_t)count, {0}};
        memcpy(slot->ids, ids, count * sizeof(*ids));
    }
    return true;
}

static bool ids_added(void *encoder_, uint32_t id, size_t begin, size_t end)
{
    text_encoder *e = encoder_;
    (void)begin;
    (void)end;
    if (!array_reserve(e->out, e->out->count + 1))
        return false;
    e->out->at[e->out->count++] = id;
    return true;
}

bool text_encode_ids(text_encoder *e, const char *text, size_t bytes, text_ids *out)
{
    const receiver r = {e->tok, ids_word, ids_added, e};
    e->out = out;
    return receive(&r, &e->scratch, text, bytes);
}

// ---- Tokens with their places ----

typedef struct token_sink {
    const vkb_tokenizer *tok;
    vkb_tokens *out;
    text_ids ids; // of a word
    uint32_t type, word;
} token_sink;

static bool tokens_word(void *sink_, const word_view *w)
{
    token_sink *sink = sink_;
    vkb_tokens *out = sink->out;
    if (!array_reserve(&sink->ids, w->bytes + 1))
        return false;
    const size_t count = pieces_of(sink->tok, w, sink->ids.at);
    if (!array_reserve(out, out->count + count))
        return false;
    const bool unknown = count == 1 && sink->ids.at[0] == sink->tok->special.unk;
    size_t byte = 0, place = 0; // in the word: its bytes, its characters
    for (size_t i = 0; i < count; i++) {
        const uint32_t id = sink->ids.at[i];
        const size_t last = unknown ? w->bytes : byte + sink->tok->piece_bytes[id];
        vkb_token token = {.id = id, .type = sink->type, .word = sink->word};
        if (w->from) {
            token.begin = w->from[place].begin;
            while (place < w->chars && w->from[place].byte - w->from->byte < last)
                place++;
            token.end = w->from[place - 1].end;
        } else {
            token.begin = (uint32_t)(w->begin + byte);
            token.end = (uint32_t)(w->begin + last);
        }
        out->at[out->count++] = token;
        byte = last;
    }
    sink->word++;
    return true;
}

static bool tokens_added(void *sink_, uint32_t id, size_t begin, size_t end)
{
    token_sink *sink = sink_;
    vkb_tokens *out = sink->out;
    if (!array_reserve(out, out->count + 1))
        return false;
    out->at[out->count++] = (vkb_token){
        .id = id,
        .type = sink->type,
        .begin = (uint32_t)begin,
        .end = (uint32_t)end,
        .word = sink->word++,
    };
    return true;
}

bool tokenizer_append(const vkb_tokenizer *tok, words_scratch *scratch, const char *text,
                      size_t bytes, uint32_t type, vkb_tokens *out)
{
    token_sink sink = {.tok = tok, .out = out, .type = type};
    const receiver r = {tok, tokens_word, tokens_added, &sink};
    const bool ok = receive(&r, scratch, text, bytes);
    free(sink.ids.at);
    return ok;
}
