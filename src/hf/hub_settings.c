#include "hf/hub_settings.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEFAULT_TIMEOUT = 10, LONGEST_TIMEOUT = 86400 }; // seconds

// A variable that is set to something; else NULL.
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool is_true(const char *name)
{
    static const char *const words[] = {"1", "on", "yes", "true"};
    const char *value = variable(name);
    for (size_t i = 0; value && i < BASE_COUNT(words); i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

// A copy with "~/" at the front spelt out.
static char *expand(const char *path)
{
    const char *home = variable("HOME");
    return home && strncmp(path, "~/", 2) == 0 ? path_join(home, path + 2) : strdup(path);
}

// $HF_HOME, else huggingface in the user's cache folder; NULL: there is no home.
static char *hf_home(void)
{
    const char *own = variable("HF_HOME"), *xdg = variable("XDG_CACHE_HOME"),
               *home = variable("HOME");
    if (own)
        return expand(own);
    if (xdg)
        return path_join(xdg, "huggingface");
    return home ? path_join(home, ".cache/huggingface") : NULL;
}

static char *find_in_home(const char *own, const char *name)
{
    if (own)
        return expand(own);
    char *home = hf_home(), *path = home ? path_join(home, name) : NULL;
    free(home);
    return path;
}

static vkb_status read_cache(vkb_context *ctx, const char *given, hub_settings *out)
{
    const char *own = given && *given ? given : variable("HF_HUB_CACHE");
    out->cache = find_in_home(own ? own : variable("HUGGINGFACE_HUB_CACHE"), "hub");
    if (out->cache)
        return VKB_OK;
    return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                    "there is no home folder for the hub's cache: set HF_HUB_CACHE to a folder");
}

static vkb_status read_endpoint(vkb_context *ctx, const char *given, hub_settings *out)
{
    const char *own = given && *given ? given : variable("HF_ENDPOINT");
    out->endpoint = strdup(own ? own : "https://huggingface.co");
    if (!out->endpoint)
        return vkb_fail_memory(ctx, strlen(own), "an address");
    for (size_t bytes = strlen(out->endpoint); bytes && out->endpoint[bytes - 1] == '/'; bytes--)
        out->endpoint[bytes - 1] = 0;
    if (strncasecmp(out->endpoint, "https://", 8) == 0 ||
        strncasecmp(out->endpoint, "http://", 7) == 0)
        return VKB_OK;
    return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                    "HF_ENDPOINT is \"%s\", expected an address such as https://huggingface.co",
                    own);
}

// Spaces and line ends around it are no part of a token; what is left goes into a header line.
static vkb_status take_token(vkb_context *ctx, const char *from, const char *text,
                             hub_settings *out)
{
    text += strspn(text, " \t\r\n");
    size_t bytes = strlen(text);
    while (bytes && strchr(" \t\r\n", text[bytes - 1]))
        bytes--;
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7F)
            return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                            "%s: holds something else than one token (hf_...)", from);
    out->token = bytes ? strndup(text, bytes) : NULL;
    return bytes && !out->token ? vkb_fail_memory(ctx, bytes, "a token") : VKB_OK;
}

static vkb_status read_token(vkb_context *ctx, const char *given, hub_settings *out)
{
    const char *own = variable("HF_TOKEN");
    if (given && *given)
        return take_token(ctx, "the token", given, out);
    if (is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return VKB_OK;
    if (own || (own = variable("HUGGING_FACE_HUB_TOKEN")))
        return take_token(ctx, "HF_TOKEN", own, out);
    char *path = find_in_home(variable("HF_TOKEN_PATH"), "token"), *text = NULL;
    vkb_status status = VKB_OK;
    if (path && file_exists(path))
        status = file_read(ctx, path, &text, NULL);
    if (status == VKB_OK && text)
        status = take_token(ctx, path, text, out);
    free(text);
    free(path);
    return status;
}

static void read_timeout(hub_settings *out)
{
    const char *own = variable("HF_HUB_DOWNLOAD_TIMEOUT");
    const long seconds = own ? strtol(own, NULL, 10) : 0;
    out->timeout = seconds > 0 && seconds <= LONGEST_TIMEOUT ? seconds : DEFAULT_TIMEOUT;
}

vkb_status hub_settings_read(vkb_context *ctx, const vkb_hub_params *params, hub_settings *out)
{
    static const vkb_hub_params none;
    const vkb_hub_params *p = params ? params : &none;
    // As Python's requests, below huggingface_hub.
    const char *bundle = variable("REQUESTS_CA_BUNDLE");
    bundle = bundle ? bundle : variable("CURL_CA_BUNDLE");
    hub_settings settings = {
        .offline = p->offline || is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE"),
        .ca_bundle = bundle ? strdup(bundle) : NULL,
    };
    vkb_status status;
    read_timeout(&settings);
    BASE_TRY(read_cache(ctx, p->cache_folder, &settings));
    BASE_TRY(read_endpoint(ctx, p->endpoint, &settings));
    BASE_TRY(read_token(ctx, p->token, &settings));
    *out = settings;
    return VKB_OK;
cleanup:
    hub_settings_free(&settings);
    return status;
}

void hub_settings_free(hub_settings *settings)
{
    free(settings->endpoint);
    free(settings->cache);
    free(settings->token);
    free(settings->ca_bundle);
    *settings = (hub_settings){0};
}
