// Trains a WordPiece vocabulary as BertWordPieceTrainer does: special tokens, then the alphabet,
// then the most frequent pairs of neighbours merged until the vocabulary is full. Only the pieces
// are kept; encoding is greedy longest match.
//
// Unlike there, words are taken in order (their hash map's order changes from run to run) and
// counts have 64 bits.
#include "text/tokenizer.h"
#include "text/unicode.h"
#include "text/vocab_merge.h"
#include "text/word_count.h"

#include <stdio.h>
#include <stdlib.h>

#define CODE_POINTS 0x110000

static const char *const bert_tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

// ---- Alphabet ----

typedef struct letter {
    uint32_t code;
    uint64_t count;
} letter;

static int by_count(const void *a_, const void *b_)
{
    const letter *a = a_, *b = b_;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return a->code < b->code ? -1 : a->code > b->code;
}

static int by_code(const void *a_, const void *b_)
{
    const letter *a = a_, *b = b_;
    return a->code < b->code ? -1 : a->code > b->code;
}

// The characters of all words with their counts, *letters freed with free().
static bool count_letters(const text_words *words, letter **letters, size_t *count)
{
    uint64_t *counts = calloc(CODE_POINTS, sizeof(*counts));
    if (!counts)
        return false;
    *count = 0;
    for (size_t i = 0; i < words->count; i++) {
        const text_word *word = &words->at[i];
        for (size_t at = 0; at < word->bytes;) {
            uint64_t *n = &counts[unicode_read(word->text, word->bytes, &at, NULL)];
            *count += *n == 0;
            *n += word->count;
        }
    }
    *letters = malloc((*count + 1) * sizeof(**letters));
    for (uint32_t code = 0, i = 0; *letters && code < CODE_POINTS; code++)
        if (counts[code])
            (*letters)[i++] = (letter){code, counts[code]};
    free(counts);
    return *letters != NULL;
}

// Adds the `limit` most frequent characters as pieces, by code point.
static vkb_status add_alphabet(vkb_context *ctx, const text_words *words, size_t limit,
                               text_pieces *pieces)
{
    letter *letters;
    size_t count, kept;
    if (!count_letters(words, &letters, &count))
        return vkb_fail_memory(ctx, CODE_POINTS * sizeof(uint64_t), "the alphabet");
    kept = count < limit ? count : limit;
    qsort(letters, count, sizeof(*letters), by_count);

    uint64_t all = 0, lost = 0;
    for (size_t i = 0; i < count; i++) {
        all += letters[i].count;
        lost += i >= kept ? letters[i].count : 0;
    }
    if (lost)
        vkb_log(ctx, VKB_LOG_WARNING,
                "limit_alphabet of %zu leaves %zu characters out of the vocabulary, %.3g%% of the "
                "text; words with them become [UNK]",
                limit, count - kept, 100.0 * (double)lost / (double)all);

    vkb_status status = VKB_OK;
    qsort(letters, kept, sizeof(*letters), by_code);
    for (size_t i = 0; i < kept && status == VKB_OK; i++) {
        char utf8[4];
        size_t bytes = unicode_write(letters[i].code, utf8);
        if (pieces_add(pieces, "", utf8, bytes) == VOCABULARY_NONE)
            status = vkb_fail_memory(ctx, bytes, "the alphabet");
    }
    free(letters);
    return status;
}

// ---- Words as pieces ----

// Splits every word into characters, "##" before all but the first; those outside the alphabet are
// left out. *split and *ids are freed with free().
static bool split_words(const text_words *words, text_pieces *pieces, merge_word **split,
                        uint32_t **ids)
{
    size_t total = 0;
    for (size_t i = 0; i < words->count; i++)
        total += words->at[i].bytes; // at least its characters
    *split = malloc((words->count + 1) * sizeof(**split));
    *ids = malloc((total + 1) * sizeof(**ids));
    if (!*split || !*ids)
        return false;
    uint32_t *next = *ids;
    for (size_t i = 0; i < words->count; i++) {
        const text_word *word = &words->at[i];
        (*split)[i] = (merge_word){.pieces = next, .count = word->count};
        for (size_t at = 0, from = 0; at < word->bytes; from = at) {
            unicode_read(word->text, word->bytes, &at, NULL);
            if (vocabulary_find(&pieces->index, word->text + from, at - from) == VOCABULARY_NONE)
                continue;
            *next = pieces_add(pieces, from ? "##" : "", word->text + from, at - from);
            if (*next++ == VOCABULARY_NONE)
                return false;
        }
        (*split)[i].length = (uint32_t)(next - (*split)[i].pieces);
    }
    return true;
}

static vkb_status merge_words(vkb_context *ctx, const text_words *words,
                              const vkb_vocab_params *params, text_pieces *pieces)
{
    merge_word *split = NULL;
    uint32_t *ids = NULL;
    bool ok = split_words(words, pieces, &split, &ids) &&
              vocab_merge(pieces, split, words->count, params->vocab_size, params->min_frequency);
    free(split);
    free(ids);
    return ok ? VKB_OK
              : vkb_fail_memory(ctx, words->count * sizeof(text_word), "training a vocabulary");
}

// ---- The tokenizer ----

// Moves the pieces into files. Its members stay valid for hf_tokenizer_free on failure.
static vkb_status describe(vkb_context *ctx, text_pieces *pieces, const vkb_vocab_params *params,
                           hf_tokenizer *files)
{
    const size_t count = params->special_token_count;
    *files = (hf_tokenizer){
        .pieces = pieces->at,
        .piece_count = (uint32_t)pieces->count,
        .added = calloc(count, sizeof(*files->added)),
        .lowercase = !params->cased,
        .clean_text = true,
        .handle_chinese_chars = true,
        .clean_up_spaces = true,
        .strip_accents = -1,
        .max_input_chars_per_word = 100,
        .pad_token = strdup("[PAD]"),
        .unk_token = strdup("[UNK]"),
        .cls_token = strdup("[CLS]"),
        .sep_token = strdup("[SEP]"),
        .mask_token = strdup("[MASK]"),
        .model_max_length = 512, // the positions of every size of BERT
    };
    pieces->at = NULL;
    pieces->count = 0;
    bool ok = files->added && files->pad_token && files->unk_token && files->cls_token &&
              files->sep_token && files->mask_token;
    for (size_t i = 0; ok && i < count; i++) {
        files->added[i] =
            (hf_added_token){strdup(params->special_tokens[i]), (uint32_t)i, .special = true};
        ok = files->added[i].content != NULL;
        files->added_count += ok;
    }
    return ok ? VKB_OK : vkb_fail_memory(ctx, count * sizeof(*files->added), "a tokenizer");
}

// The special tokens and the unused slots, each once.
static vkb_status add_special(vkb_context *ctx, const vkb_vocab_params *params, text_pieces *pieces)
{
    for (uint32_t i = 0; i < params->special_token_count + params->unused; i++) {
        char unused[32];
        const char *token = unused;
        snprintf(unused, sizeof(unused), "[unused%u]", i - params->special_token_count);
        if (i < params->special_token_count)
            token = params->special_tokens[i];
        if (!*token)
            return vkb_fail(ctx, VKB_BAD_ARGUMENT, "special token %u is empty", i + 1);
        const uint32_t id = pieces_add(pieces, "", token, strlen(token));
        if (id == VOCABULARY_NONE)
            return vkb_fail_memory(ctx, strlen(token), "the special tokens");
        if (id != i)
            return vkb_fail(ctx, VKB_BAD_ARGUMENT, "special token %s stands twice", token);
    }
    for (size_t i = 0; i < BASE_COUNT(bert_tokens); i++)
        if (vocabulary_find(&pieces->index, bert_tokens[i], strlen(bert_tokens[i])) ==
            VOCABULARY_NONE)
            return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                            "the special tokens lack %s, which a BERT tokenizer needs",
                            bert_tokens[i]);
    return VKB_OK;
}

static vkb_status check_params(vkb_context *ctx, vkb_vocab_params *params)
{
    if (params->vocab_size == 0)
        params->vocab_size = 30000;
    if (params->min_frequency == 0)
        params->min_frequency = 2;
    if (params->limit_alphabet == 0)
        params->limit_alphabet = 1000;
    if (!params->special_tokens) {
        params->special_tokens = bert_tokens;
        params->special_token_count = BASE_COUNT(bert_tokens);
    }
    const uint64_t first = (uint64_t)params->special_token_count + params->unused;
    if (params->vocab_size <= first)
        return vkb_fail(
            ctx, VKB_BAD_ARGUMENT,
            "vocab_size is %u, expected more than the %llu special tokens and unused slots",
            params->vocab_size, (unsigned long long)first);
    return VKB_OK;
}

vkb_status vkb_tokenizer_train(vkb_context *ctx, const vkb_text_source *source,
                               const vkb_vocab_params *params_, vkb_tokenizer **out)
{
    vkb_vocab_params params = params_ ? *params_ : (vkb_vocab_params){0};
    text_words words = {0};
    text_pieces pieces = {0};
    hf_tokenizer described = {0};
    vkb_status status = check_params(ctx, &params);
    if (status != VKB_OK)
        return status;

    const text_normaliser rules = {true, true, !params.cased, !params.cased};
    BASE_TRY(add_special(ctx, &params, &pieces));
    text_splitter splitter;
    if (!splitter_create(&rules, &splitter))
        BASE_TRY(vkb_fail_memory(ctx, sizeof(splitter), "training a vocabulary"));
    BASE_TRY(words_count(ctx, &splitter, source, &words));
    words_sort(&words);
    BASE_TRY(add_alphabet(ctx, &words, params.limit_alphabet, &pieces));
    BASE_TRY(merge_words(ctx, &words, &params, &pieces));
    BASE_TRY(describe(ctx, &pieces, &params, &described));
    status = tokenizer_create(ctx, &described, "the trained vocabulary", out);
cleanup:
    words_free(&words);
    pieces_free(&pieces);
    hf_tokenizer_free(&described);
    return status;
}
