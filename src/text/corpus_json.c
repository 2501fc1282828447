// JSON rows: a line each (.jsonl), or the objects of a .json file: a list of them, {"data": [...]}, or
// one behind the other. One row is parsed at a time.
#include "text/corpus_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- A row's column ----

// The names of a row's members, for a sentence.
static void list_members(const cJSON *row, char *out, size_t room)
{
    size_t used = 0;
    out[0] = 0;
    for (const cJSON *m = row->child; m && used + 1 < room; m = m->next) {
        int n = snprintf(out + used, room - used, "%s%s", used ? ", " : "", m->string);
        used += n > 0 ? (size_t)n : 0;
    }
}

static vkb_status choose_column(corpus_input *in, const cJSON *row, uint64_t line)
{
    const char *name = in->wanted_column;
    char members[256];
    list_members(row, members, sizeof(members));
    if (!name)
        name = cJSON_GetObjectItemCaseSensitive(row, "text") ? "text"
               : row->child                                  ? row->child->string
                                                             : NULL;
    if (!name)
        return corpus_input_fail(in, line, "is an empty object, expected a member with text");
    if (!cJSON_GetObjectItemCaseSensitive(row, name))
        return corpus_input_fail(in, line, "has no column \"%s\"; there are: %s", name, members);
    in->column = strdup(name);
    return in->column ? VKB_OK : vkb_fail_memory(in->ctx, strlen(name), in->name);
}

// The text of a row, which the caller owns.
static vkb_status take_row(corpus_input *in, const cJSON *row, uint64_t line, corpus_found *text)
{
    if (!cJSON_IsObject(row))
        return corpus_input_fail(in, line, "is no JSON object, expected {\"text\": \"...\"}");
    if (!in->column) {
        vkb_status status = choose_column(in, row, line);
        if (status != VKB_OK)
            return status;
    }
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, in->column);
    const bool empty = !item || cJSON_IsNull(item); // a row without a text, as `datasets` fills up
    if (!empty && !cJSON_IsString(item))
        return corpus_input_fail(in, line, "\"%s\" is no string", in->column);
    text->owned = strdup(empty ? "" : item->valuestring);
    if (!text->owned)
        return vkb_fail_memory(in->ctx, strlen(item->valuestring), in->name);
    text->at = text->owned;
    text->bytes = strlen(text->owned);
    text->line = line;
    text->begins_document = true;
    return VKB_OK;
}

static vkb_status parse(corpus_input *in, const char *json, size_t bytes, uint64_t line,
                        cJSON **out)
{
    const char *end = NULL;
    *out = cJSON_ParseWithLengthOpts(json, bytes, &end, false);
    if (*out)
        return VKB_OK;
    const size_t at = end && end >= json ? (size_t)(end - json) : 0;
    return corpus_input_fail(in, line, "is not JSON: the error is at byte %zu of the row", at + 1);
}

// ---- .jsonl ----

vkb_status corpus_read_jsonl(corpus_input *in, corpus_found *text, bool *found)
{
    corpus_found line;
    do {
        vkb_status status = corpus_input_line(in, CORPUS_LONGEST_ROW, false, &line, found);
        if (status != VKB_OK || !*found)
            return status;
    } while (corpus_is_blank(line.at, line.bytes));
    cJSON *row = NULL;
    vkb_status status = parse(in, line.at, line.bytes, line.line, &row);
    if (status == VKB_OK)
        status = take_row(in, row, line.line, text);
    cJSON_Delete(row);
    return status;
}

// ---- .json ----

// Makes sure that there is a byte at in->at + ahead; false: the end (or a failure, in *status).
static bool has_byte(corpus_input *in, size_t ahead, vkb_status *status)
{
    while (in->at + ahead >= in->used && !in->ended && *status == VKB_OK)
        *status = corpus_input_fill(in);
    return *status == VKB_OK && in->at + ahead < in->used;
}

static void skip(corpus_input *in)
{
    in->line += in->data[in->at] == '\n';
    in->at++;
}

// Passes over white space and the commas between values.
static vkb_status skip_blanks(corpus_input *in)
{
    vkb_status status = VKB_OK;
    while (has_byte(in, 0, &status) && in->data[in->at] && strchr(" \t\r\n,", in->data[in->at]))
        skip(in);
    return status;
}

// Bytes of the object that starts at in->at: up to its closing bracket, strings passed over.
static vkb_status measure_object(corpus_input *in, size_t *bytes)
{
    vkb_status status = VKB_OK;
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i <= CORPUS_LONGEST_ROW; i++) {
        if (!has_byte(in, i, &status))
            return status != VKB_OK ? status
                                    : corpus_input_fail(in, in->line, "an object is not closed");
        const char c = in->data[in->at + i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']') && --depth == 0) {
            *bytes = i + 1;
            return VKB_OK;
        }
    }
    return corpus_input_fail(in, in->line, "an object is longer than %zu MiB",
                             CORPUS_LONGEST_ROW >> 20);
}

// {"data": [...]} is held as a whole.
static bool is_wrapper(const corpus_input *in, const cJSON *row)
{
    return !in->column && !in->in_list && cJSON_IsObject(row) &&
           cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(row, "data")) &&
           !(in->wanted_column && cJSON_GetObjectItemCaseSensitive(row, in->wanted_column)) &&
           !cJSON_GetObjectItemCaseSensitive(row, "text");
}

static vkb_status start_list(corpus_input *in)
{
    vkb_status status = VKB_OK;
    in->started = true;
    if (has_byte(in, 0, &status) && in->data[in->at] == '[') {
        in->in_list = true;
        skip(in);
    }
    return status == VKB_OK ? skip_blanks(in) : status;
}

// After the list's end nothing may follow but white space.
static vkb_status end_list(corpus_input *in)
{
    vkb_status status = VKB_OK;
    skip(in);
    in->in_list = false;
    if (has_byte(in, 0, &status))
        status = skip_blanks(in);
    if (status == VKB_OK && has_byte(in, 0, &status))
        return corpus_input_fail(in, in->line, "something follows the list");
    return status;
}

vkb_status corpus_read_json(corpus_input *in, corpus_found *text, bool *found)
{
    vkb_status status;
    *found = true;
    if (in->next_row) {
        const cJSON *row = in->next_row;
        in->next_row = in->next_row->next;
        return take_row(in, row, 1, text);
    }
    *found = false;
    status = skip_blanks(in);
    if (status == VKB_OK && !in->started)
        status = start_list(in);
    if (status != VKB_OK || !has_byte(in, 0, &status))
        return status != VKB_OK ? status
               : in->in_list    ? corpus_input_fail(in, in->line, "the list is not closed")
                                : VKB_OK;
    if (in->in_list && in->data[in->at] == ']')
        return end_list(in);
    if (in->data[in->at] != '{')
        return corpus_input_fail(in, in->line,
                                 "found \"%c\", expected an object such as {\"text\": \"...\"}",
                                 in->data[in->at] >= ' ' ? in->data[in->at] : '?');
    size_t bytes = 0;
    const uint64_t line = in->line;
    cJSON *row = NULL;
    status = measure_object(in, &bytes);
    if (status == VKB_OK)
        status = parse(in, in->data + in->at, bytes, line, &row);
    for (size_t i = 0; status == VKB_OK && i < bytes; i++)
        skip(in);
    if (status == VKB_OK && is_wrapper(in, row) && !in->rows) {
        in->rows = row;
        in->next_row = cJSON_GetObjectItemCaseSensitive(row, "data")->child;
        return corpus_read_json(in, text, found);
    }
    *found = status == VKB_OK;
    if (status == VKB_OK)
        status = take_row(in, row, line, text);
    cJSON_Delete(row);
    return status;
}
