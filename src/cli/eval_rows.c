#include "cli/eval_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static vkb_status fail_write(const eval_rows *rows)
{
    return cli_fail(rows->cli, VKB_IO, "%s cannot be written: %s", rows->path, strerror(errno));
}

vkb_status eval_rows_create(cli_state *cli, const char *path, eval_rows *out)
{
    *out = (eval_rows){.cli = cli, .path = path};
    if (!*path || path_is_folder(path))
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "--export-masks \"%s\" is no file: give a file's name", path);
    if (snprintf(out->temporary, sizeof(out->temporary), "%s.%ld.tmp", path, (long)getpid()) >=
        PATH_BYTES)
        return cli_fail(cli, VKB_IO, "%s: the path is too long", path);
    out->file = fopen(out->temporary, "w");
    return out->file ? VKB_OK : fail_write(out);
}

static void add_ids(FILE *file, const char *name, const uint32_t *ids, uint32_t count)
{
    fprintf(file, ", \"%s\": [", name);
    for (uint32_t i = 0; i < count; i++)
        fprintf(file, "%s%" PRIu32, i ? ", " : "", ids[i]);
    fputc(']', file);
}

vkb_status eval_rows_add(void *user, const vkb_eval_row *row)
{
    const eval_rows *rows = user;
    FILE *file = rows->file;
    fprintf(file, "{\"row\": %" PRIu64, row->row);
    add_ids(file, "input_ids", row->ids, row->tokens);
    fprintf(file, ", \"labels\": [");
    for (uint32_t i = 0; i < row->tokens; i++)
        fprintf(file, "%s%" PRId32, i ? ", " : "", row->labels[i]);
    fputc(']', file);
    add_ids(file, "token_type_ids", row->types, row->tokens);
    add_ids(file, "position_ids", row->positions, row->tokens);
    add_ids(file, "segments", row->segments, row->tokens);
    if (row->next_sentence >= 0)
        fprintf(file, ", \"next_sentence_label\": %" PRId32, row->next_sentence);
    fprintf(file, ", \"log_likelihood\": %.9g}\n", row->log_likelihood);
    return ferror(file) ? fail_write(rows) : VKB_OK;
}

vkb_status eval_rows_end(eval_rows *rows, vkb_status status)
{
    if (!rows->file)
        return status;
    if (status == VKB_OK && (fflush(rows->file) != 0 || fsync(fileno(rows->file)) != 0))
        status = fail_write(rows);
    if (fclose(rows->file) != 0 && status == VKB_OK)
        status = fail_write(rows);
    rows->file = NULL;
    if (status == VKB_OK && rename(rows->temporary, rows->path) != 0)
        status = fail_write(rows);
    if (status != VKB_OK)
        unlink(rows->temporary);
    return status;
}
