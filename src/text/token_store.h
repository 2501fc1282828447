// The ids of a corpus in one file, mapped: what a data set cuts its rows from.
//
//   magic | ids, text behind text, without special tokens | starts | documents | counts | sums | end
//
//   ids        u16 or u32, as the vocabulary needs
//   starts     u64[texts + 1]      the first id of each text
//   documents  u64[documents + 1]  the first text of each document
//   counts     u64[vocab_size]     how often each id occurs
//   key        what the ids were made from, to the byte
//   sums       u32: CRC-32 of each MiB of all that stands before
//   end        struct token_store_end, with a CRC-32 of sums and itself
//
// Opening checks the end and the sums. A MiB is checked when it is first read, so that a corpus of
// any size opens at once. Numbers are of this machine's byte order, which the end tells.
#ifndef VKB_TEXT_TOKEN_STORE_H
#define VKB_TEXT_TOKEN_STORE_H

#include "base/file.h"

// ---- Writing ----

typedef struct token_writer token_writer;

// Begins path, which appears once token_writer_finish has succeeded.
vkb_status token_writer_create(vkb_context *ctx, const char *path, uint32_t vocab_size,
                               token_writer **out);
// Adds a text behind the others; count may be 0.
vkb_status token_writer_add(token_writer *writer, const uint32_t *ids, size_t count,
                            bool begins_document);
// Writes tables and key, and frees the writer, also when it fails.
vkb_status token_writer_finish(token_writer **writer, const char *key);
void token_writer_abandon(token_writer **writer); // NULL-safe

// ---- Reading ----

typedef struct token_store token_store;

// VKB_BAD_FILE: not there, damaged, of another version or byte order, or for more ids than
// vocab_size. key, when not NULL: VKB_BAD_FILE also when the store was made from something else.
vkb_status token_store_open(vkb_context *ctx, const char *path, const char *key,
                            uint32_t vocab_size, token_store **out);
void token_store_close(token_store **store); // NULL-safe

uint64_t token_store_ids(const token_store *store);
uint64_t token_store_texts(const token_store *store);
uint64_t token_store_documents(const token_store *store);
uint32_t token_store_vocab_size(const token_store *store);

// The functions below read what may never have been checked: VKB_BAD_FILE names the damaged file.
// One thread at a time.

// Where a text's ids are: begin and count.
vkb_status token_store_text(token_store *store, uint64_t text, uint64_t *begin, uint64_t *count);
// The texts of a document: begin .. end-1.
vkb_status token_store_document(token_store *store, uint64_t document, uint64_t *begin,
                                uint64_t *end);
vkb_status token_store_read(token_store *store, uint64_t begin, size_t count, uint32_t *ids);
vkb_status token_store_count_of(token_store *store, uint32_t id, uint64_t *count);

// ---- The file's end, for both ----

#define TOKEN_STORE_MAGIC "vkbtok1" // and a NUL: 8 bytes
enum { TOKEN_STORE_BLOCK = 1 << 20, TOKEN_STORE_ENDIAN = 0x01020304 };

typedef struct token_store_end {
    uint64_t ids, texts, documents, vocab_size, key_bytes;
    uint32_t id_bytes, endian; // 2 or 4; TOKEN_STORE_ENDIAN
    char magic[8];
    uint32_t sum; // CRC-32 of the sums and the members before this one
    uint32_t zero;
} token_store_end;

// Where the parts start, in bytes; `sums` is the end of what they cover.
typedef struct token_store_parts {
    uint64_t ids, starts, documents, counts, key, sums, end, bytes;
} token_store_parts;

// False: the numbers cannot be a file's.
bool token_store_lay_out(const token_store_end *end, token_store_parts *parts);

#endif
