// The flags that train, eval and vocab share about text, rows and masks: one table entry, one place
// that turns them into what the library takes.
#ifndef VKB_CLI_TEXT_FLAGS_H
#define VKB_CLI_TEXT_FLAGS_H

#include "cli/cli.h"

typedef struct text_options {
    const char *column;
    bool drop_duplicates;
} text_options;

#define CLI_FLAGS_TEXT(options, member)                                                            \
    {"text-column", FLAG_TEXT, offsetof(options, member.column), .value = "NAME",                  \
     .help = "of .jsonl, .json, .csv and .tsv; else \"text\", else the first"},                    \
    {"drop-duplicates", FLAG_BOOL, offsetof(options, member.drop_duplicates),                      \
     .help = "leave out lines, or rows, that were there before"}

#define CLI_TEXT_FILES "files, folders, globs, - for standard input; .txt, .jsonl, .json, .csv, .tsv, " \
                       "also .gz and .zst"

// paths are used as long as the source is. Progress goes to cli's live line.
vkb_text_source text_source(cli_state *cli, const text_list *paths, const text_options *options);
// Refuses paths that cannot be read, before anything slow starts.
vkb_status text_check(cli_state *cli, const text_list *paths);

typedef struct row_options {
    bool line_by_line, packing, overwrite_cache;
    double short_seq_probability;
    int64_t workers;
    const char *objective;
} row_options;

#define CLI_FLAGS_ROWS(options, member)                                                            \
    {"line-by-line", FLAG_BOOL, offsetof(options, member.line_by_line),                            \
     .help = "a row a line, padded; else lines are joined and cut to full rows"},                  \
    {"packing", FLAG_BOOL, offsetof(options, member.packing),                                      \
     .help = "several lines a row, each attending to itself alone"},                               \
    {"short-seq-probability", FLAG_REAL, offsetof(options, member.short_seq_probability), "0.1",   \
     .value = "P", .high = 1, .help = "pairs that aim at a random shorter length"},                \
    {"overwrite-cache", FLAG_BOOL, offsetof(options, member.overwrite_cache),                      \
     .help = "tokenise anew, whatever the cache has"},                                             \
    {"preprocessing-num-workers", FLAG_INT, offsetof(options, member.workers), .value = "N",       \
     .low = 1, .high = 256, .help = "threads that tokenise; else one a core"}

#define CLI_FLAG_OBJECTIVE(options, member)                                                        \
    {"objective", FLAG_CHOICE, offsetof(options, member.objective), "mlm",                         \
     .value = "mlm|nsp|mlm+nsp",                                                                   \
     .help = "masked words, next-sentence prediction over pairs of texts, or both"}

// Which rows the flags ask for. VKB_BAD_ARGUMENT: two kinds at once.
vkb_status row_params(cli_state *cli, const row_options *options, vkb_dataset_params *params);
vkb_objective row_objective(const row_options *options);

typedef struct mask_options {
    const char *masking;
    double probability, mask_replace, random_replace;
    int64_t static_copies;
    bool always_mask;
} mask_options;

#define CLI_FLAGS_MASKS(options, member)                                                           \
    {"masking", FLAG_CHOICE, offsetof(options, member.masking), "mlm",                             \
     .value = "mlm|whole-word|static|tutorial",                                                    \
     .help = "each token by itself; words as wholes; the same masks every epoch; the course's: "   \
             "static, always [MASK], loss over all tokens"},                                       \
    {"mlm-probability", FLAG_REAL, offsetof(options, member.probability), "0.15", .value = "P",    \
     .low = 0.001, .high = 1, .help = "share of the tokens to predict"},                           \
    {"mask-replace-prob", FLAG_REAL, offsetof(options, member.mask_replace), "0.8", .value = "P",  \
     .high = 1, .help = "share of them that become [MASK]"},                                       \
    {"random-replace-prob", FLAG_REAL, offsetof(options, member.random_replace), "0.1",            \
     .value = "P", .high = 1, .help = "share that become a random token; the rest stays"},         \
    {"always-mask", FLAG_BOOL, offsetof(options, member.always_mask),                              \
     .help = "short for --mask-replace-prob 1 --random-replace-prob 0"},                           \
    {"static-copies", FLAG_INT, offsetof(options, member.static_copies), "1", .value = "N",        \
     .low = 1, .high = 65536, .help = "with static and tutorial: epochs until masks repeat"}

vkb_mask_params mask_params(const mask_options *options);

#endif
