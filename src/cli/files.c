// Paths and files, as the commands need them.
#include "cli/files.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

bool path_is_folder(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

bool path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool path_in(char *path, const char *folder, const char *name)
{
    int length = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return length > 0 && length < PATH_BYTES;
}

char *file_read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    long bytes = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    char *text = bytes >= 0 && fseek(file, 0, SEEK_SET) == 0 ? malloc((size_t)bytes + 1) : NULL;
    if (text && fread(text, 1, (size_t)bytes, file) != (size_t)bytes) {
        free(text);
        text = NULL;
    }
    if (text)
        text[bytes] = 0;
    if (file)
        fclose(file);
    return text;
}

static vkb_status fail_write(cli_state *cli, const char *path)
{
    return cli_fail(cli, VKB_IO, "%s cannot be written: %s", path, strerror(errno));
}

// Writes and syncs a file; removes it again when that fails.
static vkb_status write_synced(cli_state *cli, const char *path, const char *text)
{
    vkb_status status = VKB_OK;
    size_t left = strlen(text);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return fail_write(cli, path);
    while (left && status == VKB_OK) {
        ssize_t written = write(file, text, left);
        if (written > 0) {
            text += written;
            left -= (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            status = fail_write(cli, path);
        }
    }
    if (status == VKB_OK && fsync(file) != 0)
        status = fail_write(cli, path);
    if (close(file) != 0 && status == VKB_OK)
        status = fail_write(cli, path);
    if (status != VKB_OK)
        unlink(path);
    return status;
}

vkb_status file_write_text(cli_state *cli, const char *folder, const char *name, const char *text)
{
    char path[PATH_BYTES];
    if (!path_in(path, folder, name))
        return cli_fail(cli, VKB_IO, "%s: the path is too long", folder);
    return file_write_path(cli, path, text);
}

vkb_status file_write_path(cli_state *cli, const char *path, const char *text)
{
    char temporary[PATH_BYTES];
    if (snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, (long)getpid()) >= PATH_BYTES)
        return cli_fail(cli, VKB_IO, "%s: the path is too long", path);
    vkb_status status = write_synced(cli, temporary, text);
    if (status == VKB_OK && rename(temporary, path) != 0) {
        status = fail_write(cli, path);
        unlink(temporary);
    }
    return status;
}

static vkb_status create_folders(cli_state *cli, const char *folder)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof(path), "%s", folder) >= PATH_BYTES)
        return cli_fail(cli, VKB_IO, "%s: the path is too long", folder);
    for (char *c = path + 1; *c; c++) {
        if (*c != '/')
            continue;
        *c = 0;
        mkdir(path, 0777); // the last mkdir tells whether there is a folder in the end
        *c = '/';
    }
    if (mkdir(path, 0777) != 0 && !path_is_folder(path))
        return cli_fail(cli, VKB_IO, "the folder %s cannot be made: %s", folder, strerror(errno));
    return VKB_OK;
}

vkb_status folder_prepare(cli_state *cli, const char *folder)
{
    bool existed = path_exists(folder);
    vkb_status status = create_folders(cli, folder);
    if (status != VKB_OK)
        return status;
    char path[PATH_BYTES];
    status = path_in(path, folder, ".vkbert-write-test") ? write_synced(cli, path, "?\n") : VKB_IO;
    if (status != VKB_OK) {
        status = cli_fail(cli, VKB_IO, "nothing can be written to the folder %s: %s", folder,
                          strerror(errno));
        if (!existed)
            rmdir(folder);
        return status;
    }
    unlink(path);
    return VKB_OK;
}

void folder_remove_empty(const char *folder)
{
    rmdir(folder);
}
