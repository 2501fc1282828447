// Where a step's time goes, for people: a table, a JSON tree, and a trace for ui.perfetto.dev.
#ifndef VKB_CLI_PROFILE_H
#define VKB_CLI_PROFILE_H

#include "cli/cli.h"

// stdout: the step, then a line a kernel beside the device's ceilings.
void profile_print(const vkb_profile *profile, const vkb_ceilings *ceilings);

// The same as members of a tree.
void profile_add_json(cJSON *tree, const vkb_profile *profile, const vkb_ceilings *ceilings);

// Whether a trace can have this path: VKB_BAD_ARGUMENT names what is wrong, before the work starts.
vkb_status profile_check_trace(cli_state *cli, const char *path);

// In the trace event format of Chrome and Perfetto: steps, their parts and kernels, a track each.
vkb_status profile_write_trace(cli_state *cli, const char *path, const vkb_device_info *device,
                               const vkb_profile *profile);

#endif
