// --help from the table of flags, and the nearest right word for a wrong one.
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 40, HELP_WIDTH = 100, WORD_MAX = 48 };

// Prints text from column on, broken at spaces before HELP_WIDTH.
static void print_wrapped(const char *text, int column)
{
    int at = column;
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (at > column && at + 1 + word > HELP_WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        }
        at += printf("%s%.*s", at > column ? " " : "", word, text);
        text += word;
        text += *text == ' ';
    }
    printf("\n");
}

static void print_flag(const flag *row)
{
    char left[160], help[512];
    char letter[8] = "";
    if (row->letter)
        snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    snprintf(left, sizeof(left), "  %s--%s%s%s", letter, row->name, row->value ? " " : "",
             row->value ? row->value : "");
    bool shown = row->fallback && *row->fallback;
    snprintf(help, sizeof(help), "%s%s%s%s", row->help, shown ? " [" : "",
             shown ? row->fallback : "", shown ? "]" : "");
    printf("%-*s", HELP_COLUMN, left);
    if (strlen(left) >= HELP_COLUMN)
        printf("\n%*s", HELP_COLUMN, "");
    print_wrapped(help, HELP_COLUMN);
}

void flags_print_help(const flag_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].type == FLAG_HEADING)
            printf("\n%s\n", table->rows[i].help);
        else
            print_flag(&table->rows[i]);
    }
}

// Damerau's edit distance: insertions, deletions, replacements, swaps of neighbours.
static int distance(const char *a, const char *b)
{
    int rows[3][WORD_MAX + 1];
    int m = (int)strlen(a), n = (int)strlen(b);
    if (m > WORD_MAX || n > WORD_MAX)
        return WORD_MAX;
    for (int j = 0; j <= n; j++)
        rows[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[m % 3][n];
}

const char *nearest_word(const char *typed, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    int length = (int)strlen(typed), best = length / 3 > 2 ? length / 3 + 1 : 3;
    for (size_t i = 0; i < count; i++) {
        // An unfinished word is nearer than any misspelt one.
        bool begins = length >= 3 && strncmp(typed, words[i], (size_t)length) == 0;
        int d = begins ? 0 : distance(typed, words[i]);
        if (d < best) {
            best = d;
            nearest = words[i];
        }
    }
    return nearest;
}
