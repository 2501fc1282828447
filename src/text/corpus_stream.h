// The bytes of a file or of standard input, unpacked when they are gzip or zstd (told by their
// first bytes, not by the name; several members or frames one behind the other are one text).
#ifndef VKB_TEXT_CORPUS_STREAM_H
#define VKB_TEXT_CORPUS_STREAM_H

#include "base/context.h"

typedef struct corpus_stream corpus_stream;

// path "-": standard input. VKB_BAD_FILE when it cannot be opened.
vkb_status corpus_stream_open(vkb_context *ctx, const char *path, corpus_stream **out);
void corpus_stream_close(corpus_stream **stream); // NULL-safe

// Up to `bytes` of what follows, at least one; *got 0: the end. VKB_BAD_FILE: a damaged archive, or
// one that is cut off.
vkb_status corpus_stream_read(corpus_stream *stream, char *out, size_t bytes, size_t *got);

// Bytes of the file read so far, as stored.
uint64_t corpus_stream_consumed(const corpus_stream *stream);

#endif
