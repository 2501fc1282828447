#include "text/dataset_build.h"
#include "text/tokenizer.h"

// FNV-1a, 64 bits (Fowler, Noll, Vo).
static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * 0x100000001B3ull;
    return hash;
}

uint64_t tokenizer_hash(const vkb_tokenizer *tok)
{
    const hf_tokenizer *f = &tok->files;
    const text_normaliser *n = &tok->splitter.rules;
    uint64_t hash = 0xCBF29CE484222325ull;
    for (uint32_t id = 0; id < f->piece_count; id++) {
        const char *piece = f->pieces[id] ? f->pieces[id] : "";
        hash = mix(hash, piece, strlen(piece) + 1);
    }
    for (size_t i = 0; i < f->added_count; i++) {
        const hf_added_token *t = &f->added[i];
        const bool switches[] = {t->single_word, t->lstrip, t->rstrip, t->normalized, t->only_added};
        hash = mix(hash, t->content, strlen(t->content) + 1);
        hash = mix(hash, &t->id, sizeof(t->id));
        hash = mix(hash, switches, sizeof(switches));
    }
    const bool rules[] = {n->clean_text, n->cjk_spaces, n->strip_accents, n->lowercase};
    const uint32_t numbers[] = {f->piece_count, f->max_input_chars_per_word, tok->special.unk};
    hash = mix(hash, rules, sizeof(rules));
    return mix(hash, numbers, sizeof(numbers));
}
