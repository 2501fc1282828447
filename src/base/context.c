// Status, the sentence of a failure, the log, the clock.
#include "base/context.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct vkb_context {
    vkb_log_fn log;
    void *user;
    clock_fn clock; // NULL: the machine's
    void *clock_user;
    pthread_mutex_t lock; // of what follows
    char error[2048];
    const char *said[8]; // formats of vkb_log_once; what is more than these is said each time
};

// A thread's own copy: another thread may fail while it is read.
static _Thread_local char seen[sizeof(((vkb_context *)0)->error)];

vkb_context *vkb_context_create(vkb_log_fn log, void *user)
{
    vkb_context *ctx = calloc(1, sizeof(*ctx));
    if (ctx) {
        ctx->log = log;
        ctx->user = user;
        pthread_mutex_init(&ctx->lock, NULL);
    }
    return ctx;
}

void vkb_context_destroy(vkb_context **ctx)
{
    if (ctx && *ctx) {
        pthread_mutex_destroy(&(*ctx)->lock);
        free(*ctx);
        *ctx = NULL;
    }
}

const char *vkb_error(const vkb_context *ctx)
{
    pthread_mutex_t *lock = &((vkb_context *)ctx)->lock;
    pthread_mutex_lock(lock);
    snprintf(seen, sizeof(seen), "%s", ctx->error[0] ? ctx->error : "no error");
    pthread_mutex_unlock(lock);
    return seen;
}

vkb_status vkb_fail(vkb_context *ctx, vkb_status status, const char *format, ...)
{
    // The arguments may be vkb_error's: a caller that adds where the failure happened.
    char sentence[sizeof(ctx->error)];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    pthread_mutex_lock(&ctx->lock);
    snprintf(ctx->error, sizeof(ctx->error), "%s", sentence);
    pthread_mutex_unlock(&ctx->lock);
    return status;
}

vkb_status vkb_fail_memory(vkb_context *ctx, size_t bytes, const char *what)
{
    return vkb_fail(ctx, VKB_OUT_OF_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}

static void log_sentence(vkb_context *ctx, vkb_log_level level, const char *format, va_list args)
{
    if (!ctx->log)
        return;
    char sentence[2048];
    vsnprintf(sentence, sizeof(sentence), format, args);
    ctx->log(ctx->user, level, sentence);
}

void vkb_log(vkb_context *ctx, vkb_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_sentence(ctx, level, format, args);
    va_end(args);
}

void vkb_log_once(vkb_context *ctx, vkb_log_level level, const char *format, ...)
{
    size_t i = 0;
    pthread_mutex_lock(&ctx->lock);
    while (i < BASE_COUNT(ctx->said) && ctx->said[i] && ctx->said[i] != format)
        i++;
    const bool said = i < BASE_COUNT(ctx->said) && ctx->said[i];
    if (i < BASE_COUNT(ctx->said))
        ctx->said[i] = format;
    pthread_mutex_unlock(&ctx->lock);
    if (said)
        return;
    va_list args;
    va_start(args, format);
    log_sentence(ctx, level, format, args);
    va_end(args);
}

double clock_seconds(const vkb_context *ctx)
{
    if (ctx->clock)
        return ctx->clock(ctx->clock_user);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void clock_replace(vkb_context *ctx, clock_fn tell, void *user)
{
    ctx->clock = tell;
    ctx->clock_user = user;
}

const char *vkb_status_text(vkb_status status)
{
    switch (status) {
#define X(name, exit_code, text)                                                                   \
    case name:                                                                                     \
        return text;
        VKB_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

int vkb_exit_code(vkb_status status)
{
    switch (status) {
#define X(name, exit_code, text)                                                                   \
    case name:                                                                                     \
        return exit_code;
        VKB_STATUS_LIST(X)
#undef X
    }
    return 1;
}
