// MODEL arguments: a folder, or a name on the hub, which is looked up in the hub's cache and fetched
// when it is not there.
#ifndef VKB_CLI_MODELS_H
#define VKB_CLI_MODELS_H

#include "cli/cli.h"

typedef struct hub_options {
    const char *revision, *cache_dir, *token;
} hub_options;

#define CLI_MODEL                                                                                  \
    "a folder, or a name on the hub: bert-base-uncased, owner/name, each with @revision"

// The rows of a command that names its model's revision with a flag called `revision_flag`.
#define CLI_FLAGS_HUB(options, member, revision_flag)                                              \
    {revision_flag, FLAG_TEXT, offsetof(options, member.revision), .value = "REV",                 \
     .help = "of a name on the hub: a branch, tag or commit; else what its @ says, else main"},    \
        {"cache-dir", FLAG_TEXT, offsetof(options, member.cache_dir), .value = "DIR",              \
         .help = "the hub's cache; else $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub"},   \
    {                                                                                              \
        "token", FLAG_TEXT, offsetof(options, member.token),                                       \
            .value = "TOKEN",                                                                      \
            .help = "for private and gated models; else $HF_TOKEN, else what hf auth login left"   \
    }

// The folder of a MODEL, with `parts` (vkb_part; 0: all) in it. hub may be NULL. Ctrl-C ends a fetch
// with VKB_INTERRUPTED.
vkb_status model_find(cli_state *cli, const char *model, uint32_t parts, const hub_options *hub,
                      vkb_model_source *out);
// As the hub has it now.
vkb_status model_pull(cli_state *cli, const char *name, const hub_options *hub,
                      vkb_model_source *out);

#endif
