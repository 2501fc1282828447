// Ids -> text, as transformers' BertTokenizerFast.decode: the WordPiece decoder joins pieces and
// takes the blank from before a piece that English writes without one ("." after a word); with
// clean_up_tokenization_spaces the whole string is cleaned up once more, where "don ' t" becomes
// "don't".
#include "text/tokenizer.h"

#include <stdlib.h>

// In transformers' order (clean_up_tokenization).
static const struct {
    const char *from, *to;
} clean_up[] = {
    {" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

// Replaces in place; `to` is never longer than `from`.
static void replace(char *text, const char *from, const char *to)
{
    size_t from_bytes = strlen(from), to_bytes = strlen(to);
    char *write = text;
    for (const char *read = text; *read;) {
        if (strncmp(read, from, from_bytes) == 0) {
            memcpy(write, to, to_bytes);
            write += to_bytes;
            read += from_bytes;
        } else {
            *write++ = *read++;
        }
    }
    *write = 0;
}

static void spaces_clean_up(char *text)
{
    for (size_t i = 0; i < BASE_COUNT(clean_up); i++)
        replace(text, clean_up[i].from, clean_up[i].to);
}

static bool is_special(const vkb_tokenizer *tok, uint32_t id)
{
    for (size_t i = 0; i < tok->files.added_count; i++)
        if (tok->files.added[i].special && tok->files.added[i].id == id)
            return true;
    const vkb_special_ids *s = &tok->special;
    return id == s->pad || id == s->unk || id == s->cls || id == s->sep || id == s->mask;
}

// The piece to write for an id; NULL for one to leave out.
static const char *shown(const vkb_tokenizer *tok, uint32_t id, bool skip_special)
{
    return skip_special && is_special(tok, id) ? NULL : vkb_tokenizer_piece(tok, id);
}

vkb_status vkb_decode(const vkb_tokenizer *tok, const uint32_t *ids, size_t count,
                      bool skip_special, char **text)
{
    size_t room = 1;
    for (size_t i = 0; i < count; i++) {
        const char *piece = shown(tok, ids[i], skip_special);
        room += piece ? strlen(piece) + 1 : 0;
    }
    bool first = true;
    char *joined = malloc(room), *at = joined;
    if (!joined)
        return vkb_fail_memory(tok->ctx, room, "a decoded text");
    for (size_t i = 0; i < count; i++) {
        const char *piece = shown(tok, ids[i], skip_special);
        if (!piece)
            continue;
        char *start = at;
        if (!first && strncmp(piece, "##", 2) == 0)
            piece += 2;
        else if (!first)
            *at++ = ' ';
        first = false;
        strcpy(at, piece);
        spaces_clean_up(start);
        at = start + strlen(start);
    }
    *at = 0;
    if (tok->files.clean_up_spaces)
        spaces_clean_up(joined);
    *text = joined;
    return VKB_OK;
}
