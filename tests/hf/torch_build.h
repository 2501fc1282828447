// Files of torch.save made byte by byte, right ones and wrong ones.
//
//     blob p = {0};
//     build_start(&p);                                         the state dict
//     build_text(&p, "a");
//     build_tensor(&p, "FloatStorage", "0", 6, 0, "\2\3", "\3\1");
//     build_stop(&p);
//     blob file = {0};
//     build_zip(&file, &p, "0", data, 24);
#ifndef VKB_TESTS_TORCH_BUILD_H
#define VKB_TESTS_TORCH_BUILD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct blob {
    uint8_t *at;
    size_t count, capacity;
} blob;

static inline void put(blob *b, const void *data, size_t count)
{
    if (b->count + count > b->capacity) {
        b->capacity = 2 * (b->count + count);
        b->at = realloc(b->at, b->capacity);
        if (!b->at)
            abort();
    }
    if (count)
        memcpy(b->at + b->count, data, count);
    b->count += count;
}

static inline void put_number(blob *b, uint64_t value, int count)
{
    for (int i = 0; i < count; i++)
        put(b, &(uint8_t){i < 8 ? (uint8_t)(value >> 8 * i) : 0}, 1);
}

#define PUT(b, literal) put(b, literal, sizeof(literal) - 1)

static inline void blob_free(blob *b)
{
    free(b->at);
    *b = (blob){0};
}

// ---- Pickles ----

static inline void build_text(blob *b, const char *text)
{
    PUT(b, "X");
    put_number(b, strlen(text), 4);
    put(b, text, strlen(text));
}

static inline void build_int(blob *b, int64_t value)
{
    PUT(b, "\x8a\x08");
    put_number(b, (uint64_t)value, 8);
}

static inline void build_global(blob *b, const char *module, const char *name)
{
    PUT(b, "c");
    put(b, module, strlen(module));
    PUT(b, "\n");
    put(b, name, strlen(name));
    PUT(b, "\n");
}

static inline void build_storage(blob *b, const char *type, const char *key, int64_t count)
{
    PUT(b, "(");
    build_text(b, "storage");
    build_global(b, "torch", type);
    build_text(b, key);
    build_text(b, "cpu");
    build_int(b, count);
    PUT(b, "tQ");
}

// Sizes and strides are strings of small numbers.
static inline void build_tensor(blob *b, const char *type, const char *key, int64_t count,
                                int64_t offset, const char *sizes, const char *strides)
{
    build_global(b, "torch._utils", "_rebuild_tensor_v2");
    PUT(b, "(");
    build_storage(b, type, key, count);
    build_int(b, offset);
    for (int i = 0; i < 2; i++) {
        PUT(b, "(");
        for (const char *at = i ? strides : sizes; *at; at++)
            build_int(b, *at);
        PUT(b, "t");
    }
    PUT(b, "\x89");
    build_global(b, "collections", "OrderedDict");
    PUT(b, ")RtR");
}

static inline void build_start(blob *b)
{
    PUT(b, "\x80\x02");
    build_global(b, "collections", "OrderedDict");
    PUT(b, ")R(");
}

static inline void build_stop(blob *b)
{
    PUT(b, "u.");
}

// ---- Zip: one entry after the other into `file`, their records into `directory` ----

typedef struct zip_parts {
    blob file, directory;
    uint64_t count;
} zip_parts;

static inline void zip_record(blob *b, uint64_t flags, uint64_t method, uint64_t packed,
                              uint64_t size, const char *name, const blob *extra, uint64_t header)
{
    PUT(b, "PK\1\2\0\0\0\0");
    put_number(b, flags, 2);
    put_number(b, method, 2);
    put_number(b, 0, 8); // time, date, crc
    put_number(b, packed, 4);
    put_number(b, size, 4);
    put_number(b, strlen(name), 2);
    put_number(b, extra ? extra->count : 0, 2);
    put_number(b, 0, 10); // comment, disk, attributes
    put_number(b, header, 4);
    put(b, name, strlen(name));
    if (extra)
        put(b, extra->at, extra->count);
}

// As torch does: no sizes in the local header, padding in front of the data, sizes again behind it.
static inline void zip_local(blob *b, const char *name, const void *data, size_t count)
{
    PUT(b, "PK\3\4\0\0\x08\x08\0\0");
    put_number(b, 0, 16); // time, date, crc, sizes
    put_number(b, strlen(name), 2);
    put_number(b, 7, 2);
    put(b, name, strlen(name));
    PUT(b, "FB\3\0ZZZ");
    put(b, data, count);
    PUT(b, "PK\7\x08\0\0\0\0");
    put_number(b, count, 4);
    put_number(b, count, 4);
}

static inline void zip_add(zip_parts *zip, const char *name, const void *data, size_t count)
{
    zip_record(&zip->directory, 0x0808, 0, count, count, name, NULL, zip->file.count);
    zip_local(&zip->file, name, data, count);
    zip->count++;
}

// The end of an archive whose directory starts at `at`.
static inline void zip_end(blob *b, uint64_t count, uint64_t size, uint64_t at)
{
    PUT(b, "PK\5\6\0\0\0\0");
    put_number(b, count, 2);
    put_number(b, count, 2);
    put_number(b, size, 4);
    put_number(b, at, 4);
    put_number(b, 0, 2);
}

// Appends directory and end; zip->file is the archive.
static inline void zip_finish(zip_parts *zip)
{
    const size_t at = zip->file.count;
    put(&zip->file, zip->directory.at, zip->directory.count);
    zip_end(&zip->file, zip->count, zip->directory.count, at);
    blob_free(&zip->directory);
}

// An archive of a pickle and, unless key is NULL, a storage; *file is emptied first.
static inline void build_zip(blob *file, const blob *pickle, const char *key, const void *data,
                             size_t count)
{
    zip_parts zip = {0};
    char name[64] = "x/data/";
    blob_free(file);
    zip_add(&zip, "x/data.pkl", pickle->at, pickle->count);
    zip_add(&zip, "x/byteorder", "little", 6);
    if (key)
        zip_add(&zip, strcat(name, key), data, count);
    zip_finish(&zip);
    *file = zip.file;
}

// ---- Legacy ----

// Everything in front of the state dict.
static inline void build_legacy_start(blob *b)
{
    PUT(b, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e");
    PUT(b, "\x80\x02M\xe9\x03.\x80\x02}");
    build_text(b, "little_endian");
    PUT(b, "\x88s.");
}

// A file of a pickle and, unless key is NULL, a storage; *file is emptied first.
static inline void build_legacy(blob *file, const blob *pickle, const char *key, uint64_t elements,
                                const void *data, size_t count)
{
    blob_free(file);
    build_legacy_start(file);
    put(file, pickle->at, pickle->count);
    PUT(file, "\x80\x02]");
    if (key) {
        build_text(file, key);
        PUT(file, "a");
    }
    PUT(file, ".");
    if (key) {
        put_number(file, elements, 8);
        put(file, data, count);
    }
}

#endif
