// Flags: one table a command is the single source of its names, types, defaults, places and help.
//
//     static const flag table[] = {
//         FLAG_GROUP("Optimiser"),
//         {"learning-rate", FLAG_REAL, offsetof(options, learning_rate), "5e-5", .value = "RATE",
//          .help = "peak learning rate"},
//     };
//
// --a-b is --a_b, --flag=value is --flag value; a later value replaces an earlier one; lists take
// several values and grow by repetition; a boolean may be followed by true or false, as in Hugging
// Face's parser.
#ifndef VKB_CLI_FLAGS_H
#define VKB_CLI_FLAGS_H

#include "vkbert.h"

typedef struct cli_state cli_state;

typedef struct text_list {
    const char **at;
    size_t count, capacity;
} text_list;

typedef enum flag_type {
    FLAG_HEADING,
    FLAG_BOOL,     // bool
    FLAG_INT,      // int64_t; -1 when unset and without default
    FLAG_REAL,     // double; NAN when unset and without default
    FLAG_TEXT,     // const char *; NULL when unset and without default
    FLAG_CHOICE,   // const char *: one of the words of `value`
    FLAG_OPTIONAL, // const char *: "" when the flag stands alone
    FLAG_LIST,     // text_list
} flag_type;

typedef struct flag {
    const char *name; // with dashes
    flag_type type;
    size_t offset;        // of its value in the command's options
    const char *fallback; // its default as one would type it, or NULL
    const char *value;    // what follows it: "N", "F...", "a|b|c"
    const char *help;
    char letter;      // 'o' for -o
    const char *word; // FLAG_INT: is taken, too, and is 0
    double low, high; // FLAG_INT, FLAG_REAL: low <= value, and value <= high when high is not 0
} flag;

#define FLAG_GROUP(text)                                                                           \
    {                                                                                              \
        .type = FLAG_HEADING, .help = text                                                         \
    }

// A flag that is known but not taken, with the sentence that says why and what to do instead.
typedef struct flag_refusal {
    const char *name;    // with dashes
    const char *unless;  // values that ask for nothing, separated by |: passed over
    const char *because; // follows "--name "
} flag_refusal;

typedef struct flag_table {
    const flag *rows;
    size_t count;
    const flag_refusal *refused;
    size_t refused_count;
    const char *texts; // what the arguments that are not flags are, or NULL: there are none
} flag_table;

enum { FLAGS_MAX = 128 };

// A command line, parsed.
typedef struct flag_set {
    const flag_table *table;
    void *options;
    bool given[FLAGS_MAX]; // by row
    bool help;             // --help was asked for
    text_list texts;       // arguments that are not flags
} flag_set;

// Stores the defaults, then the command line. set->table and set->options are filled by the
// caller. VKB_BAD_ARGUMENT: see the sentence.
vkb_status flags_parse(cli_state *cli, flag_set *set, int argc, char **argv);
void flags_free(flag_set *set);

// Whether the command line set the option at this address.
bool flags_given(const flag_set *set, const void *option);

// A default chosen later (a recipe's): stored unless the command line set the flag.
vkb_status flags_default(cli_state *cli, flag_set *set, const char *name, const char *text);

void flags_print_help(const flag_table *table); // stdout

// The word of `words` that `typed` was meant to be, or NULL when none is near.
const char *nearest_word(const char *typed, const char *const *words, size_t count);

bool text_list_add(text_list *list, const char *text); // false: out of memory

// Whether `word` is one of the words of "a|b|c".
bool words_have(const char *words, const char *word);

#endif
