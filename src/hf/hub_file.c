#include "hf/hub_file.h"

#include "base/clock.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_BETWEEN_LOCKS 0.1
enum { MOST_CUTS = 5 }; // in a row, without a byte between

// ENDPOINT/NAME/resolve/COMMIT/FILE; NULL: out of memory.
static char *resolve_url(const hub_download *d, const char *file)
{
    const char *endpoint = d->session->settings->endpoint;
    char *escaped = curl_easy_escape(NULL, file, 0);
    const size_t room = strlen(endpoint) + strlen(d->name->repo) + strlen(d->commit) +
                        (escaped ? strlen(escaped) : 0) + 32;
    char *url = escaped ? malloc(room) : NULL;
    if (url)
        snprintf(url, room, "%s/%s/resolve/%s/%s", endpoint, d->name->repo, d->commit, escaped);
    curl_free(escaped);
    return url;
}

// ---- What a file is: its etag and length ----

static vkb_status take_facts(hub_file *file)
{
    const hub_download *d = file->download;
    const hub_headers *headers = &file->request.headers;
    const char *etag = *headers->linked_etag ? headers->linked_etag : headers->etag;
    file->size = headers->linked_size != HUB_UNKNOWN ? headers->linked_size : headers->length;
    if (!*headers->commit)
        return hub_fail_page(d->session, &file->request, d->name);
    if (strcmp(headers->commit, d->commit) != 0)
        return vkb_fail(d->session->ctx, VKB_BAD_FILE,
                        "%s: answers with %s of commit \"%s\", expected %s",
                        d->session->settings->endpoint, file->name, headers->commit, d->commit);
    if (!hub_is_etag(etag) || file->size == HUB_UNKNOWN || file->size > INT64_MAX)
        return vkb_fail(d->session->ctx, VKB_BAD_FILE,
                        "%s: tells no etag and length of %s that could be used (\"%s\")",
                        d->session->settings->endpoint, file->name, etag);
    strcpy(file->etag, etag);
    return VKB_OK;
}

vkb_status hub_file_ask(hub_file *file)
{
    const hub_download *d = file->download;
    hub_request *request = &file->request;
    vkb_status status;
    request->head = true;
    if (!(request->url = resolve_url(d, file->name)))
        return vkb_fail_memory(d->session->ctx, strlen(file->name), "an address");
    BASE_TRY(hub_fetch(d->session, request, NULL));
    status = hub_succeeded(request) ? take_facts(file)
                                    : hub_fail(d->session, request, d->name, file->name);
cleanup:
    request->head = false;
    free(request->url);
    request->url = NULL;
    return status;
}

// ---- One file's way ----

static bool take_body(void *file_, const void *data, size_t bytes)
{
    hub_file *file = file_;
    const hub_headers *headers = &file->request.headers;
    hub_part *part = &file->part;
    const bool whole = file->request.code == 200; // the server does not know ranges
    if (whole && part->bytes && file->request.offset) {
        file->request.offset = 0;
        file->taken = hub_part_restart(part);
    } else if (!whole && part->bytes == file->request.offset) {
        file->bad_range = headers->range_start != part->bytes;
    }
    if (file->taken == VKB_OK && !file->bad_range)
        file->taken = hub_part_write(part, data, bytes);
    return file->taken == VKB_OK && !file->bad_range;
}

void hub_file_let_go(hub_file *file)
{
    hub_request_end(&file->request);
    free(file->request.url);
    file->request.url = NULL;
    hub_part_close(&file->part);
    hub_cache_unlock(&file->lock);
}

static vkb_status link_file(hub_file *file)
{
    const hub_download *d = file->download;
    hub_file_let_go(file);
    file->state = HUB_FILE_DONE;
    return hub_cache_link(d->cache, d->commit, file->name, file->etag);
}

static void try_again(hub_file *file, double seconds)
{
    hub_file_let_go(file);
    file->state = HUB_FILE_WAITING;
    file->not_before = clock_seconds(file->download->session->ctx) + seconds;
}

// All bytes are there. A wrong hash behind a beginning that was found here may be the beginning's
// fault: such a file is fetched once more, as a whole.
static vkb_status finish(hub_file *file)
{
    vkb_context *ctx = file->download->session->ctx;
    const bool resumed = file->part.resumed > 0;
    vkb_status status = hub_part_finish(&file->part);
    if (status == VKB_BAD_FILE && resumed && !file->from_start) {
        vkb_log(ctx, VKB_LOG_INFO, "%s: what was left of an earlier download is damaged; again",
                file->name);
        file->from_start = true;
        try_again(file, 0);
        return VKB_OK;
    }
    if (status == VKB_BAD_FILE)
        return vkb_fail(ctx, VKB_IO,
                        "%s of %s: what came has not the hash %s that the hub tells, and was "
                        "removed: try again",
                        file->name, file->download->name->repo, file->etag);
    return status == VKB_OK ? link_file(file) : status;
}

static vkb_status start_request(hub_file *file)
{
    const hub_download *d = file->download;
    file->request.url = resolve_url(d, file->name);
    if (!file->request.url)
        return vkb_fail_memory(d->session->ctx, strlen(file->name), "an address");
    file->request.offset = file->part.bytes;
    file->request.take = take_body;
    file->request.user = file;
    file->taken = VKB_OK;
    file->bad_range = false;
    file->state = HUB_FILE_RUNNING;
    return hub_request_start(d->session, &file->request);
}

vkb_status hub_file_start(hub_file *file)
{
    const hub_download *d = file->download;
    vkb_status status = hub_cache_lock(d->cache, file->etag, &file->lock);
    if (status != VKB_OK)
        return status;
    if (file->lock < 0) {
        if (!file->told)
            vkb_log(d->session->ctx, VKB_LOG_INFO, "%s: another program is fetching it; waiting",
                    file->name);
        file->told = true;
        file->not_before = clock_seconds(d->session->ctx) + SECONDS_BETWEEN_LOCKS;
        return VKB_OK;
    }
    char *blob = hub_cache_blob(d->cache, file->etag, false);
    const bool there = blob && file_exists(blob);
    free(blob);
    if (there)
        return link_file(file);
    status = hub_part_open(d->cache, file->etag, file->size, &file->part);
    if (status != VKB_OK)
        return status;
    return file->part.bytes == file->size ? finish(file) : start_request(file);
}

// ---- What came of a request ----

static vkb_status fail_length(hub_file *file, uint64_t length)
{
    hub_part_remove(&file->part);
    return vkb_fail(file->download->session->ctx, VKB_IO,
                    "%s of %s: the hub sends %" PRIu64 " bytes, but tells a length of %" PRIu64
                    "; what came was removed: try again",
                    file->name, file->download->name->repo, length, file->size);
}

static vkb_status retry_file(hub_file *file)
{
    const hub_download *d = file->download;
    double seconds = 0.5;
    if (file->part.bytes > file->failed_at)
        file->failures = 0;
    file->failed_at = file->part.bytes;
    file->failures++;
    const bool cut = hub_succeeded(&file->request) && file->failures < MOST_CUTS;
    if (!cut && !hub_retry(d->session, &file->request, file->failures, &seconds)) {
        if (hub_succeeded(&file->request))
            return vkb_fail(d->session->ctx, VKB_IO,
                            "%s of %s: the connection ends after %" PRIu64 " of %" PRIu64
                            " bytes, again and again: try again later",
                            file->name, d->name->repo, file->part.bytes, file->size);
        return hub_fail(d->session, &file->request, d->name, file->name);
    }
    hub_log_wait(d->session, &file->request, seconds);
    try_again(file, seconds);
    return VKB_OK;
}

// The server has no such range, or another than it was asked for: from the start, once.
static vkb_status rehub_file_start(hub_file *file)
{
    const hub_download *d = file->download;
    if (file->from_start)
        return hub_fail(d->session, &file->request, d->name, file->name);
    file->from_start = true;
    vkb_status status = hub_part_restart(&file->part);
    try_again(file, 0);
    return status;
}

vkb_status hub_file_end(hub_file *file)
{
    const hub_request *request = &file->request;
    const bool came = request->code == 200 || request->code == 206;
    const uint64_t before = request->code == 206 ? request->offset : 0;
    const uint64_t length = request->headers.length;
    if (file->bad_range || (request->result == CURLE_OK && request->code == 416))
        return rehub_file_start(file);
    if (file->taken != VKB_OK && file->taken != VKB_BAD_FILE)
        return file->taken;
    if (came && length != HUB_UNKNOWN && before + length != file->size)
        return fail_length(file, before + length);
    if (file->taken == VKB_BAD_FILE) // more than `size`, and no length told
        return fail_length(file, file->size + 1);
    if (came && file->part.bytes == file->size)
        return finish(file);
    return retry_file(file);
}
