// HTTP with the hub, over libcurl: requests that run side by side, redirects, and who gets the
// token.
//
// Redirects are followed here, not in libcurl, so that the rule is one line to read: the token goes
// to the endpoint's own scheme, host and port, and nowhere else.
#ifndef VKB_HF_HUB_HTTP_H
#define VKB_HF_HUB_HTTP_H

#include "hf/hub_settings.h"

#include <curl/curl.h>

#define HUB_UNKNOWN UINT64_MAX // a length that no header tells

// What the headers of an answer say; texts that do not fit are cut. Those that begin with "linked"
// and the commit stay from a redirect to the answer behind it, as the hub gives them on either.
typedef struct hub_headers {
    char etag[160], linked_etag[160]; // without W/ and quotes
    char commit[64], error_code[64], content_type[64];
    uint64_t length, linked_size;
    uint64_t range_start, range_size; // of Content-Range
    double retry_after;               // seconds; -1: not told
} hub_headers;

void hub_headers_clear(hub_headers *headers);
// Takes in one line, its line end included or not.
void hub_headers_add(hub_headers *headers, const char *line, size_t bytes);

typedef struct hub_session {
    vkb_context *ctx;
    const hub_settings *settings;
    bool (*stop)(void *user); // may be NULL
    void *user;
    CURLM *multi;
    struct curl_slist *token; // the header line with it; NULL: there is none
    bool answered;            // the hub did, at least once
} hub_session;

typedef struct hub_request {
    // The caller's.
    char *url; // owned; the answer's, behind redirects
    bool head;
    uint64_t offset; // the body from this byte on
    // Takes a piece of the body of an answer with code 200 or 206; false ends the request.
    bool (*take)(void *user, const void *data, size_t bytes);
    void *user;
    // What came of it.
    CURLcode result;
    char error[CURL_ERROR_SIZE];
    long code; // of the last answer; 0: none
    hub_headers headers;
    // hub_http.c's.
    hub_session *session;
    CURL *easy;
    unsigned redirects;
} hub_request;

vkb_status hub_session_open(vkb_context *ctx, const hub_settings *settings,
                            bool (*stop)(void *user), void *user, hub_session *out);
void hub_session_close(hub_session *session); // its requests have been ended

vkb_status hub_request_start(hub_session *session, hub_request *request);
void hub_request_end(hub_request *request); // also in the middle; not started is fine

// Works on all requests for a tenth of a second at most. *ended is one that is done, or NULL.
// VKB_INTERRUPTED: stop said so.
vkb_status hub_session_step(hub_session *session, hub_request **ended);
vkb_status hub_session_wait(hub_session *session, double seconds);

#endif
