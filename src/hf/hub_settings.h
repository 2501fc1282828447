// What the environment and the caller say about the hub, with huggingface_hub's variables, meaning
// and defaults.
#ifndef VKB_HF_HUB_SETTINGS_H
#define VKB_HF_HUB_SETTINGS_H

#include "base/context.h"

typedef struct hub_settings {
    char *endpoint;  // "https://huggingface.co", without "/" behind it
    char *cache;     // the folder that holds models--owner--name
    char *token;     // NULL: none
    char *ca_bundle; // certificates to trust; NULL: the system's
    bool offline;
    long timeout; // seconds without a byte before a connection counts as dead
} hub_settings;

// params may be NULL. VKB_BAD_ARGUMENT: a variable that cannot be meant.
vkb_status hub_settings_read(vkb_context *ctx, const vkb_hub_params *params, hub_settings *out);
void hub_settings_free(hub_settings *settings); // leaves it zeroed

#endif
