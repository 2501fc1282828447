// The headers of an answer that matter.
#include "hf/hub_http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

void hub_headers_clear(hub_headers *headers)
{
    memset(headers, 0, sizeof(*headers));
    headers->length = headers->linked_size = HUB_UNKNOWN;
    headers->range_start = headers->range_size = HUB_UNKNOWN;
    headers->retry_after = -1;
}

static void take_text(char *out, size_t room, const char *text)
{
    size_t bytes = strlen(text);
    if (bytes >= room)
        bytes = room - 1;
    memcpy(out, text, bytes);
    out[bytes] = 0;
}

static void take_etag(char out[160], const char *text)
{
    if (strncmp(text, "W/", 2) == 0)
        text += 2;
    text += *text == '"';
    take_text(out, 160, text);
    size_t bytes = strlen(out);
    if (bytes && out[bytes - 1] == '"')
        out[bytes - 1] = 0;
}

static uint64_t read_number(const char *text, const char **end)
{
    uint64_t value = 0;
    *end = text;
    for (; **end >= '0' && **end <= '9'; ++*end) {
        const uint64_t digit = (uint64_t)(**end - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return HUB_UNKNOWN;
        value = value * 10 + digit;
    }
    return *end == text ? HUB_UNKNOWN : value;
}

static void take_number(uint64_t *out, const char *text)
{
    const char *end;
    const uint64_t value = read_number(text, &end);
    *out = *end ? HUB_UNKNOWN : value;
}

// "bytes 10-99/100", "bytes */100"
static void take_range(hub_headers *headers, const char *text)
{
    const char *end;
    if (strncasecmp(text, "bytes ", 6) != 0)
        return;
    headers->range_start = read_number(text + 6, &end);
    const char *slash = strchr(end, '/');
    headers->range_size = slash ? read_number(slash + 1, &end) : HUB_UNKNOWN;
}

// Seconds, or a date.
static void take_retry_after(hub_headers *headers, const char *text)
{
    const char *end;
    const uint64_t seconds = read_number(text, &end);
    if (seconds != HUB_UNKNOWN && !*end) {
        headers->retry_after = (double)seconds;
        return;
    }
    const time_t date = curl_getdate(text, NULL), now = time(NULL);
    if (date != (time_t)-1)
        headers->retry_after = date > now ? difftime(date, now) : 0;
}

// A new answer begins: what the one before said of its own body is past.
static void start_answer(hub_headers *headers)
{
    const hub_headers before = *headers;
    hub_headers_clear(headers);
    memcpy(headers->linked_etag, before.linked_etag, sizeof(headers->linked_etag));
    memcpy(headers->commit, before.commit, sizeof(headers->commit));
    headers->linked_size = before.linked_size;
}

static void take_header(hub_headers *headers, const char *name, const char *value)
{
    if (strcasecmp(name, "etag") == 0)
        take_etag(headers->etag, value);
    else if (strcasecmp(name, "x-linked-etag") == 0)
        take_etag(headers->linked_etag, value);
    else if (strcasecmp(name, "x-repo-commit") == 0)
        take_text(headers->commit, sizeof(headers->commit), value);
    else if (strcasecmp(name, "x-error-code") == 0)
        take_text(headers->error_code, sizeof(headers->error_code), value);
    else if (strcasecmp(name, "content-type") == 0)
        take_text(headers->content_type, sizeof(headers->content_type), value);
    else if (strcasecmp(name, "content-length") == 0)
        take_number(&headers->length, value);
    else if (strcasecmp(name, "x-linked-size") == 0)
        take_number(&headers->linked_size, value);
    else if (strcasecmp(name, "content-range") == 0)
        take_range(headers, value);
    else if (strcasecmp(name, "retry-after") == 0)
        take_retry_after(headers, value);
}

void hub_headers_add(hub_headers *headers, const char *line, size_t bytes)
{
    char text[1024];
    if (bytes >= sizeof(text))
        return; // none of those above
    memcpy(text, line, bytes);
    text[bytes] = 0;
    if (strncmp(text, "HTTP/", 5) == 0) {
        start_answer(headers);
        return;
    }
    char *value = strchr(text, ':'), *end = text + strlen(text);
    if (!value)
        return;
    *value++ = 0;
    value += strspn(value, " \t");
    while (end > value && strchr(" \t\r\n", end[-1]))
        *--end = 0;
    take_header(headers, text, value);
}
