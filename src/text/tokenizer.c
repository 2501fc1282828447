// The tokenizer object: made from files' contents, saved as files, asked for its pieces.
#include "text/tokenizer.h"

#include "base/file.h"

#include <stdlib.h>

vkb_context *tokenizer_context(const vkb_tokenizer *tok)
{
    return tok->ctx;
}

// ---- Making ----

static vkb_status index_pieces(vkb_tokenizer *tok, const char *name)
{
    const hf_tokenizer *files = &tok->files;
    const uint32_t count = files->piece_count;
    bool ok = true;
    tok->vocabulary.pieces = files->pieces;
    for (uint32_t id = 0; id < count && ok; id++)
        ok = !files->pieces[id] || vocabulary_insert(&tok->vocabulary, id);

    // A token that is only added is found as it stands in a text, and is no piece of a word.
    char **pieces = malloc((count + 1ull) * sizeof(*pieces));
    tok->piece_bytes = calloc(count + 1ull, sizeof(*tok->piece_bytes));
    ok = ok && pieces && tok->piece_bytes;
    for (uint32_t id = 0; id < count && ok; id++) {
        const char *piece = pieces[id] = files->pieces[id];
        const bool rest = piece && strncmp(piece, "##", 2) == 0;
        tok->piece_bytes[id] = piece ? (uint32_t)strlen(piece) - (rest ? 2 : 0) : 0;
    }
    for (size_t i = 0; i < files->added_count && ok; i++)
        if (files->added[i].only_added)
            pieces[files->added[i].id] = NULL;
    ok = ok && matcher_create(&tok->matcher, pieces, count, "##");
    free(pieces);
    return ok ? VKB_OK : vkb_fail_memory(tok->ctx, count * sizeof(vocabulary_slot), name);
}

static vkb_status find_special(vkb_tokenizer *tok, const char *name)
{
    const struct {
        const char *piece, *role;
        uint32_t *id;
    } wanted[] = {
        {tok->files.pad_token, "pad", &tok->special.pad},
        {tok->files.unk_token, "unknown", &tok->special.unk},
        {tok->files.cls_token, "class", &tok->special.cls},
        {tok->files.sep_token, "separator", &tok->special.sep},
        {tok->files.mask_token, "mask", &tok->special.mask},
    };
    for (size_t i = 0; i < BASE_COUNT(wanted); i++) {
        const char *piece = wanted[i].piece ? wanted[i].piece : "";
        if (!vkb_tokenizer_find(tok, piece, wanted[i].id))
            return vkb_fail(tok->ctx, VKB_BAD_FILE,
                            "%s: the vocabulary lacks its %s token %s; add it as a line of its own",
                            name, wanted[i].role, piece);
    }
    return VKB_OK;
}

static vkb_status index_added(vkb_tokenizer *tok, const char *name)
{
    text_normal normal = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < tok->files.added_count; i++) {
        const hf_added_token *token = &tok->files.added[i];
        size_t bytes = strlen(token->content);
        if (!token->normalized) {
            ok = added_insert(&tok->raw, token, token->content, bytes);
        } else {
            ok = text_normalise(&tok->splitter.rules, token->content, 0, bytes, &normal) &&
                 added_insert(&tok->normal, token, normal.utf8, normal.at[normal.count].byte);
        }
    }
    text_normal_free(&normal);
    return ok ? VKB_OK : vkb_fail_memory(tok->ctx, tok->files.added_count * 64, name);
}

vkb_status tokenizer_create(vkb_context *ctx, hf_tokenizer *files, const char *name,
                            vkb_tokenizer **out)
{
    vkb_status status = VKB_OK;
    vkb_tokenizer *tok = calloc(1, sizeof(*tok));
    if (!tok) {
        hf_tokenizer_free(files);
        return vkb_fail_memory(ctx, sizeof(*tok), name);
    }
    tok->ctx = ctx;
    tok->files = *files;
    *files = (hf_tokenizer){0};
    const text_normaliser rules = {
        .clean_text = tok->files.clean_text,
        .cjk_spaces = tok->files.handle_chinese_chars,
        .strip_accents =
            tok->files.strip_accents < 0 ? tok->files.lowercase : tok->files.strip_accents > 0,
        .lowercase = tok->files.lowercase,
    };
    if (!splitter_create(&rules, &tok->splitter))
        BASE_TRY(vkb_fail_memory(ctx, sizeof(tok->splitter), name));
    BASE_TRY(index_pieces(tok, name));
    BASE_TRY(find_special(tok, name));
    BASE_TRY(index_added(tok, name));
    *out = tok;
    tok = NULL;
cleanup:
    vkb_tokenizer_destroy(&tok);
    return status;
}

// ---- Files ----

vkb_status vkb_tokenizer_load(vkb_context *ctx, const char *folder, vkb_tokenizer **out)
{
    hf_tokenizer files = {0};
    vkb_status status = hf_tokenizer_read(ctx, folder, &files);
    if (status != VKB_OK)
        return status;
    return tokenizer_create(ctx, &files, folder, out);
}

vkb_status vkb_tokenizer_save(const vkb_tokenizer *tok, const char *folder)
{
    vkb_status status = folder_create(tok->ctx, folder);
    if (status != VKB_OK)
        return status;
    return hf_tokenizer_write(tok->ctx, folder, &tok->files);
}

void vkb_tokenizer_destroy(vkb_tokenizer **tok_)
{
    vkb_tokenizer *tok = tok_ ? *tok_ : NULL;
    if (!tok)
        return;
    *tok_ = NULL;
    added_free(&tok->raw);
    added_free(&tok->normal);
    vocabulary_free(&tok->vocabulary);
    matcher_free(&tok->matcher);
    free(tok->piece_bytes);
    hf_tokenizer_free(&tok->files);
    free(tok);
}

// ---- Pieces ----

uint32_t vkb_tokenizer_size(const vkb_tokenizer *tok)
{
    return tok->files.piece_count;
}

vkb_special_ids vkb_tokenizer_special(const vkb_tokenizer *tok)
{
    return tok->special;
}

const char *vkb_tokenizer_piece(const vkb_tokenizer *tok, uint32_t id)
{
    return id < tok->files.piece_count ? tok->files.pieces[id] : NULL;
}

bool vkb_tokenizer_find(const vkb_tokenizer *tok, const char *piece, uint32_t *id)
{
    uint32_t found = vocabulary_find(&tok->vocabulary, piece, strlen(piece));
    if (found == VOCABULARY_NONE)
        return false;
    *id = found;
    return true;
}
