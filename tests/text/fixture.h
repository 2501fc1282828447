// Tiny files in a temporary folder, and tokenizers made of them.
#ifndef VKB_TESTS_TEXT_FIXTURE_H
#define VKB_TESTS_TEXT_FIXTURE_H

#include "vkbert.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOURCE(list, count) (&(vkb_text_source){.paths = (list), .path_count = (count)})

static char fixture_folder[256];
static char fixture_log[4096]; // the warnings since it was last emptied
static vkb_context *ctx;

static inline void fixture_take_log(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    if (level <= VKB_LOG_INFO) {
        size_t used = strlen(fixture_log);
        snprintf(fixture_log + used, sizeof(fixture_log) - used, "%s\n", sentence);
    }
}

static inline void fixture_start(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(fixture_folder, sizeof(fixture_folder), "%s/vkbert-text-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(fixture_folder)) {
        perror(fixture_folder);
        exit(1);
    }
    setenv("VKBERT_CACHE", fixture_folder, 1);
    ctx = vkb_context_create(fixture_take_log, NULL);
}

static inline void fixture_end(void)
{
    char path[512];
    vkb_context_destroy(&ctx);
    snprintf(path, sizeof(path), "rm -rf '%s'", fixture_folder);
    if (system(path) != 0)
        perror(fixture_folder);
}

// The path of a file in the folder; valid until the 8th call after.
static inline const char *fixture_path(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", fixture_folder, name);
    return path;
}

static inline const char *fixture_write_bytes(const char *name, const char *text, size_t bytes)
{
    const char *path = fixture_path(name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(text, 1, bytes, file) != bytes || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    return path;
}

static inline const char *fixture_write(const char *name, const char *text)
{
    return fixture_write_bytes(name, text, strlen(text));
}

// A tokenizer of these lines of vocab.txt.
static inline vkb_tokenizer *fixture_tokenizer(const char *vocabulary, const char *config)
{
    vkb_tokenizer *tok = NULL;
    unlink(fixture_path("tokenizer.json"));
    unlink(fixture_path("special_tokens_map.json"));
    fixture_write("vocab.txt", vocabulary);
    fixture_write("tokenizer_config.json", config);
    CHECK_INT(vkb_tokenizer_load(ctx, fixture_folder, &tok), VKB_OK);
    if (!tok) {
        printf("%s\n", vkb_error(ctx));
        exit(1);
    }
    return tok;
}

// The pieces of a text, blanks between them; valid until the next call.
static inline const char *pieces_of(const vkb_tokenizer *tok, const char *text)
{
    static char shown[65536];
    vkb_tokens tokens = {0};
    size_t used = 0;
    shown[0] = 0;
    CHECK_INT(vkb_encode(tok, text, strlen(text), NULL, 0,
                         &(vkb_encode_params){.no_special_tokens = true}, &tokens),
              VKB_OK);
    for (size_t i = 0; i < tokens.count; i++)
        used += (size_t)snprintf(shown + used, sizeof(shown) - used, "%s%s", i ? " " : "",
                                 vkb_tokenizer_piece(tok, tokens.at[i].id));
    vkb_tokens_free(&tokens);
    return shown;
}

// The ids of a text, blanks between them; valid until the next call.
static inline const char *ids_of(const vkb_tokenizer *tok, const char *text, const char *pair,
                                 bool add_special)
{
    static char shown[65536];
    vkb_tokens tokens = {0};
    size_t used = 0;
    shown[0] = 0;
    CHECK_INT(vkb_encode(tok, text, strlen(text), pair, pair ? strlen(pair) : 0,
                         &(vkb_encode_params){.no_special_tokens = !add_special}, &tokens),
              VKB_OK);
    for (size_t i = 0; i < tokens.count; i++)
        used += (size_t)snprintf(shown + used, sizeof(shown) - used, "%s%u", i ? " " : "",
                                 tokens.at[i].id);
    vkb_tokens_free(&tokens);
    return shown;
}

#endif
