#include "hf/json.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Text ----

// Bytes of the code point at text, 0 when they are not UTF-8 (Unicode 15, table 3-7).
static size_t utf8_length(const uint8_t *text, size_t bytes)
{
    uint8_t first = text[0], low = 0x80, high = 0xBF;
    size_t length = first < 0x80                    ? 1
                    : first >= 0xC2 && first < 0xE0 ? 2
                    : first >= 0xE0 && first < 0xF0 ? 3
                    : first >= 0xF0 && first < 0xF5 ? 4
                                                    : 0;
    if (length == 0 || length > bytes)
        return 0;
    switch (first) { // no overlong forms, no surrogates, nothing above U+10FFFF
    case 0xE0:
        low = 0xA0;
        break;
    case 0xED:
        high = 0x9F;
        break;
    case 0xF0:
        low = 0x90;
        break;
    case 0xF4:
        high = 0x8F;
        break;
    }
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xBF)
        if (text[i] < low || text[i] > high)
            return 0;
    return length;
}

size_t hf_utf8_valid(const char *text, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        size_t length = utf8_length((const uint8_t *)text + at, bytes - at);
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

hf_shown_text hf_shown(const char *text, size_t bytes)
{
    hf_shown_text out = {{0}};
    const size_t room = sizeof(out.text) - 1, cut = bytes < room ? bytes : room;
    for (size_t at = 0; at < cut;) {
        size_t length = utf8_length((const uint8_t *)text + at, cut - at);
        if (length > 1)
            memcpy(out.text + at, text + at, length);
        else
            out.text[at] = length == 1 && text[at] >= ' ' && text[at] != 0x7F ? text[at] : '?';
        at += length ? length : 1;
    }
    return out;
}

// ---- Reading ----

static vkb_status check_text(vkb_context *ctx, const char *path, const char *text, size_t bytes)
{
    size_t valid = hf_utf8_valid(text, bytes);
    if (valid < bytes)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: byte %zu of its JSON is not UTF-8", path, valid);
    const char *nul = memchr(text, 0, bytes);
    if (nul)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: byte %zu of its JSON is NUL", path,
                        (size_t)(nul - text));
    for (const char *at = strchr(text, '\\'); at && at[1]; at = strchr(at + 2, '\\'))
        if (strncmp(at, "\\u0000", 6) == 0)
            return vkb_fail(ctx, VKB_BAD_FILE, "%s: byte %zu of its JSON is an escaped NUL", path,
                            (size_t)(at - text));
    return VKB_OK;
}

// cJSON takes some 80 bytes a value, so a file of 100 MB that lists zeros would take 4 GB. The largest
// vocabulary of a BERT has half a million entries, in 10 MB; beyond that, trees are to be no larger than
// their file.
#define JSON_VALUES (1 << 19)
#define JSON_BYTES_A_VALUE 64 // in larger files
#define JSON_DEPTH 64

// Whether the text, of any quality, can have no more values than its bytes allow.
static vkb_status check_size(vkb_context *ctx, const char *path, const char *text, size_t bytes)
{
    const size_t limit = JSON_VALUES + bytes / JSON_BYTES_A_VALUE;
    size_t values = 1, depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        values += c == ',' || c == '[' || c == '{';
        if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth)
            depth--;
        if (depth > JSON_DEPTH)
            return vkb_fail(ctx, VKB_BAD_FILE,
                            "%s: byte %zu of its JSON is nested more than %d deep", path, i,
                            JSON_DEPTH);
    }
    if (values > limit)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: its JSON has %zu values, at most %zu are read from %zu bytes", path,
                        values, limit, bytes);
    return VKB_OK;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Members are a linked list: a vocabulary of 100,000 is sorted to see its repetitions.
static vkb_status check_keys(vkb_context *ctx, const char *path, const cJSON *object)
{
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, object) count++;
    const char **keys = malloc((count + 1) * sizeof(*keys));
    if (!keys)
        return vkb_fail_memory(ctx, (count + 1) * sizeof(*keys), path);
    count = 0;
    cJSON_ArrayForEach(item, object) keys[count++] = item->string;
    qsort(keys, count, sizeof(*keys), compare_keys);
    vkb_status status = VKB_OK;
    for (size_t i = 1; i < count && status == VKB_OK; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            status = vkb_fail(ctx, VKB_BAD_FILE, "%s: \"%s\" is there twice", path, keys[i]);
    free(keys);
    return status;
}

// check_size has bounded the recursion.
static vkb_status check_tree(vkb_context *ctx, const char *path, const cJSON *root)
{
    vkb_status status = cJSON_IsObject(root) ? check_keys(ctx, path, root) : VKB_OK;
    const cJSON *item;
    cJSON_ArrayForEach(item, root)
    {
        if (status == VKB_OK && item->child)
            status = check_tree(ctx, path, item);
    }
    return status;
}

static unsigned line_of(const char *text, const char *at)
{
    unsigned line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

vkb_status hf_json_parse(vkb_context *ctx, const char *path, const char *text, size_t bytes,
                         cJSON **object)
{
    vkb_status status = check_text(ctx, path, text, bytes);
    if (status == VKB_OK)
        status = check_size(ctx, path, text, bytes);
    if (status != VKB_OK)
        return status;
    const char *end = text;
    // The NUL counts as text: cJSON 1.7.15 reads a byte too far otherwise, and cannot see the end.
    cJSON *root = cJSON_ParseWithLengthOpts(text, bytes + 1, &end, true);
    if (!root)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: is not JSON at line %u, byte %zu", path,
                        line_of(text, end), (size_t)(end - text));
    status = cJSON_IsObject(root)
                 ? check_tree(ctx, path, root)
                 : vkb_fail(ctx, VKB_BAD_FILE, "%s: its JSON is not an object", path);
    if (status == VKB_OK)
        *object = root;
    else
        cJSON_Delete(root);
    return status;
}

vkb_status hf_json_read(vkb_context *ctx, const char *path, cJSON **object)
{
    char *text = NULL;
    size_t bytes = 0;
    vkb_status status = file_read(ctx, path, &text, &bytes);
    if (status == VKB_OK)
        status = hf_json_parse(ctx, path, text, bytes, object);
    free(text);
    return status;
}

bool hf_json_integer(const cJSON *item, uint64_t *value)
{
    // A NaN fails the comparisons.
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 0x1p53) ||
        floor(item->valuedouble) != item->valuedouble)
        return false;
    *value = (uint64_t)item->valuedouble;
    return true;
}

vkb_status hf_json_unexpected(vkb_context *ctx, const char *path, const char *key,
                              const cJSON *item, const char *expected)
{
    if (!item)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: %s is missing, expected %s", path, key, expected);
    char *found = cJSON_PrintUnformatted(item);
    bool too_long = found && strlen(found) > 60;
    vkb_status status = vkb_fail(
        ctx, VKB_BAD_FILE, "%s: %s is %s, expected %s", path, key,
        too_long || !found ? (cJSON_IsObject(item) ? "an object" : "something else") : found,
        expected);
    cJSON_free(found);
    return status;
}

const cJSON *hf_json_member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

vkb_status hf_json_get_bool(vkb_context *ctx, const char *path, const cJSON *object,
                            const char *key, bool *value)
{
    const cJSON *item = hf_json_member(object, key);
    if (!item || cJSON_IsNull(item))
        return VKB_OK;
    if (!cJSON_IsBool(item))
        return hf_json_unexpected(ctx, path, key, item, "true or false");
    *value = cJSON_IsTrue(item);
    return VKB_OK;
}

vkb_status hf_json_get_string(vkb_context *ctx, const char *path, const cJSON *object,
                              const char *key, const char **value)
{
    const cJSON *item = hf_json_member(object, key);
    if (!item || cJSON_IsNull(item))
        return VKB_OK;
    if (!cJSON_IsString(item))
        return hf_json_unexpected(ctx, path, key, item, "a string");
    *value = item->valuestring;
    return VKB_OK;
}

// ---- Writing ----

vkb_status hf_json_write(vkb_context *ctx, const char *folder, const char *name, const cJSON *root)
{
    char *path = path_join(folder, name);
    char *text = root ? cJSON_Print(root) : NULL;
    vkb_status status = path && text ? file_write_whole(ctx, path, text, strlen(text))
                                     : vkb_fail(ctx, VKB_OUT_OF_MEMORY, "out of memory: %s", name);
    cJSON_free(text);
    free(path);
    return status;
}

static bool same_type(const cJSON *a, const cJSON *b)
{
    const cJSON *a_type = hf_json_member(a, "type"), *b_type = hf_json_member(b, "type");
    return !a_type || !b_type || cJSON_Compare(a_type, b_type, true);
}

cJSON *hf_json_complete(cJSON *ours, const cJSON *original)
{
    cJSON *whole = ours ? cJSON_CreateObject() : NULL;
    bool ok = whole != NULL;
    const cJSON *item;
    cJSON_ArrayForEach(item, original)
    {
        cJSON *mine = ok ? cJSON_DetachItemFromObjectCaseSensitive(ours, item->string) : NULL;
        if (!mine)
            mine = ok ? cJSON_Duplicate(item, true) : NULL;
        else if (cJSON_IsObject(mine) && cJSON_IsObject(item) && same_type(mine, item))
            mine = hf_json_complete(mine, item);
        ok = ok && mine && cJSON_AddItemToObject(whole, item->string, mine);
    }
    while (ok && ours->child) {
        cJSON *mine = cJSON_DetachItemViaPointer(ours, ours->child);
        ok = cJSON_AddItemToObject(whole, mine->string, mine);
    }
    cJSON_Delete(ours);
    if (ok)
        return whole;
    cJSON_Delete(whole);
    return NULL;
}

double hf_json_float(float value)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtof(text, NULL) == value)
            break;
    }
    return strtod(text, NULL);
}
