#include "hf/names_tensorflow.h"

#include "base/context.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// What the last parts of a name become; '/' stands before each.
static const struct {
    const char *tensorflow, *torch;
} endings[] = {
    {"/kernel", ".weight"},
    {"/word_embeddings", ".word_embeddings.weight"},
    {"/position_embeddings", ".position_embeddings.weight"},
    {"/token_type_embeddings", ".token_type_embeddings.weight"},
    {"/output_weights", ".weight"},
    {"/output_bias", ".bias"},
};

// Where the name starts that BERT's own code gives: at the part "bert" or "cls".
static const char *skip_scopes(const char *name)
{
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "bert/", 5) == 0 || strncmp(part, "cls/", 4) == 0)
            return part;
    }
    return name;
}

char *hf_tensorflow_name(const char *name)
{
    name = skip_scopes(name);
    const char *ending = "";
    size_t kept = strlen(name);
    for (size_t i = 0; i < BASE_COUNT(endings); i++) {
        const size_t tail = strlen(endings[i].tensorflow);
        if (kept > tail && strcmp(name + kept - tail, endings[i].tensorflow) == 0) {
            kept -= tail;
            ending = endings[i].torch;
            break;
        }
    }
    char *torch = malloc(kept + strlen(ending) + 1);
    if (!torch)
        return NULL;
    for (size_t i = 0; i < kept; i++) {
        // layer_0 -> layer.0
        const bool layer = name[i] == '_' && i >= 6 && strncmp(name + i - 6, "/layer", 6) == 0 &&
                           isdigit((unsigned char)name[i + 1]);
        torch[i] = name[i] == '/' || layer ? '.' : name[i];
    }
    strcpy(torch + kept, ending);
    return torch;
}
