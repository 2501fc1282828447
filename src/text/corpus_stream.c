#include "text/corpus_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { IN_BYTES = 1 << 18 };

typedef enum packing { PLAIN, GZIP, ZSTD } packing;

struct corpus_stream {
    vkb_context *ctx;
    const char *name;
    int fd;
    packing packing;
    uint64_t consumed;
    bool ended;     // nothing more in the file
    bool in_member; // between the beginning and the end of a gzip member or a zstd frame
    z_stream gzip;
    bool gzip_open;
    ZSTD_DStream *zstd;
    size_t in_at, in_used;
    uint8_t in[IN_BYTES];
};

// Reads more of the file behind what is there.
static vkb_status refill(corpus_stream *s)
{
    memmove(s->in, s->in + s->in_at, s->in_used - s->in_at);
    s->in_used -= s->in_at;
    s->in_at = 0;
    while (!s->ended) {
        ssize_t got = read(s->fd, s->in + s->in_used, IN_BYTES - s->in_used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vkb_fail(s->ctx, VKB_BAD_FILE, "%s: cannot be read: %s", s->name,
                            strerror(errno));
        s->ended = got == 0;
        s->in_used += (size_t)got;
        s->consumed += (uint64_t)got;
        break;
    }
    return VKB_OK;
}

// The first four bytes tell; they come in pieces through a pipe.
static vkb_status find_packing(corpus_stream *s)
{
    vkb_status status = VKB_OK;
    while (s->in_used < 4 && !s->ended && status == VKB_OK)
        status = refill(s);
    if (status != VKB_OK || s->in_used < 2)
        return status;
    if (s->in[0] == 0x1F && s->in[1] == 0x8B) {
        s->packing = GZIP;
        s->gzip_open = inflateInit2(&s->gzip, 15 + 16) == Z_OK; // the largest window, gzip's frame
    } else if (s->in_used >= 4 && memcmp(s->in, "\x28\xB5\x2F\xFD", 4) == 0) {
        s->packing = ZSTD;
        s->zstd = ZSTD_createDStream();
    }
    if ((s->packing == GZIP && !s->gzip_open) || (s->packing == ZSTD && !s->zstd))
        return vkb_fail_memory(s->ctx, 1 << 16, s->name);
    return VKB_OK;
}

vkb_status corpus_stream_open(vkb_context *ctx, const char *path, corpus_stream **out)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    vkb_status status = VKB_OK;
    corpus_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return vkb_fail_memory(ctx, sizeof(*s), path);
    s->ctx = ctx;
    s->name = is_stdin ? "standard input" : path;
    s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0)
        status = vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    else
        status = find_packing(s);
    if (status == VKB_OK)
        *out = s;
    else
        corpus_stream_close(&s);
    return status;
}

void corpus_stream_close(corpus_stream **stream)
{
    corpus_stream *s = stream ? *stream : NULL;
    if (!s)
        return;
    *stream = NULL;
    if (s->fd > STDIN_FILENO)
        close(s->fd);
    if (s->gzip_open)
        inflateEnd(&s->gzip);
    ZSTD_freeDStream(s->zstd);
    free(s);
}

uint64_t corpus_stream_consumed(const corpus_stream *s)
{
    return s->consumed - (s->in_used - s->in_at);
}

static vkb_status damaged(const corpus_stream *s, const char *why)
{
    return vkb_fail(s->ctx, VKB_BAD_FILE, "%s: the %s archive is damaged: %s", s->name,
                    s->packing == GZIP ? "gzip" : "zstd", why);
}

static vkb_status gunzip(corpus_stream *s, char *out, size_t bytes, size_t *got)
{
    s->gzip.next_in = s->in + s->in_at;
    s->gzip.avail_in = (uInt)(s->in_used - s->in_at);
    s->gzip.next_out = (Bytef *)out;
    s->gzip.avail_out = (uInt)bytes;
    s->in_member = true;
    const int result = inflate(&s->gzip, Z_NO_FLUSH);
    s->in_at = s->in_used - s->gzip.avail_in;
    *got = bytes - s->gzip.avail_out;
    if (result == Z_STREAM_END) {
        s->in_member = false;
        inflateReset(&s->gzip);
        return VKB_OK;
    }
    if (result == Z_MEM_ERROR)
        return vkb_fail_memory(s->ctx, 1 << 16, s->name);
    if (result != Z_OK && result != Z_BUF_ERROR)
        return damaged(s, s->gzip.msg ? s->gzip.msg : "no gzip member");
    return VKB_OK;
}

static vkb_status unzstd(corpus_stream *s, char *out, size_t bytes, size_t *got)
{
    ZSTD_inBuffer in = {s->in, s->in_used, s->in_at};
    ZSTD_outBuffer to = {out, bytes, 0};
    const size_t left = ZSTD_decompressStream(s->zstd, &to, &in);
    if (ZSTD_isError(left))
        return damaged(s, ZSTD_getErrorName(left));
    s->in_at = in.pos;
    s->in_member = left != 0;
    *got = to.pos;
    return VKB_OK;
}

vkb_status corpus_stream_read(corpus_stream *s, char *out, size_t bytes, size_t *got)
{
    vkb_status status = VKB_OK;
    if (bytes > 1 << 30)
        bytes = 1 << 30; // zlib counts in 32 bits
    for (*got = 0; *got == 0 && status == VKB_OK;) {
        if (s->in_at == s->in_used && !s->ended)
            status = refill(s);
        const size_t there = s->in_used - s->in_at, before = s->in_at;
        if (status != VKB_OK || (there == 0 && !s->in_member))
            break;
        if (s->packing == PLAIN) {
            *got = there < bytes ? there : bytes;
            memcpy(out, s->in + s->in_at, *got);
            s->in_at += *got;
            break;
        }
        status = s->packing == GZIP ? gunzip(s, out, bytes, got) : unzstd(s, out, bytes, got);
        if (status == VKB_OK && *got == 0 && s->in_at == before && s->ended && s->in_member)
            status = damaged(s, "it ends too soon");
    }
    return status;
}
