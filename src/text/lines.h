// The lines of a text file: LF or CRLF, "-" for standard input.
#ifndef VKB_TEXT_LINES_H
#define VKB_TEXT_LINES_H

#include "base/context.h"

typedef struct text_file {
    const char *name; // for sentences
    char *data;       // owned
    size_t bytes, at; // at: where the next line starts
    size_t invalid;   // bytes that are not UTF-8
} text_file;

// Reads the whole file. VKB_BAD_FILE names it when it cannot be read or holds no text.
vkb_status text_file_open(vkb_context *ctx, const char *path, text_file *file);
void text_file_close(text_file *file);

// The next line without its end; false: no more.
bool text_next_line(text_file *file, const char **line, size_t *bytes);

// Nothing in it but white space.
bool text_is_blank(const char *line, size_t bytes);

#endif
