// Context and status: how every function of the library fails and speaks.
#ifndef VKB_BASE_CONTEXT_H
#define VKB_BASE_CONTEXT_H

#include "vkbert.h"

#if defined(__GNUC__)
#define BASE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define BASE_PRINTF(text, first)
#endif

// Records the sentence of a failure and returns status, so that a failing function ends in one
// line:
//     return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s is [%u,%u], expected [%u,%u]", path, name,
//     r, c, R, C);
vkb_status vkb_fail(vkb_context *ctx, vkb_status status, const char *format, ...) BASE_PRINTF(3, 4);

// vkb_fail for malloc returning NULL: says how much was asked for, and for what.
vkb_status vkb_fail_memory(vkb_context *ctx, size_t bytes, const char *what);

void vkb_log(vkb_context *ctx, vkb_log_level level, const char *format, ...) BASE_PRINTF(3, 4);
// The same, but what has this format (its address) is said once in the life of the context.
void vkb_log_once(vkb_context *ctx, vkb_log_level level, const char *format, ...)
    BASE_PRINTF(3, 4);

// Leaves the calling function's work to its cleanup label when expr fails. The function has
// `vkb_status status` and `cleanup:`.
#define BASE_TRY(expr)                                                                             \
    do {                                                                                           \
        if ((status = (expr)) != VKB_OK)                                                           \
            goto cleanup;                                                                          \
    } while (0)

#define BASE_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
