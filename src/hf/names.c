// What a tensor is called: the name in a file, the canonical one, and what needs it.
#include "hf/names.h"

#include "base/context.h"
#include "hf/names_tensorflow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static char *canonical_of_torch(const char *name)
{
    if (starts_with(name, "module."))
        name += strlen("module.");
    bool bare = starts_with(name, "embeddings.") || starts_with(name, "encoder.") ||
                starts_with(name, "pooler.");
    const char *tail = "";
    size_t kept = strlen(name), room = kept + 16;
    if (strcmp(name, "cls.predictions.decoder.bias") == 0)
        return strdup("cls.predictions.bias");
    if (ends_with(name, "LayerNorm.gamma")) {
        kept -= strlen("gamma");
        tail = "weight";
    } else if (ends_with(name, "LayerNorm.beta")) {
        kept -= strlen("beta");
        tail = "bias";
    }
    char *canonical = malloc(room);
    if (canonical)
        snprintf(canonical, room, "%s%.*s%s", bare ? "bert." : "", (int)kept, name, tail);
    return canonical;
}

char *hf_canonical_name(const char *name)
{
    if (!strchr(name, '/'))
        return canonical_of_torch(name);
    char *torch = hf_tensorflow_name(name);
    char *canonical = torch ? canonical_of_torch(torch) : NULL;
    free(torch);
    return canonical;
}

const char *hf_name_unused(const char *name)
{
    static const struct {
        const char *start, *why;
    } unused[] = {
        {"bert.embeddings.position_ids", "0, 1, 2, ..."},
        {"bert.embeddings.token_type_ids", "0, 0, 0, ..."},
        {"bert.pooler.", "for next-sentence prediction"},
        {"cls.seq_relationship.", "for next-sentence prediction"},
        {"cls.predictions.decoder.weight", "tied to the word embeddings"},
    };
    for (size_t i = 0; i < BASE_COUNT(unused); i++)
        if (starts_with(name, unused[i].start))
            return unused[i].why;
    return NULL;
}

bool hf_name_of_pair(const char *name)
{
    return starts_with(name, "bert.pooler.") || starts_with(name, "cls.seq_relationship.");
}
