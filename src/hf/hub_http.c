#include "hf/hub_http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_SECONDS = 10, STEP_MILLISECONDS = 100, MOST_REDIRECTS = 10 };

// ---- Session ----

static CURLcode global_result;
static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static vkb_status make_token_header(hub_session *session)
{
    if (!session->settings->token)
        return VKB_OK;
    const size_t room = strlen(session->settings->token) + 32;
    char *line = malloc(room);
    if (line) {
        snprintf(line, room, "Authorization: Bearer %s", session->settings->token);
        session->token = curl_slist_append(NULL, line);
    }
    free(line);
    return session->token ? VKB_OK : vkb_fail_memory(session->ctx, room, "a header");
}

vkb_status hub_session_open(vkb_context *ctx, const hub_settings *settings,
                            bool (*stop)(void *user), void *user, hub_session *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    hub_session session = {.ctx = ctx, .settings = settings, .stop = stop, .user = user};
    session.multi = global_result == CURLE_OK ? curl_multi_init() : NULL;
    if (!session.multi)
        return vkb_fail(ctx, VKB_FAILED, "libcurl could not be started");
    vkb_status status = make_token_header(&session);
    if (status == VKB_OK)
        *out = session;
    else
        hub_session_close(&session);
    return status;
}

void hub_session_close(hub_session *session)
{
    curl_slist_free_all(session->token);
    curl_multi_cleanup(session->multi);
    *session = (hub_session){0};
}

static bool is_stopped(const hub_session *session)
{
    return session->stop && session->stop(session->user);
}

static vkb_status fail_stopped(const hub_session *session)
{
    return vkb_fail(session->ctx, VKB_INTERRUPTED,
                    "interrupted: what has come is kept, and the same command goes on from there");
}

// ---- Who gets the token ----

static char *url_part(const char *url, CURLUPart part)
{
    CURLU *parsed = curl_url();
    char *text = NULL;
    if (!parsed || curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
        text = NULL;
    curl_url_cleanup(parsed);
    return text;
}

static bool same_part(const char *a, const char *b, CURLUPart part)
{
    char *of_a = url_part(a, part), *of_b = url_part(b, part);
    const bool same = of_a && of_b && strcasecmp(of_a, of_b) == 0;
    curl_free(of_a);
    curl_free(of_b);
    return same;
}

static bool same_origin(const char *a, const char *b)
{
    return same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) &&
           same_part(a, b, CURLUPART_PORT);
}

// ---- One request ----

static size_t on_header(char *line, size_t size, size_t count, void *request_)
{
    hub_request *request = request_;
    hub_headers_add(&request->headers, line, size * count);
    return size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *request_)
{
    hub_request *request = request_;
    long code = 0;
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &code);
    request->code = code;
    if ((code != 200 && code != 206) || !request->take)
        return size * count; // what the hub says to people about a failure
    return request->take(request->user, data, size * count) ? size * count : 0;
}

static void set_options(hub_request *request)
{
    const hub_session *session = request->session;
    CURL *easy = request->easy;
    char agent[64], range[32];
    snprintf(agent, sizeof(agent), "vkbert/%s", vkb_version());
    snprintf(range, sizeof(range), "%" CURL_FORMAT_CURL_OFF_TU "-", (curl_off_t)request->offset);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, agent);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOBODY, request->head ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, session->settings->timeout);
    curl_easy_setopt(easy, CURLOPT_RANGE, request->offset ? range : NULL);
    if (session->settings->ca_bundle)
        curl_easy_setopt(easy, CURLOPT_CAINFO, session->settings->ca_bundle);
}

// Sends the request to its url.
static vkb_status send_request(hub_request *request)
{
    const hub_session *session = request->session;
    const bool trusted = same_origin(request->url, session->settings->endpoint);
    set_options(request);
    curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, trusted ? session->token : NULL);
    if (curl_multi_add_handle(session->multi, request->easy) != CURLM_OK)
        return vkb_fail(session->ctx, VKB_FAILED, "libcurl does not take a request for %s",
                        request->url);
    return VKB_OK;
}

vkb_status hub_request_start(hub_session *session, hub_request *request)
{
    hub_request_end(request);
    request->session = session;
    request->redirects = 0;
    request->code = 0;
    request->result = CURLE_OK;
    request->error[0] = 0;
    hub_headers_clear(&request->headers);
    request->easy = curl_easy_init();
    return request->easy ? send_request(request) : vkb_fail_memory(session->ctx, 0, request->url);
}

void hub_request_end(hub_request *request)
{
    if (!request->easy)
        return;
    curl_multi_remove_handle(request->session->multi, request->easy);
    curl_easy_cleanup(request->easy);
    request->easy = NULL;
}

static void refuse_redirect(hub_request *request, const char *why)
{
    request->result = CURLE_TOO_MANY_REDIRECTS;
    snprintf(request->error, sizeof(request->error), "%s", why);
}

// Where the answer sends the request; NULL: nowhere, it is the answer. A HEAD stays with the endpoint:
// its answer tells of the file, the other host's of its own copy.
static char *next_url(hub_request *request)
{
    const long code = request->code;
    char *url = NULL;
    if (request->result != CURLE_OK ||
        (code != 301 && code != 302 && code != 303 && code != 307 && code != 308))
        return NULL;
    curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &url);
    if (!url || (request->head && !same_origin(url, request->url)))
        return NULL;
    if (++request->redirects > MOST_REDIRECTS)
        refuse_redirect(request, "the hub sends the request in a circle");
    else if (strncasecmp(url, "https:", 6) != 0 &&
             (strncasecmp(url, "http:", 5) != 0 || strncasecmp(request->url, "https:", 6) == 0))
        refuse_redirect(request, "the hub sends the request to an address that is not https");
    else if (!(url = strdup(url)))
        request->result = CURLE_OUT_OF_MEMORY;
    return request->result == CURLE_OK ? url : NULL;
}

// ---- All of them ----

// The request that libcurl is done with, after its redirects; NULL: none is.
static vkb_status take_ended(hub_session *session, hub_request **ended)
{
    int left;
    const CURLMsg *message;
    while ((message = curl_multi_info_read(session->multi, &left))) {
        hub_request *request = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        const CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &request->code);
        request->result = result;
        session->answered = session->answered || request->code;
        char *url = next_url(request);
        curl_multi_remove_handle(session->multi, request->easy);
        if (!url) {
            *ended = request;
            return VKB_OK;
        }
        free(request->url);
        request->url = url;
        vkb_status status = send_request(request);
        if (status != VKB_OK)
            return status;
    }
    return VKB_OK;
}

vkb_status hub_session_step(hub_session *session, hub_request **ended)
{
    int running = 0;
    *ended = NULL;
    if (is_stopped(session))
        return fail_stopped(session);
    if (curl_multi_perform(session->multi, &running) != CURLM_OK)
        return vkb_fail(session->ctx, VKB_FAILED, "libcurl cannot go on");
    vkb_status status = take_ended(session, ended);
    if (status == VKB_OK && !*ended)
        curl_multi_poll(session->multi, NULL, 0, STEP_MILLISECONDS, NULL);
    return status;
}

vkb_status hub_session_wait(hub_session *session, double seconds)
{
    for (; seconds > 0; seconds -= STEP_MILLISECONDS / 1e3) {
        if (is_stopped(session))
            return fail_stopped(session);
        curl_multi_poll(
            session->multi, NULL, 0,
            seconds < STEP_MILLISECONDS / 1e3 ? (int)(seconds * 1e3) : STEP_MILLISECONDS, NULL);
    }
    return VKB_OK;
}
