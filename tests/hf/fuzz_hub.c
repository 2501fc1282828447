// libFuzzer: any bytes as a hub's headers, as its answer about a model, and as a name. What passes
// stays in its folder.
#include "hf/hub_http.h"
#include "hf/hub_model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

// No part of a path may be empty, "." or "..".
static void check_path(const char *path)
{
    char between[4096];
    snprintf(between, sizeof(between), "/%s/", path);
    expect(!strstr(between, "//") && !strstr(between, "/./") && !strstr(between, "/../"));
}

static void read_headers(const char *text)
{
    hub_headers headers;
    hub_headers_clear(&headers);
    while (*text) {
        const size_t bytes = strcspn(text, "\n");
        hub_headers_add(&headers, text, bytes);
        text += bytes + (text[bytes] == '\n');
    }
    expect(strlen(headers.etag) < sizeof(headers.etag));
    expect(headers.retry_after == -1 || headers.retry_after >= 0);
    if (hub_is_etag(headers.etag))
        check_path(headers.etag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vkb_context *ctx;
    if (!ctx)
        ctx = vkb_context_create(NULL, NULL);
    char *text = malloc(size + 1);
    hub_model model = {0};
    hub_list files = {0};
    hub_name name;
    memcpy(text, data, size);
    text[size] = 0;
    read_headers(text);
    if (hub_model_parse(ctx, "answer", text, size, &model) == VKB_OK) {
        expect(hub_is_commit(model.commit));
        for (size_t i = 0; i < model.files.count; i++)
            expect(!strchr(model.files.at[i], '/'));
        hub_model_choose(ctx, "a", &model, VKB_PART_TOKENIZER | VKB_PART_WEIGHTS, &files);
    }
    if (!hub_name_parse(text, NULL, &name)) {
        check_path(name.repo);
        check_path(name.revision);
    }
    hub_list_free(&files);
    hub_model_free(&model);
    free(text);
    return 0;
}
