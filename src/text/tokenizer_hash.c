#include "base/hash.h"
#include "text/dataset_build.h"
#include "text/tokenizer.h"

uint64_t tokenizer_hash(const vkb_tokenizer *tok)
{
    const hf_tokenizer *f = &tok->files;
    const text_normaliser *n = &tok->splitter.rules;
    uint64_t hash = HASH_START;
    for (uint32_t id = 0; id < f->piece_count; id++) {
        const char *piece = f->pieces[id] ? f->pieces[id] : "";
        hash = hash_bytes(hash, piece, strlen(piece) + 1);
    }
    for (size_t i = 0; i < f->added_count; i++) {
        const hf_added_token *t = &f->added[i];
        const bool switches[] = {t->single_word, t->lstrip, t->rstrip, t->normalized,
                                 t->only_added};
        hash = hash_bytes(hash, t->content, strlen(t->content) + 1);
        hash = hash_bytes(hash, &t->id, sizeof(t->id));
        hash = hash_bytes(hash, switches, sizeof(switches));
    }
    const bool rules[] = {n->clean_text, n->cjk_spaces, n->strip_accents, n->lowercase};
    const uint32_t numbers[] = {f->piece_count, f->max_input_chars_per_word, tok->special.unk};
    hash = hash_bytes(hash, rules, sizeof(rules));
    return hash_bytes(hash, numbers, sizeof(numbers));
}
