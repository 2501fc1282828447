// What every command shares. A command is a row: its words, its table of flags, its function. It
// stands on vkbert.h alone; main.c parses its flags, runs it and prints the one sentence of a
// failure.
#ifndef VKB_CLI_CLI_H
#define VKB_CLI_CLI_H

#include "cli/flags.h"
#include "cli/output.h"
#include "vkbert.h"

struct cli_state {
    vkb_context *ctx;
    output out;
    int argc; // the whole command line, for the line that resumes a run
    char **argv;
    char error[2048]; // the program's own failure; "": the library's, vkb_error
};

// Records the sentence of a failure of the program's own and returns status.
vkb_status cli_fail(cli_state *cli, vkb_status status, const char *format, ...) OUTPUT_PRINTF(3, 4);
vkb_status cli_fail_memory(cli_state *cli);

// Leaves the calling function's work to its cleanup label when expr fails. The function has
// `vkb_status status` and `cleanup:`.
#define CLI_TRY(expr)                                                                              \
    do {                                                                                           \
        if ((status = (expr)) != VKB_OK)                                                           \
            goto cleanup;                                                                          \
    } while (0)

#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

// The first member of every command's options.
typedef struct common_options {
    bool quiet, verbose;
    const char *device;
    bool validate;
} common_options;

// The rows of those members: the last of every command's table.
#define CLI_FLAGS_OUTPUT                                                                           \
    FLAG_GROUP("Output"),                                                                          \
        {"quiet", FLAG_BOOL, offsetof(common_options, quiet), .letter = 'q',                       \
         .help = "only warnings, errors and results"},                                             \
    {                                                                                              \
        "verbose", FLAG_BOOL, offsetof(common_options, verbose),                                   \
            .letter = 'v', .help = "more lines about what is done"                                 \
    }

#define CLI_FLAGS_DEVICE                                                                           \
    FLAG_GROUP("Device"),                                                                          \
        {"device", FLAG_TEXT, offsetof(common_options, device), .value = "WHICH",                  \
         .help = "an index, part of the name, a UUID, or cpu (a software driver); else "           \
                 "$VKBERT_DEVICE, else the best"},                                                 \
    {                                                                                              \
        "validate", FLAG_BOOL, offsetof(common_options, validate),                                 \
            .help = "check every Vulkan call with the validation layers (slow)"                    \
    }

#define CLI_FLAG_SAVE_PRECISION(options, member, what)                                             \
    {                                                                                              \
        "save-precision", FLAG_CHOICE, offsetof(options, member), "fp32",                          \
            .value = "fp32|fp16|bf16", .help = what                                                \
    }
vkb_precision precision_named(const char *name); // of that flag

// In what a training step computes.
typedef struct precision_options {
    bool fp16, bf16;
    const char *precision;
} precision_options;
#define CLI_FLAGS_PRECISION(options, member)                                                       \
    {"fp16", FLAG_BOOL, offsetof(options, member.fp16),                                            \
     .help = "compute in fp16, weights and sums in fp32, gradients scaled as they need"},          \
        {"bf16", FLAG_BOOL, offsetof(options, member.bf16), .help = "the same in bf16, unscaled"}, \
    {                                                                                              \
        "precision", FLAG_CHOICE, offsetof(options, member.precision), "fp32",                     \
            .value = "fp32|fp16|bf16", .help = "the same by name"                                  \
    }
const char *precision_name(vkb_precision precision);
// VKB_BAD_ARGUMENT: they contradict each other.
vkb_status precision_chosen(cli_state *cli, const flag_set *set, const precision_options *options,
                            vkb_precision *out);

typedef struct command {
    const char *name;
    const char *usage;   // behind "vkbert NAME "
    const char *summary; // one line
    const flag_table *flags;
    size_t options_size; // of a struct whose first member is common_options
    vkb_status (*run)(cli_state *cli, flag_set *set);
} command;

extern const command command_devices, command_vocab, command_tokenize, command_train, command_eval,
    command_fill_mask, command_info, command_pull, command_convert, command_bench;

// ---- Steps that several commands take ----

vkb_status cli_open_device(cli_state *cli, const common_options *common, vkb_device **out);
// Ends a command's work with the device: returns status, or VKB_FAILED when all went well but for
// what --validate had to say.
vkb_status cli_close_device(cli_state *cli, vkb_device **device, vkb_status status);

// Calls line for each line of standard input, without its line end, until one fails.
typedef vkb_status (*line_fn)(void *user, const char *line, size_t bytes, size_t number);
vkb_status cli_each_line(cli_state *cli, line_fn line, void *user);

#endif
