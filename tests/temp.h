// A temporary folder for a test's files.
//
//     char *folder = temp_folder();
//     temp_write(folder, "vocab.txt", "[PAD]\n", 6);
//     temp_remove(folder);
#ifndef VKB_TESTS_TEMP_H
#define VKB_TESTS_TEMP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void temp_failed(const char *what)
{
    perror(what);
    exit(1);
}

static inline char *temp_folder(void)
{
    const char *base = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof(path), "%s/vkbert-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(path))
        temp_failed(path);
    return strdup(path);
}

// folder/name, valid until the eighth call from now.
static inline const char *temp_path(const char *folder, const char *name)
{
    static char paths[8][4096];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

// A file of that name is replaced, not overwritten: ext4 waits for the disk when a file is cut to
// nothing and written again.
static inline void temp_write(const char *folder, const char *name, const void *data, size_t bytes)
{
    unlink(temp_path(folder, name));
    FILE *file = fopen(temp_path(folder, name), "wb");
    if (!file || (bytes && fwrite(data, 1, bytes, file) != bytes) || fclose(file) != 0)
        temp_failed(name);
}

static inline void temp_write_text(const char *folder, const char *name, const char *text)
{
    temp_write(folder, name, text, strlen(text));
}

// The file's text with a NUL behind it, freed with free().
static inline char *temp_read(const char *folder, const char *name, size_t *bytes)
{
    FILE *file = fopen(temp_path(folder, name), "rb");
    struct stat st;
    if (!file || fstat(fileno(file), &st) != 0)
        temp_failed(name);
    char *text = calloc(1, (size_t)st.st_size + 1);
    if (!text || fread(text, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
        temp_failed(name);
    fclose(file);
    if (bytes)
        *bytes = (size_t)st.st_size;
    return text;
}

// Removes every file in the folder.
static inline void temp_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(temp_path(folder, entry->d_name));
    if (dir)
        closedir(dir);
}

// Removes the folder and its files, and frees its name.
static inline void temp_remove(char *folder)
{
    temp_empty(folder);
    rmdir(folder);
    free(folder);
}

#endif
