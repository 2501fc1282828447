#include "cli/text_flags.h"

#include <string.h>

// ---- Text ----

static void show_reading(void *cli_, const char *what, uint64_t done, uint64_t total)
{
    cli_state *cli = cli_;
    output_share(&cli->out, what, done, total, show_bytes);
}

vkb_text_source text_source(cli_state *cli, const text_list *paths, const text_options *options)
{
    return (vkb_text_source){
        .paths = paths->at,
        .path_count = paths->count,
        .text_column = options->column,
        .drop_duplicates = options->drop_duplicates,
        .progress = show_reading,
        .user = cli,
    };
}

vkb_status text_check(cli_state *cli, const text_list *paths)
{
    const vkb_text_source source = {.paths = paths->at, .path_count = paths->count};
    return paths->count ? vkb_text_source_check(cli->ctx, &source) : VKB_OK;
}

// ---- Rows ----

vkb_objective row_objective(const row_options *o)
{
    return strcmp(o->objective, "nsp") == 0       ? VKB_OBJECTIVE_NSP
           : strcmp(o->objective, "mlm+nsp") == 0 ? VKB_OBJECTIVE_MLM_NSP
                                                  : VKB_OBJECTIVE_MLM;
}

vkb_status row_params(cli_state *cli, const row_options *o, vkb_dataset_params *params)
{
    const bool pairs = row_objective(o) != VKB_OBJECTIVE_MLM;
    if (o->line_by_line && o->packing)
        return cli_fail(
            cli, VKB_BAD_ARGUMENT,
            "--line-by-line gives each line a row, --packing puts several in one: choose "
            "one");
    if (pairs && (o->line_by_line || o->packing))
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "--objective %s makes rows of two texts: leave --%s out", o->objective,
                        o->packing ? "packing" : "line-by-line");
    params->rows = pairs             ? VKB_ROWS_PAIRS
                   : o->packing      ? VKB_ROWS_PACKED
                   : o->line_by_line ? VKB_ROWS_LINES
                                     : VKB_ROWS_GROUPED;
    params->short_seq_probability = o->short_seq_probability > 0 ? o->short_seq_probability : -1;
    params->threads = o->workers > 0 ? (uint32_t)o->workers : 0;
    params->rebuild_cache = o->overwrite_cache;
    return VKB_OK;
}

// ---- Masks ----

vkb_mask_params mask_params(const mask_options *o)
{
    static const char *const names[] = {
        [VKB_MASK_MLM] = "mlm",
        [VKB_MASK_WHOLE_WORD] = "whole-word",
        [VKB_MASK_STATIC] = "static",
        [VKB_MASK_TUTORIAL] = "tutorial",
    };
    vkb_mask_params masks = {
        .mlm_probability = o->probability,
        .mask_replace_prob = o->always_mask        ? 1
                             : o->mask_replace > 0 ? o->mask_replace
                                                   : -1,
        .random_replace_prob = o->always_mask          ? -1
                               : o->random_replace > 0 ? o->random_replace
                                                       : -1,
        .static_copies = (uint32_t)o->static_copies,
    };
    for (size_t i = 0; i < CLI_COUNT(names); i++)
        if (strcmp(names[i], o->masking) == 0)
            masks.masking = (vkb_masking)i;
    return masks;
}
