// What may go wrong with a request: what is tried again, and what a person is told.
#ifndef VKB_HF_HUB_ERRORS_H
#define VKB_HF_HUB_ERRORS_H

#include "hf/hub_http.h"
#include "hf/hub_name.h"

// Whether the request, which failed for the n-th time in a row, is worth another try in *seconds.
bool hub_retry(const hub_session *session, const hub_request *request, unsigned failures,
               double *seconds);

// Whether the answer has what was asked for.
bool hub_succeeded(const hub_request *request);

// Whether it is the network or the hub as a whole that fails, so that a copy in the cache is as
// good as it gets.
bool hub_unreachable(const hub_request *request);

// Fails with the sentence for a request about `what`, a file of the model, or the model itself
// (NULL).
vkb_status hub_fail(const hub_session *session, const hub_request *request, const hub_name *name,
                    const char *what);

// Fails because the answer is a web page: a captive portal's, a proxy's, or no hub's.
vkb_status hub_fail_page(const hub_session *session, const hub_request *request,
                         const hub_name *name);

// A line of the log about a retry; one that a person would wonder about shows without --verbose.
void hub_log_wait(const hub_session *session, const hub_request *request, double seconds);

// The body of a small answer, with a NUL behind its bytes; freed with free(at).
typedef struct hub_text {
    char *at;
    size_t bytes;
} hub_text;

// Runs one request, with its retries; VKB_OK: there is a last answer, or failure, to look at. text
// may be NULL.
vkb_status hub_fetch(hub_session *session, hub_request *request, hub_text *text);

#endif
