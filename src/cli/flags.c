// Parses a command line by a table of flags.
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 64 };

bool text_list_add(text_list *list, const char *text)
{
    if (list->count == list->capacity) {
        size_t larger = list->capacity ? list->capacity * 2 : 8;
        const char **moved = realloc(list->at, larger * sizeof(*moved));
        if (!moved)
            return false;
        list->at = moved;
        list->capacity = larger;
    }
    list->at[list->count++] = text;
    return true;
}

bool words_have(const char *words, const char *word)
{
    size_t length = strlen(word);
    while (words && *words) {
        size_t end = strcspn(words, "|");
        if (end == length && strncasecmp(words, word, length) == 0)
            return true;
        words += end + (words[end] == '|');
    }
    return false;
}

// The words of transformers' string_to_bool.
static bool parse_bool(const char *text, bool *value)
{
    *value = words_have("true|t|yes|y|1", text);
    return *value || words_have("false|f|no|n|0", text);
}

static bool parse_int(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return *text && !*end && !errno;
}

static bool parse_real(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return *text && !*end && isfinite(*value);
}

static vkb_status fail_value(cli_state *cli, const flag *row, const char *text,
                             const char *expected)
{
    return cli_fail(cli, VKB_BAD_ARGUMENT, "--%s takes %s, not \"%s\"", row->name, expected, text);
}

static vkb_status check_range(cli_state *cli, const flag *row, const char *text, double value)
{
    char expected[96];
    if (value >= row->low && (row->high == 0 || value <= row->high))
        return VKB_OK;
    if (row->high == 0)
        snprintf(expected, sizeof(expected), "a number of %g or more", row->low);
    else
        snprintf(expected, sizeof(expected), "a number from %g to %g", row->low, row->high);
    return fail_value(cli, row, text, expected);
}

static vkb_status store(cli_state *cli, const flag_set *set, const flag *row, const char *text)
{
    char *place = (char *)set->options + row->offset;
    switch (row->type) {
    case FLAG_HEADING:
        break;
    case FLAG_BOOL:
        if (!parse_bool(text, (bool *)place))
            return fail_value(cli, row, text, "true or false");
        break;
    case FLAG_INT:
        if (row->word && strcmp(text, row->word) == 0) {
            *(int64_t *)place = 0;
            return VKB_OK;
        }
        if (!parse_int(text, (int64_t *)place))
            return fail_value(cli, row, text, "a whole number");
        return check_range(cli, row, text, (double)*(int64_t *)place);
    case FLAG_REAL:
        if (!parse_real(text, (double *)place))
            return fail_value(cli, row, text, "a number");
        return check_range(cli, row, text, *(double *)place);
    case FLAG_CHOICE:
        if (!words_have(row->value, text) || !strstr(row->value, text)) // case matters
            return fail_value(cli, row, text, row->value);
        *(const char **)place = text;
        break;
    case FLAG_TEXT:
    case FLAG_OPTIONAL:
        *(const char **)place = text;
        break;
    case FLAG_LIST:
        if (!text_list_add((text_list *)place, text))
            return cli_fail_memory(cli);
        break;
    }
    return VKB_OK;
}

static vkb_status store_defaults(cli_state *cli, flag_set *set)
{
    vkb_status status = VKB_OK;
    for (size_t i = 0; i < set->table->count && status == VKB_OK; i++) {
        const flag *row = &set->table->rows[i];
        char *place = (char *)set->options + row->offset;
        if (row->fallback)
            status = store(cli, set, row, row->fallback);
        else if (row->type == FLAG_INT)
            *(int64_t *)place = -1;
        else if (row->type == FLAG_REAL)
            *(double *)place = NAN;
    }
    return status;
}

static const flag *find(const flag_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        const flag *row = &table->rows[i];
        if (row->name && (name[1] ? strcmp(row->name, name) == 0 : row->letter == name[0]))
            return row;
    }
    return NULL;
}

static const flag_refusal *find_refusal(const flag_table *table, const char *name)
{
    for (size_t i = 0; i < table->refused_count; i++) {
        if (strcmp(table->refused[i].name, name) == 0)
            return &table->refused[i];
    }
    return NULL;
}

static vkb_status fail_unknown(cli_state *cli, const flag_table *table, const char *typed,
                               const char *name)
{
    const char *names[FLAGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].name)
            names[count++] = table->rows[i].name;
    }
    const char *nearest = nearest_word(name, names, count);
    if (nearest)
        return cli_fail(cli, VKB_BAD_ARGUMENT, "there is no flag %s; did you mean --%s?", typed,
                        nearest);
    return cli_fail(cli, VKB_BAD_ARGUMENT, "there is no flag %s; --help lists those there are",
                    typed);
}

// The command line from the argument behind the flag on.
typedef struct arguments {
    int count, at;
    char **texts;
} arguments;

// The next argument, when it can be a value: not a flag, though "-" and "-1" are none either.
static const char *peek_value(const arguments *args)
{
    const char *text = args->at < args->count ? args->texts[args->at] : NULL;
    bool is_flag = text && text[0] == '-' && (text[1] == '-' || (text[1] > '9' && text[1] <= 'z'));
    return is_flag ? NULL : text;
}

static vkb_status take_values(cli_state *cli, flag_set *set, const flag *row, const char *value,
                              arguments *args)
{
    bool truth;
    if (!value && row->type == FLAG_BOOL) {
        const char *next = peek_value(args);
        bool taken = next && parse_bool(next, &truth);
        args->at += taken;
        return store(cli, set, row, taken ? next : "true");
    }
    bool inside = value != NULL; // --flag=value
    if (!value && (value = peek_value(args)))
        args->at++;
    if (!value && row->type == FLAG_OPTIONAL)
        value = "";
    if (!value)
        return cli_fail(cli, VKB_BAD_ARGUMENT, "--%s needs a value: --%s %s", row->name, row->name,
                        row->value ? row->value : "VALUE");
    vkb_status status = store(cli, set, row, value);
    while (status == VKB_OK && row->type == FLAG_LIST && !inside && (value = peek_value(args))) {
        args->at++;
        status = store(cli, set, row, value);
    }
    return status;
}

static vkb_status refuse(cli_state *cli, const flag_refusal *refusal, const char *value,
                         arguments *args)
{
    const char *next = value ? value : peek_value(args);
    if (next && words_have(refusal->unless, next)) {
        args->at += !value;
        return VKB_OK;
    }
    return cli_fail(cli, VKB_BAD_ARGUMENT, "--%s %s", refusal->name, refusal->because);
}

static vkb_status parse_flag(cli_state *cli, flag_set *set, const char *typed, arguments *args)
{
    char name[NAME_MAX_BYTES], shown[NAME_MAX_BYTES + 3];
    const char *start = typed + (typed[1] == '-' ? 2 : 1), *equals = strchr(start, '=');
    size_t length = equals ? (size_t)(equals - start) : strlen(start);
    snprintf(name, sizeof(name), "%.*s", (int)(length < sizeof(name) ? length : sizeof(name) - 1),
             start);
    snprintf(shown, sizeof(shown), "%.*s%s", (int)(start - typed), typed, name);
    for (char *c = name; *c; c++)
        *c = *c == '_' ? '-' : *c;
    // -o is a letter, --o and -output-dir are mistakes
    bool letter = typed[1] != '-';
    const flag *row = letter == (length == 1) ? find(set->table, name) : NULL;
    if (row) {
        set->given[row - set->table->rows] = true;
        return take_values(cli, set, row, equals ? equals + 1 : NULL, args);
    }
    const flag_refusal *refusal = letter ? NULL : find_refusal(set->table, name);
    if (refusal)
        return refuse(cli, refusal, equals ? equals + 1 : NULL, args);
    return fail_unknown(cli, set->table, shown, name);
}

vkb_status flags_parse(cli_state *cli, flag_set *set, int argc, char **argv)
{
    arguments args = {argc, 0, argv};
    bool only_texts = false;
    vkb_status status = store_defaults(cli, set);
    while (status == VKB_OK && args.at < argc) {
        const char *typed = argv[args.at++];
        bool is_flag = !only_texts && typed[0] == '-' && typed[1];
        if (is_flag && strcmp(typed, "--") == 0)
            only_texts = true;
        else if (is_flag && (strcmp(typed, "--help") == 0 || strcmp(typed, "-h") == 0))
            set->help = true;
        else if (is_flag)
            status = parse_flag(cli, set, typed, &args);
        else if (!set->table->texts)
            status =
                cli_fail(cli, VKB_BAD_ARGUMENT,
                         "\"%s\" stands alone: which flag is it for? (--help lists them)", typed);
        else if (!text_list_add(&set->texts, typed))
            status = cli_fail_memory(cli);
    }
    return status;
}

void flags_free(flag_set *set)
{
    for (size_t i = 0; set->options && i < set->table->count; i++) {
        const flag *row = &set->table->rows[i];
        if (row->type == FLAG_LIST)
            free(((text_list *)((char *)set->options + row->offset))->at);
    }
    free(set->texts.at);
    memset(&set->texts, 0, sizeof(set->texts));
}

bool flags_given(const flag_set *set, const void *option)
{
    size_t offset = (size_t)((const char *)option - (const char *)set->options);
    for (size_t i = 0; i < set->table->count; i++) {
        const flag *row = &set->table->rows[i];
        if (row->name && row->offset == offset)
            return set->given[i];
    }
    return false;
}

vkb_status flags_default(cli_state *cli, flag_set *set, const char *name, const char *text)
{
    const flag *row = find(set->table, name);
    return set->given[row - set->table->rows] ? VKB_OK : store(cli, set, row, text);
}
