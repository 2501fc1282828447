// JSON files read strictly and written whole, over cJSON. What cJSON lets pass and these formats do
// not is refused here, once for all: text that is not UTF-8, NUL in a string (C strings would end
// early), a key twice in one object, and so many values that their tree would dwarf the file.
#ifndef VKB_HF_JSON_H
#define VKB_HF_JSON_H

#include "base/context.h"

#include <cjson/cJSON.h>

// ---- Reading; every failure is VKB_BAD_FILE ----

// Parses text, which has a NUL behind its bytes, as one object. path is for the sentences.
vkb_status hf_json_parse(vkb_context *ctx, const char *path, const char *text, size_t bytes,
                         cJSON **object);
vkb_status hf_json_read(vkb_context *ctx, const char *path, cJSON **object);

// True for an integer of 0 .. 2^53, which a double holds exactly.
bool hf_json_integer(const cJSON *item, uint64_t *value);

// Fails with "PATH: KEY is FOUND, expected EXPECTED"; item may be NULL: "is missing".
vkb_status hf_json_unexpected(vkb_context *ctx, const char *path, const char *key,
                              const cJSON *item, const char *expected);

// The member key of object; *value stays as it is when there is none, or null.
vkb_status hf_json_get_bool(vkb_context *ctx, const char *path, const cJSON *object,
                            const char *key, bool *value);
// *value points into object.
vkb_status hf_json_get_string(vkb_context *ctx, const char *path, const cJSON *object,
                              const char *key, const char **value);

// Member key of object, case-sensitive; NULL when there is none.
const cJSON *hf_json_member(const cJSON *object, const char *key);

// ---- Writing ----

// Writes root to folder/name, whole or not at all. root NULL: memory ran out while it was made.
vkb_status hf_json_write(vkb_context *ctx, const char *folder, const char *name, const cJSON *root);

// ours with what only `original` has, in its order: a file that is written again loses no key that
// we do not know. Objects are completed member by member, unless their "type" differs; a list is
// ours or, where we have none, the original's. Takes ours. NULL: memory ran out.
cJSON *hf_json_complete(cJSON *ours, const cJSON *original);

// The double that prints as value's shortest text: 0.1f as 0.1, not 0.100000001490116.
double hf_json_float(float value);

// ---- Text ----

// Bytes of text up to the first that is not UTF-8; `bytes` when all are.
size_t hf_utf8_valid(const char *text, size_t bytes);

// Text of a file for a sentence: cut to what a person reads, '?' for what a terminal would obey or
// cannot show.
typedef struct hf_shown_text {
    char text[100];
} hf_shown_text;
hf_shown_text hf_shown(const char *text, size_t bytes);

#endif
