// eval --export-masks: every row as the model was asked about it, a JSON object a line, so that another
// program can be asked the same (tools/check_eval.py asks transformers).
#ifndef VKB_CLI_EVAL_ROWS_H
#define VKB_CLI_EVAL_ROWS_H

#include <stdio.h>

#include "cli/cli.h"
#include "cli/files.h"

typedef struct eval_rows {
    cli_state *cli;
    const char *path; // NULL: nothing is written
    char temporary[PATH_BYTES];
    FILE *file;
} eval_rows;

// Starts a file that appears under its name when it is whole.
vkb_status eval_rows_create(cli_state *cli, const char *path, eval_rows *out);
// vkb_eval_row_fn; user is the eval_rows.
vkb_status eval_rows_add(void *user, const vkb_eval_row *row);
// Ends the file, which gets its name when status is VKB_OK and is removed otherwise. Returns status, or
// VKB_IO.
vkb_status eval_rows_end(eval_rows *rows, vkb_status status);

#endif
