#include "hf/hub_part.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SHA1_DIGITS = 40, SHA256_DIGITS = 64, READ_BYTES = 1 << 16 };

static vkb_status fail_write(const hub_part *part)
{
    return vkb_fail(part->ctx, VKB_IO, "%s: cannot be written: %s", part->path, strerror(errno));
}

static bool is_hash(const char *etag, size_t digits)
{
    return strlen(etag) == digits && strspn(etag, "0123456789abcdefABCDEF") == digits;
}

static vkb_status start_hash(hub_part *part)
{
    const bool git = is_hash(part->etag, SHA1_DIGITS);
    char head[32]; // that git puts before a blob, its NUL included
    if (!git && !is_hash(part->etag, SHA256_DIGITS))
        return VKB_OK;
    if (!part->hash)
        part->hash = EVP_MD_CTX_new();
    const int bytes = snprintf(head, sizeof(head), "blob %" PRIu64, part->size) + 1;
    if (!part->hash || !EVP_DigestInit_ex(part->hash, git ? EVP_sha1() : EVP_sha256(), NULL) ||
        (git && !EVP_DigestUpdate(part->hash, head, (size_t)bytes)))
        return vkb_fail(part->ctx, VKB_FAILED, "%s: OpenSSL cannot compute its %s", part->path,
                        git ? "SHA-1" : "SHA-256");
    return VKB_OK;
}

vkb_status hub_part_restart(hub_part *part)
{
    part->bytes = part->resumed = 0;
    if (ftruncate(part->file, 0) != 0 || lseek(part->file, 0, SEEK_SET) != 0)
        return fail_write(part);
    return start_hash(part);
}

// Hashes what is there; more than the file can have is no beginning of it.
static vkb_status read_beginning(hub_part *part)
{
    uint8_t *buffer = malloc(READ_BYTES);
    ssize_t got;
    if (!buffer)
        return vkb_fail_memory(part->ctx, READ_BYTES, part->path);
    while ((got = read(part->file, buffer, READ_BYTES)) > 0 || (got < 0 && errno == EINTR)) {
        if (got < 0)
            continue;
        part->bytes += (uint64_t)got;
        if (part->bytes > part->size)
            break;
        if (part->hash)
            EVP_DigestUpdate(part->hash, buffer, (size_t)got);
    }
    free(buffer);
    part->resumed = part->bytes;
    return got != 0 ? hub_part_restart(part) : VKB_OK;
}

vkb_status hub_part_open(const hub_cache *cache, const char *etag, uint64_t size, hub_part *out)
{
    hub_part part = {.ctx = cache->ctx,
                     .path = hub_cache_blob(cache, etag, true),
                     .blob = hub_cache_blob(cache, etag, false),
                     .etag = etag,
                     .size = size,
                     .file = -1};
    vkb_status status;
    if (!part.path || !part.blob) {
        status = vkb_fail_memory(cache->ctx, strlen(etag), "a path");
        goto cleanup;
    }
    part.file = open(part.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (part.file < 0) {
        status = fail_write(&part);
        goto cleanup;
    }
    BASE_TRY(start_hash(&part));
    BASE_TRY(read_beginning(&part));
    *out = part;
    return VKB_OK;
cleanup:
    hub_part_close(&part);
    return status;
}

vkb_status hub_part_write(hub_part *part, const void *data, size_t bytes)
{
    if (bytes > part->size - part->bytes)
        return vkb_fail(part->ctx, VKB_BAD_FILE,
                        "%s: more than the %" PRIu64 " bytes that were announced came", part->path,
                        part->size);
    for (const uint8_t *at = data; bytes;) {
        ssize_t put = write(part->file, at, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_write(part);
        if (part->hash)
            EVP_DigestUpdate(part->hash, at, (size_t)put);
        part->bytes += (uint64_t)put;
        at += put;
        bytes -= (size_t)put;
    }
    return VKB_OK;
}

static bool has_its_hash(hub_part *part)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char digits[2 * EVP_MAX_MD_SIZE + 1] = "";
    unsigned bytes = 0;
    if (!part->hash)
        return true;
    if (!EVP_DigestFinal_ex(part->hash, digest, &bytes))
        return false;
    for (unsigned i = 0; i < bytes; i++)
        snprintf(digits + 2 * i, 3, "%02x", digest[i]);
    return strcasecmp(digits, part->etag) == 0;
}

vkb_status hub_part_finish(hub_part *part)
{
    if (!has_its_hash(part)) {
        hub_part_remove(part);
        return vkb_fail(part->ctx, VKB_BAD_FILE,
                        "%s: what came has not the hash of the hub's file and was removed",
                        part->path);
    }
    if (fsync(part->file) != 0 || rename(part->path, part->blob) != 0)
        return fail_write(part);
    hub_part_close(part);
    return VKB_OK;
}

void hub_part_remove(hub_part *part)
{
    if (part->path)
        unlink(part->path);
}

void hub_part_close(hub_part *part)
{
    if (part->file >= 0)
        close(part->file);
    EVP_MD_CTX_free(part->hash);
    free(part->path);
    free(part->blob);
    *part = (hub_part){.file = -1};
}
