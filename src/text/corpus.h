// Texts out of files, folders, globs and standard input, one after the other, without ever holding
// more than a batch of them.
//
//   source -> files, in order -> unpacked -> lines or rows -> texts
#ifndef VKB_TEXT_CORPUS_H
#define VKB_TEXT_CORPUS_H

#include "base/context.h"

typedef struct corpus corpus;

// A line of a plain file, without its end; or a row's column. Any bytes: a NUL is one of them.
typedef struct corpus_text {
    const char *at;       // in the batch
    size_t bytes;         // 0: a blank line of a plain file
    uint32_t file;        // see corpus_file_at
    uint64_t line;        // where it starts in the file, from 1
    bool begins_document; // the first text of a file, behind a blank line, every row
} corpus_text;

// Texts read together; zero-initialised by the caller and used again from read to read.
typedef struct corpus_batch {
    corpus_text *at;
    size_t count, capacity;
    char *bytes; // what the texts point into
    size_t used, room;
} corpus_batch;

// A file of the source.
typedef struct corpus_file {
    const char *path; // "standard input" for "-"
    uint64_t bytes;   // as stored; 0 for a stream
    int64_t modified; // nanoseconds since 1970
    bool is_stream;   // can be read once, and has no identity
} corpus_file;

// Finds the files and checks that each can be opened. VKB_BAD_FILE names a path that is not there,
// a glob or folder without a file. The source's strings are used until corpus_close.
vkb_status corpus_open(vkb_context *ctx, const vkb_text_source *source, corpus **out);
void corpus_close(corpus **c);

size_t corpus_file_count(const corpus *c);
corpus_file corpus_file_at(const corpus *c, size_t index);

// Replaces the batch by the next texts, about `bytes` of them, at least one; count 0 is the end. A
// text longer than 64 MiB comes in pieces, cut between characters, with a warning. VKB_BAD_FILE
// names file and line of what cannot be read (a broken quote, JSON that is none, a damaged
// archive), and a source without any text.
vkb_status corpus_read(corpus *c, size_t bytes, corpus_batch *batch);
void corpus_batch_free(corpus_batch *batch);

// Logs what was read with doubt: bytes that are not UTF-8, texts cut, duplicates dropped.
void corpus_log_doubts(const corpus *c);

// Nothing in it but white space and characters that the tokenizer drops.
bool corpus_is_blank(const char *text, size_t bytes);

#endif
