// stdin lines -> one line of ids each, as `vkbert tokenize -m DIR` gives them. For
// tools/check_tokenizer.py --program, on builds without the command line.
#include "vkbert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

int main(int argc, char **argv)
{
    const char *folder = argc == 4 && strcmp(argv[1], "tokenize") == 0 ? argv[3] : NULL;
    if (!folder || strcmp(argv[2], "-m") != 0) {
        fprintf(stderr, "usage: %s tokenize -m DIR\n", argv[0]);
        return 2;
    }
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_tokenizer *tok = NULL;
    vkb_status status = ctx ? vkb_tokenizer_load(ctx, folder, &tok) : VKB_OUT_OF_MEMORY;
    vkb_tokens tokens = {0};
    char *line = NULL;
    size_t room = 0;
    for (ssize_t got; status == VKB_OK && (got = getline(&line, &room, stdin)) >= 0;) {
        size_t bytes = (size_t)got;
        bytes -= bytes && line[bytes - 1] == '\n';
        status = vkb_encode(tok, line, bytes, NULL, 0, NULL, &tokens);
        for (size_t i = 0; status == VKB_OK && i < tokens.count; i++)
            printf("%s%u", i ? " " : "", tokens.at[i].id);
        printf("\n");
    }
    if (status != VKB_OK)
        fprintf(stderr, "%s\n", ctx ? vkb_error(ctx) : "out of memory");
    free(line);
    vkb_tokens_free(&tokens);
    vkb_tokenizer_destroy(&tok);
    vkb_context_destroy(&ctx);
    return vkb_exit_code(status);
}
