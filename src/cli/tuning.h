// Tuning, as a person sees it: progress, one line about what came of it, a table, JSON.
#ifndef VKB_CLI_TUNING_H
#define VKB_CLI_TUNING_H

#include "cli/cli.h"
#include "cli/output.h"

// vkb_trainer_tune, with progress. thorough: every variant, without end. stop may be NULL.
vkb_status tuning_run(cli_state *cli, vkb_trainer *trainer, bool thorough, bool (*stop)(void *),
                      vkb_tuning **out);
void tuning_note(output *out, const vkb_tuning *tuning); // nothing when nothing was measured
void tuning_print(const vkb_tuning *tuning);
void tuning_add_json(cJSON *tree, const vkb_tuning *tuning);

#endif
