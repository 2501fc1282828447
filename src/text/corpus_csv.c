// CSV (RFC 4180) and TSV: a header with the columns' names, then rows. A value in quotes may hold
// separators, line ends, and quotes written twice.
#include "text/corpus_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The values of a row: in->data[at .. at + bytes) is the row without its line end.
typedef struct row {
    size_t bytes, end_bytes;
    uint64_t lines; // line ends in it and behind it
} row;

// Measures the row at in->at; *found false: there is none.
static vkb_status measure_row(corpus_input *in, char separator, row *out, bool *found)
{
    vkb_status status = VKB_OK;
    bool quoted = false, value_begins = true;
    uint64_t opened = in->line;
    *out = (row){0};
    for (size_t i = 0; i <= CORPUS_LONGEST_ROW; i++) {
        while (in->at + i >= in->used && !in->ended && status == VKB_OK)
            status = corpus_input_fill(in);
        if (status != VKB_OK)
            return status;
        if (in->at + i >= in->used) {
            *found = i > 0;
            out->bytes = i;
            if (quoted)
                return corpus_input_fail(in, opened, "a quote is opened and never closed");
            return VKB_OK;
        }
        const char c = in->data[in->at + i];
        if (c == '"' && (quoted || value_begins)) {
            if (!quoted && !(i && in->data[in->at + i - 1] == '"'))
                opened = in->line + out->lines;
            quoted = !quoted; // twice in a value: closed, and opened again at once
            value_begins = quoted ? value_begins : true;
            continue;
        }
        out->lines += c == '\n';
        if (c == '\n' && !quoted) {
            const bool carriage = i && in->data[in->at + i - 1] == '\r';
            out->bytes = i - carriage;
            out->end_bytes = 1u + carriage;
            *found = true;
            return VKB_OK;
        }
        value_begins = c == separator && !quoted;
    }
    return corpus_input_fail(in, opened, "a row is longer than %zu MiB: is a quote not closed?",
                             CORPUS_LONGEST_ROW >> 20);
}

// Copies the value that starts at *at of row[0 .. bytes) to out, NULL to pass over it, and moves *at
// behind it and its separator. Returns its bytes; *more: a separator followed.
static size_t take_value(const char *from, size_t bytes, size_t *at, char separator, char *out,
                         bool *more)
{
    size_t i = *at, used = 0;
    if (i < bytes && from[i] == '"') {
        for (i++; i < bytes; i++) {
            if (from[i] == '"' && (i + 1 >= bytes || from[i + 1] != '"')) {
                i++;
                break;
            }
            i += from[i] == '"';
            if (out)
                out[used] = from[i];
            used++;
        }
    }
    for (; i < bytes && from[i] != separator; i++, used++)
        if (out)
            out[used] = from[i];
    *more = i < bytes;
    *at = i + *more;
    return used;
}

static size_t count_values(const char *from, size_t bytes, char separator)
{
    size_t at = 0, count = 0;
    for (bool more = true; more; count++)
        take_value(from, bytes, &at, separator, NULL, &more);
    return count;
}

static void take(corpus_input *in, const row *r)
{
    in->at += r->bytes + r->end_bytes;
    in->line += r->lines;
}

// Finds the text's column among the header's names.
static vkb_status read_header(corpus_input *in, char separator, const row *r)
{
    const char *from = in->data + in->at, *wanted = in->wanted_column;
    char *name = malloc(r->bytes + 1), names[256] = "";
    size_t at = 0, used = 0;
    bool more = true, found = false;
    if (!name)
        return vkb_fail_memory(in->ctx, r->bytes, in->name);
    in->column_index = in->column_count = 0;
    for (size_t i = 0; more; i++, in->column_count++) {
        name[take_value(from, r->bytes, &at, separator, name, &more)] = 0;
        int n = snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "", name);
        used = n > 0 && used + (size_t)n < sizeof(names) ? used + (size_t)n : sizeof(names) - 1;
        if (!found && strcmp(name, wanted ? wanted : "text") == 0) {
            in->column_index = i;
            found = true;
        }
    }
    free(name);
    if (wanted && !found)
        return corpus_input_fail(in, in->line, "has no column \"%s\"; there are: %s", wanted,
                                 names);
    in->started = true;
    return VKB_OK;
}

static vkb_status read_row(corpus_input *in, char separator, corpus_found *text, bool *found)
{
    row r;
    vkb_status status;
    do {
        status = measure_row(in, separator, &r, found);
        if (status != VKB_OK || !*found)
            return status;
        if (r.bytes && in->started)
            break;
        if (r.bytes)
            status = read_header(in, separator, &r);
        if (status == VKB_OK)
            take(in, &r); // the header, or a blank line
    } while (status == VKB_OK);
    if (status != VKB_OK)
        return status;

    const char *from = in->data + in->at;
    const size_t values = count_values(from, r.bytes, separator);
    if (values != in->column_count)
        return corpus_input_fail(in, in->line, "has %zu values, but the header names %zu columns",
                                 values, in->column_count);
    text->owned = malloc(r.bytes + 1);
    if (!text->owned)
        return vkb_fail_memory(in->ctx, r.bytes, in->name);
    size_t at = 0;
    bool more;
    for (size_t i = 0; i <= in->column_index; i++)
        text->bytes = take_value(from, r.bytes, &at, separator, text->owned, &more);
    text->at = text->owned;
    text->line = in->line;
    text->begins_document = true;
    take(in, &r);
    return VKB_OK;
}

vkb_status corpus_read_csv(corpus_input *in, corpus_found *text, bool *found)
{
    return read_row(in, ',', text, found);
}

vkb_status corpus_read_tsv(corpus_input *in, corpus_found *text, bool *found)
{
    return read_row(in, '\t', text, found);
}
