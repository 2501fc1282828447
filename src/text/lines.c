#include "text/lines.h"

#include "base/file.h"
#include "text/unicode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A longer line is cut here, before a character: places in a text are 32 bits wide.
#define LONGEST_LINE ((size_t)1 << 26)

static vkb_status read_stdin(vkb_context *ctx, char **data, size_t *bytes)
{
    size_t capacity = 1 << 16, used = 0;
    char *buffer = malloc(capacity);
    while (buffer) {
        used += fread(buffer + used, 1, capacity - used, stdin);
        if (used < capacity)
            break;
        char *larger = realloc(buffer, capacity *= 2);
        if (!larger)
            free(buffer);
        buffer = larger;
    }
    if (!buffer)
        return vkb_fail_memory(ctx, capacity, "standard input");
    if (ferror(stdin)) {
        free(buffer);
        return vkb_fail(ctx, VKB_BAD_FILE, "standard input: cannot be read: %s", strerror(errno));
    }
    *data = buffer;
    *bytes = used;
    return VKB_OK;
}

bool text_is_blank(const char *line, size_t bytes)
{
    for (size_t at = 0; at < bytes;)
        if (!unicode_is_white_space(unicode_read(line, bytes, &at, NULL)))
            return false;
    return true;
}

vkb_status text_file_open(vkb_context *ctx, const char *path, text_file *file)
{
    bool is_stdin = strcmp(path, "-") == 0;
    *file = (text_file){.name = is_stdin ? "standard input" : path};
    vkb_status status = is_stdin ? read_stdin(ctx, &file->data, &file->bytes)
                                 : file_read(ctx, path, &file->data, &file->bytes);
    if (status != VKB_OK)
        return status;
    bool blank = true;
    for (size_t at = 0; at < file->bytes;) {
        uint32_t code = unicode_read(file->data, file->bytes, &at, &file->invalid);
        blank = blank && (unicode_is_white_space(code) || unicode_is_dropped(code));
    }
    if (!blank)
        return VKB_OK;
    size_t bytes = file->bytes;
    text_file_close(file);
    if (bytes == 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: is empty, expected lines of text",
                        is_stdin ? "standard input" : path);
    return vkb_fail(ctx, VKB_BAD_FILE, "%s: holds no text, only %zu bytes of white space",
                    is_stdin ? "standard input" : path, bytes);
}

void text_file_close(text_file *file)
{
    free(file->data);
    *file = (text_file){0};
}

bool text_next_line(text_file *file, const char **line, size_t *bytes)
{
    if (file->at >= file->bytes)
        return false;
    const char *start = file->data + file->at;
    size_t rest = file->bytes - file->at;
    const char *end = memchr(start, '\n', rest);
    size_t length = end ? (size_t)(end - start) : rest;
    if (length > LONGEST_LINE) {
        length = LONGEST_LINE;
        while (length > 1 && ((unsigned char)start[length] & 0xC0) == 0x80)
            length--;
        end = NULL;
    }
    file->at += length + (end != NULL);
    if (length && start[length - 1] == '\r')
        length--;
    *line = start;
    *bytes = length;
    return true;
}
