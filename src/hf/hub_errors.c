#include "hf/hub_errors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TRIES = 5, LONGEST_WAIT = 60, LONG_WAIT = 3 /* seconds */, MOST_TEXT_BYTES = 1 << 26 };

bool hub_succeeded(const hub_request *request)
{
    return request->result == CURLE_OK && (request->code == 200 || request->code == 206 ||
                                           (request->head && request->code / 100 == 3));
}

static bool is_busy(long code)
{
    return code == 429 || code == 500 || code == 502 || code == 503 || code == 504;
}

// The network's failures; those of certificates, addresses and files do not pass by themselves.
static bool is_network(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

bool hub_unreachable(const hub_request *request)
{
    return request->result == CURLE_OK ? is_busy(request->code) : is_network(request->result);
}

bool hub_retry(const hub_session *session, const hub_request *request, unsigned failures,
               double *seconds)
{
    // A hub that has never answered is not there: no use in waiting.
    if (!hub_unreachable(request) || failures >= MOST_TRIES ||
        (request->result != CURLE_OK && !session->answered))
        return false;
    *seconds = 0.5 * (double)(1u << (failures - 1));
    if (request->result == CURLE_OK && request->headers.retry_after >= 0)
        *seconds = request->headers.retry_after;
    return *seconds <= LONGEST_WAIT;
}

// ---- Sentences ----

static vkb_status fail_connection(const hub_session *session, const hub_request *request,
                                  const char *what)
{
    vkb_context *ctx = session->ctx;
    const char *hub = session->settings->endpoint;
    const char *why = *request->error ? request->error : curl_easy_strerror(request->result);
    switch (request->result) {
    case CURLE_OPERATION_TIMEDOUT:
        return vkb_fail(ctx, VKB_IO,
                        "%s: %s sends nothing any more (%s): try again later, or wait longer with "
                        "HF_HUB_DOWNLOAD_TIMEOUT (seconds)",
                        what, hub, why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        return vkb_fail(ctx, VKB_IO,
                        "no safe connection to %s (%s): behind a proxy that reads along, name its "
                        "certificate's file in CURL_CA_BUNDLE",
                        hub, why);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return vkb_fail(ctx, VKB_IO, "the proxy is not found (%s): see https_proxy", why);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return vkb_fail(ctx, VKB_IO, "%s cannot be reached (%s): is there a network?", hub, why);
    default:
        return vkb_fail(ctx, VKB_IO, "%s: the connection to %s failed (%s): try again", what, hub,
                        why);
    }
}

static vkb_status fail_access(const hub_session *session, const hub_request *request,
                              const hub_name *name)
{
    vkb_context *ctx = session->ctx;
    const char *hub = session->settings->endpoint;
    if (strcmp(request->headers.error_code, "GatedRepo") == 0)
        return vkb_fail(ctx, VKB_FAILED,
                        session->settings->token
                            ? "%s is gated and your token has no access: ask for it at %s/%s"
                            : "%s is gated: ask for access at %s/%s, then set HF_TOKEN to a token "
                              "of yours",
                        name->repo, hub, name->repo);
    if (request->code == 403)
        return vkb_fail(ctx, VKB_FAILED,
                        "%s refuses access to %s (403): its page says who may have it, a token's "
                        "settings what the token may read",
                        hub, name->repo);
    if (session->settings->token)
        return vkb_fail(ctx, VKB_FAILED,
                        "%s takes your token not, or knows no model %s (401): check the name and "
                        "HF_TOKEN",
                        hub, name->repo);
    return vkb_fail(ctx, VKB_BAD_FILE,
                    "%s knows no model %s, or it is private (401): check the name, or set "
                    "HF_TOKEN to a token of yours",
                    hub, name->repo);
}

vkb_status hub_fail(const hub_session *session, const hub_request *request, const hub_name *name,
                    const char *what)
{
    vkb_context *ctx = session->ctx;
    const char *hub = session->settings->endpoint;
    if (request->result != CURLE_OK)
        return fail_connection(session, request, what ? what : name->repo);
    if (request->code == 401 || request->code == 403)
        return fail_access(session, request, name);
    if (request->code == 404 && strcmp(request->headers.error_code, "RevisionNotFound") == 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s has no revision \"%s\" of %s", hub, name->revision,
                        name->repo);
    if (request->code == 404 && what)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s has no %s of %s", hub, what, name->repo);
    if (request->code == 404)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s knows no model %s: check the name", hub, name->repo);
    if (request->code == 429)
        return vkb_fail(ctx, VKB_FAILED, "%s takes no more requests for now (429): try again %s%s",
                        hub,
                        request->headers.retry_after > LONGEST_WAIT ? "in some minutes" : "later",
                        session->settings->token ? ""
                                                 : ", or set HF_TOKEN: with a token it takes "
                                                   "more");
    if (request->code >= 500)
        return vkb_fail(ctx, VKB_FAILED, "%s has a fault of its own (%ld): try again later", hub,
                        request->code);
    return vkb_fail(ctx, VKB_FAILED, "%s answers %ld to %s, expected 200", hub, request->code,
                    request->url);
}

vkb_status hub_fail_page(const hub_session *session, const hub_request *request,
                         const hub_name *name)
{
    const char *type = request->headers.content_type;
    return vkb_fail(session->ctx, VKB_FAILED,
                    "%s does not answer as a hub does (%s for %s): a network's sign-in page, a "
                    "proxy, or another address in HF_ENDPOINT?",
                    session->settings->endpoint, *type ? type : "no content type", name->repo);
}

// ---- With retries ----

void hub_log_wait(const hub_session *session, const hub_request *request, double seconds)
{
    char why[64];
    snprintf(why, sizeof(why), "answers %ld", request->code);
    vkb_log(session->ctx, seconds < LONG_WAIT ? VKB_LOG_DEBUG : VKB_LOG_INFO,
            "%s: %s; trying again in %.0f s", session->settings->endpoint,
            request->result == CURLE_OK ? why : curl_easy_strerror(request->result), seconds);
}

static bool take_text(void *text_, const void *data, size_t bytes)
{
    hub_text *text = text_;
    const size_t all = text->bytes + bytes;
    char *longer = all < MOST_TEXT_BYTES ? realloc(text->at, all + 1) : NULL;
    if (!longer)
        return false;
    memcpy(longer + text->bytes, data, bytes);
    longer[all] = 0;
    *text = (hub_text){longer, all};
    return true;
}

vkb_status hub_fetch(hub_session *session, hub_request *request, hub_text *text)
{
    double seconds;
    request->take = text ? take_text : NULL;
    request->user = text;
    for (unsigned failures = 1;; failures++) {
        hub_request *ended = NULL;
        if (text)
            text->bytes = 0; // of a try that was cut
        vkb_status status = hub_request_start(session, request);
        while (status == VKB_OK && !ended)
            status = hub_session_step(session, &ended);
        hub_request_end(request);
        if (status != VKB_OK || !hub_retry(session, request, failures, &seconds))
            return status;
        hub_log_wait(session, request, seconds);
        if ((status = hub_session_wait(session, seconds)) != VKB_OK)
            return status;
    }
}
