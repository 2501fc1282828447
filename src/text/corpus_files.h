// The files that the paths of a text source stand for.
#ifndef VKB_TEXT_CORPUS_FILES_H
#define VKB_TEXT_CORPUS_FILES_H

#include "text/corpus.h"

typedef struct corpus_files {
    corpus_file *at; // path is owned
    size_t count, capacity;
} corpus_files;

// Adds a path's files: itself; of a folder all in it and below, by name, hidden ones left out; of a
// glob its matches, by name; "-".
vkb_status corpus_files_add(vkb_context *ctx, const char *path, corpus_files *files);
void corpus_files_free(corpus_files *files);

#endif
