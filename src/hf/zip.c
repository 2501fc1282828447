// The zip reader (PKWARE's APPNOTE 6.3, with zip64). Local headers are used for their lengths alone:
// torch writes the sizes behind the data, so they are zero there.
#include "hf/zip.h"

#include "hf/json.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_BYTES = 30,   // "PK\3\4"
    CENTRAL_BYTES = 46, // "PK\1\2"
    END_BYTES = 22,     // "PK\5\6"
    END64_BYTES = 56,   // "PK\6\6"
    LOCATOR_BYTES = 20, // "PK\6\7"
    ZIP64_FIELD = 1,
    ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13,
};

typedef struct reader {
    vkb_context *ctx;
    const char *path;
    const uint8_t *file;
    size_t bytes;
    uint64_t count, at, size; // of the central directory
    uint64_t end;             // where the records of the end start
} reader;

static uint64_t number(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | at[bytes];
    return value;
}

static bool is_record(const reader *r, uint64_t at, uint64_t bytes, const char *signature)
{
    return at <= r->bytes && bytes <= r->bytes - at && memcmp(r->file + at, signature, 4) == 0;
}

static vkb_status broken(const reader *r, const char *what)
{
    return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: is a broken zip archive: %s", r->path, what);
}

// ---- The end of the archive, which says where the central directory is ----

// The record at the very end, or before a comment that fills the rest.
static bool find_end(reader *r)
{
    for (size_t comment = 0; comment <= UINT16_MAX && comment + END_BYTES <= r->bytes; comment++) {
        uint64_t at = r->bytes - comment - END_BYTES;
        if (is_record(r, at, END_BYTES, "PK\5\6") && number(r->file + at + 20, 2) == comment) {
            r->end = at;
            return true;
        }
    }
    return false;
}

// The zip64 record, for what does not fit the old one.
static vkb_status read_end64(reader *r, const uint8_t *old)
{
    const uint64_t locator = r->end - LOCATOR_BYTES;
    const bool is64 = r->end >= LOCATOR_BYTES && is_record(r, locator, LOCATOR_BYTES, "PK\6\7");
    const bool wanted = r->count == UINT16_MAX || r->size == UINT32_MAX || r->at == UINT32_MAX;
    if (!is64)
        return wanted ? broken(r, "its zip64 record is missing") : VKB_OK;
    const uint64_t at = number(r->file + locator + 8, 8);
    if (!is_record(r, at, END64_BYTES, "PK\6\6") || at + END64_BYTES > locator)
        return broken(r, "its zip64 record is missing");
    const uint8_t *record = r->file + at;
    if (number(record + 16, 4) || number(record + 20, 4))
        return broken(r, "it is one of several parts");
    if (number(old + 10, 2) == UINT16_MAX)
        r->count = number(record + 32, 8);
    if (number(old + 12, 4) == UINT32_MAX)
        r->size = number(record + 40, 8);
    if (number(old + 16, 4) == UINT32_MAX)
        r->at = number(record + 48, 8);
    r->end = at;
    return VKB_OK;
}

static vkb_status read_end(reader *r)
{
    if (!find_end(r))
        return vkb_fail(r->ctx, VKB_BAD_FILE,
                        "%s: is truncated: the directory at the end of a zip archive is missing",
                        r->path);
    const uint8_t *old = r->file + r->end;
    r->count = number(old + 10, 2);
    r->size = number(old + 12, 4);
    r->at = number(old + 16, 4);
    if (number(old + 4, 2) || number(old + 6, 2))
        return broken(r, "it is one of several parts");
    vkb_status status = read_end64(r, old);
    if (status != VKB_OK)
        return status;
    if (r->at > r->end || r->size != r->end - r->at)
        return broken(r, "its directory is not where its end says");
    if (r->count > r->size / CENTRAL_BYTES)
        return broken(r, "its directory has room for fewer entries than it counts");
    return VKB_OK;
}

// ---- Entries ----

static vkb_status broken_entry(const reader *r, const hf_zip_entry *entry, const char *what)
{
    return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: entry %s %s", r->path,
                    hf_shown(entry->name, entry->name_bytes).text, what);
}

// Replaces values of all ones by those of the zip64 field among the extra ones, in its order.
static bool read_extra64(const uint8_t *at, size_t bytes, uint64_t *size, uint64_t *packed,
                         uint64_t *header)
{
    uint64_t *values[] = {size, packed, header};
    while (bytes >= 4) {
        const uint64_t id = number(at, 2);
        uint64_t length = number(at + 2, 2), used = 0;
        if (length > bytes - 4)
            return false;
        for (int i = 0; i < 3 && id == ZIP64_FIELD; i++)
            if (*values[i] == UINT32_MAX) {
                if (length - used < 8)
                    return false;
                *values[i] = number(at + 4 + used, 8);
                used += 8;
            }
        at += 4 + length;
        bytes -= (size_t)(4 + length);
    }
    return true;
}

// Whether a program that unpacks the archive would write elsewhere.
static bool leaves_folder(const char *name, size_t bytes)
{
    if (bytes == 0 || name[0] == '/' || memchr(name, '\\', bytes) || memchr(name, 0, bytes))
        return true;
    for (size_t i = 0; i + 2 <= bytes; i++)
        if (memcmp(name + i, "..", 2) == 0 && (i == 0 || name[i - 1] == '/') &&
            (i + 2 == bytes || name[i + 2] == '/'))
            return true;
    return false;
}

// Finds the entry's data behind its local header.
static vkb_status place_entry(const reader *r, uint64_t header, hf_zip_entry *entry)
{
    if (!is_record(r, header, LOCAL_BYTES, "PK\3\4") || header > r->at)
        return broken_entry(r, entry, "has no header where the zip archive's directory says");
    const uint8_t *local = r->file + header;
    const uint64_t name_bytes = number(local + 26, 2),
                   before = LOCAL_BYTES + name_bytes + number(local + 28, 2);
    if (before > r->at - header || entry->bytes > r->at - header - before)
        return broken_entry(r, entry, "does not lie inside the zip archive");
    if (name_bytes != entry->name_bytes ||
        memcmp(local + LOCAL_BYTES, entry->name, entry->name_bytes) != 0)
        return broken_entry(r, entry, "has another name in its own header");
    entry->header = local;
    entry->data = local + before;
    return VKB_OK;
}

// The record at *at of the central directory; *at becomes the next one's.
static vkb_status read_entry(const reader *r, uint64_t *at, hf_zip_entry *entry)
{
    const uint64_t left = r->at + r->size - *at;
    const uint8_t *record = r->file + *at;
    if (left < CENTRAL_BYTES || memcmp(record, "PK\1\2", 4) != 0)
        return broken(r, "its directory ends early");
    const uint64_t flags = number(record + 8, 2), method = number(record + 10, 2);
    const size_t name = (size_t)number(record + 28, 2), extra = (size_t)number(record + 30, 2);
    const uint64_t length = CENTRAL_BYTES + name + extra + number(record + 32, 2);
    uint64_t packed = number(record + 20, 4), size = number(record + 24, 4),
             header = number(record + 42, 4);
    if (length > left)
        return broken(r, "its directory ends early");
    *at += length;
    *entry = (hf_zip_entry){.name = (const char *)record + CENTRAL_BYTES, .name_bytes = name};
    if (!read_extra64(record + CENTRAL_BYTES + name, extra, &size, &packed, &header))
        return broken_entry(r, entry, "has a broken zip64 field");
    if (leaves_folder(entry->name, name))
        return broken_entry(r, entry, "has a name that leaves the zip archive's folder");
    if (flags & ENCRYPTED)
        return broken_entry(r, entry, "is encrypted, which torch.save never does");
    if (method != 0 || packed != size)
        return broken_entry(r, entry,
                            "is compressed, which torch.save never does: save the weights again");
    if (size > r->bytes)
        return broken_entry(r, entry, "does not lie inside the zip archive");
    entry->bytes = (size_t)size;
    return place_entry(r, header, entry);
}

static int compare_places(const void *a_, const void *b_)
{
    const hf_zip_entry *a = a_, *b = b_;
    return a->header < b->header ? -1 : a->header > b->header;
}

static int compare_names(const void *a_, const void *b_)
{
    const hf_zip_entry *a = a_, *b = b_;
    size_t bytes = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    int order = memcmp(a->name, b->name, bytes);
    return order ? order : a->name_bytes < b->name_bytes ? -1 : a->name_bytes > b->name_bytes;
}

static vkb_status read_entries(const reader *r, hf_zip *zip)
{
    uint64_t at = r->at;
    vkb_status status;
    for (; zip->count < r->count; zip->count++)
        if ((status = read_entry(r, &at, &zip->entries[zip->count])) != VKB_OK)
            return status;
    if (at != r->at + r->size)
        return broken(r, "its directory has more than it counts");
    qsort(zip->entries, zip->count, sizeof(*zip->entries), compare_places);
    for (size_t i = 1; i < zip->count; i++)
        if (zip->entries[i].header < zip->entries[i - 1].data + zip->entries[i - 1].bytes)
            return broken_entry(r, &zip->entries[i], "lies inside another entry");
    qsort(zip->entries, zip->count, sizeof(*zip->entries), compare_names);
    for (size_t i = 1; i < zip->count; i++)
        if (compare_names(&zip->entries[i - 1], &zip->entries[i]) == 0)
            return broken_entry(r, &zip->entries[i], "is there twice");
    return VKB_OK;
}

vkb_status hf_zip_open(vkb_context *ctx, const char *path, const file_map *map, hf_zip *out)
{
    reader r = {.ctx = ctx, .path = path, .file = map->data, .bytes = map->bytes};
    vkb_status status = read_end(&r);
    if (status != VKB_OK)
        return status;
    hf_zip zip = {.entries = calloc((size_t)r.count + 1, sizeof(*zip.entries))};
    if (!zip.entries)
        return vkb_fail_memory(ctx, (size_t)r.count * sizeof(*zip.entries), path);
    status = read_entries(&r, &zip);
    if (status == VKB_OK)
        *out = zip;
    else
        hf_zip_close(&zip);
    return status;
}

void hf_zip_close(hf_zip *zip)
{
    free(zip->entries);
    *zip = (hf_zip){0};
}

const hf_zip_entry *hf_zip_find(const hf_zip *zip, const char *name, size_t name_bytes)
{
    const hf_zip_entry key = {.name = name, .name_bytes = name_bytes};
    return bsearch(&key, zip->entries, zip->count, sizeof(key), compare_names);
}
