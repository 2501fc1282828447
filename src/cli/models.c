#include "cli/models.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SECONDS_BETWEEN_LINES = 10 };

// ---- Ctrl-C ----

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static bool is_stopped(void *cli)
{
    (void)cli;
    return stopped;
}

typedef struct signal_handlers {
    struct sigaction interrupt, terminate;
} signal_handlers;

// The second signal ends the program at once.
static void catch_signals(signal_handlers *before)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART | (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    stopped = 0;
    sigaction(SIGINT, &action, &before->interrupt);
    sigaction(SIGTERM, &action, &before->terminate);
}

static void leave_signals(const signal_handlers *before)
{
    sigaction(SIGINT, &before->interrupt, NULL);
    sigaction(SIGTERM, &before->terminate, NULL);
}

// ---- Progress ----

// huggingface_hub's variable.
static bool bars_are_off(void)
{
    const char *value = getenv("HF_HUB_DISABLE_PROGRESS_BARS");
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0 ||
                     strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0);
}

static void show_fetching(void *cli_, const char *what, uint64_t done, uint64_t total)
{
    static double shown; // of the last line
    output *out = &((cli_state *)cli_)->out;
    const double now = output_clock();
    if (bars_are_off())
        return;
    output_share(out, what, done, total, show_bytes);
    if (out->live || done >= total)
        return;
    if (!shown)
        shown = now;
    if (now - shown >= SECONDS_BETWEEN_LINES) {
        output_note(out, "%s: %s of %s", what, show_bytes(done).text, show_bytes(total).text);
        shown = now;
    }
}

// ---- Both ways ----

typedef vkb_status (*source_fn)(vkb_context *ctx, const char *model, const vkb_hub_params *params,
                                vkb_model_source *out);

static vkb_status run_source(cli_state *cli, source_fn source, const char *model, uint32_t parts,
                             const hub_options *hub, vkb_model_source *out)
{
    signal_handlers before;
    vkb_hub_params params = {
        .parts = parts, .progress = show_fetching, .stop = is_stopped, .user = cli};
    if (hub) {
        params.revision = hub->revision;
        params.cache_folder = hub->cache_dir;
        params.token = hub->token;
    }
    catch_signals(&before);
    vkb_status status = source(cli->ctx, model, &params, out);
    leave_signals(&before);
    output_end_line(&cli->out);
    return status;
}

vkb_status model_find(cli_state *cli, const char *model, uint32_t parts, const hub_options *hub,
                      vkb_model_source *out)
{
    if (!model || !*model)
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "--model MODEL is needed: a model's folder, or its name on the hub");
    return run_source(cli, vkb_find_model, model, parts, hub, out);
}

vkb_status model_pull(cli_state *cli, const char *name, const hub_options *hub,
                      vkb_model_source *out)
{
    return run_source(cli, vkb_pull, name, 0, hub, out);
}
