// Names that come from people and from the hub, and which of them may become paths and URLs. What
// is not allowed here is never joined to the cache's folder.
#ifndef VKB_HF_HUB_NAME_H
#define VKB_HF_HUB_NAME_H

#include "base/context.h"

enum { HUB_REPO_MAX = 96, HUB_REVISION_MAX = 200, HUB_COMMIT_DIGITS = 40, HUB_ETAG_MAX = 128 };

// "bert-base-uncased", "google-bert/bert-base-uncased", each with "@revision" behind it or without.
typedef struct hub_name {
    char repo[HUB_REPO_MAX + 1];
    char revision[HUB_REVISION_MAX + 1]; // a branch, a tag or a commit
} hub_name;

// Returns NULL, or what is wrong with the text. revision, unless NULL or empty, stands for the one
// behind "@".
const char *hub_name_parse(const char *text, const char *revision, hub_name *out);

// Whether a text can only be meant as a path: "/a", "./a", "../a", "~/a", "a/".
bool hub_name_is_path(const char *text);

bool hub_is_commit(const char *text); // 40 hexadecimal digits
bool hub_is_etag(const char *text);   // the name of a blob: letters, digits, "-", "_", "."
bool hub_is_file(const char *text);   // a file in a model's folder or below: no way out of it

#endif
