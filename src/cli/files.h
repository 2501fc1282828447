// The program's own files: reports written whole or not at all, and output folders.
#ifndef VKB_CLI_FILES_H
#define VKB_CLI_FILES_H

#include "cli/flags.h"

enum { PATH_BYTES = 4096 };

bool path_is_folder(const char *path);
bool path_exists(const char *path);
// Writes folder/name to path[PATH_BYTES]; false when it does not fit.
bool path_in(char *path, const char *folder, const char *name);

// The whole file as a string, freed with free(); NULL when it cannot be read, or memory is exhausted.
char *file_read_text(const char *path);

// Write text to a path, or to folder/name, synced, under a temporary name until it is whole.
vkb_status file_write_path(cli_state *cli, const char *path, const char *text);
vkb_status file_write_text(cli_state *cli, const char *folder, const char *name, const char *text);

// Creates the folder and its parents, and proves that files can be written there. VKB_IO when not.
vkb_status folder_prepare(cli_state *cli, const char *folder);

// Removes the folder when nothing is in it.
void folder_remove_empty(const char *folder);

#endif
