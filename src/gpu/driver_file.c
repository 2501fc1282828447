// Loading a driver from files that are not the system's: its .json is read as the Vulkan loader
// reads it, what others could have written is refused, and so is what is not whole.
#include "gpu/internal.h"

#include "base/file.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vulkan/vk_icd.h>

#ifdef __ELF__
#include <elf.h>
#include <link.h>
#endif

// ---- Whose the files are ----

// Whoever can write a file or put another one in its place decides what code we run. Files and the
// folders next to them (`own`) are for their owner alone to write. Further up, a group may, which
// is often a private one, and others where only owners rename, as in /tmp.
static vkb_status check_owner(vkb_context *ctx, const char *path, bool own)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return vkb_fail(ctx, VKB_FAILED,
                        "%s belongs to another user (%lu), who would choose what code runs here: "
                        "fetch the driver into a folder of your own",
                        path, (unsigned long)st.st_uid);
    const bool others = own ? st.st_mode & (S_IWGRP | S_IWOTH)
                            : (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX);
    if (others)
        return vkb_fail(ctx, VKB_FAILED,
                        "%s can be written by other users, who would choose what code runs here: "
                        "chmod go-w it",
                        path);
    return VKB_OK;
}

// Checks what is behind the path's links, and the folders above: `own` of them, itself included,
// as own.
static vkb_status check_owners(vkb_context *ctx, const char *path, int own)
{
    char *real = realpath(path, NULL);
    if (!real)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be opened: %s", path, strerror(errno));
    vkb_status status = VKB_OK;
    for (bool top = false; status == VKB_OK && !top; own--) {
        char *slash = strrchr(real, '/');
        top = real[1] == 0;
        status = check_owner(ctx, real, own > 0);
        slash[slash == real] = 0; // the folder above; of "/x": "/"
    }
    free(real);
    return status;
}

vkb_status gpu_folder_check(vkb_context *ctx, const char *folder)
{
    return check_owners(ctx, folder, 2);
}

// ---- Whether they are whole ----

#ifdef __ELF__
// dlopen maps what a library's header says, and a file that was cut off is then a SIGBUS.
static vkb_status check_whole(vkb_context *ctx, const char *path)
{
    file_map map;
    vkb_status status = file_map_open(ctx, path, &map);
    if (status != VKB_OK)
        return status;
    ElfW(Ehdr) head;
    bool whole = map.bytes >= sizeof(head);
    if (whole) {
        memcpy(&head, map.data, sizeof(head));
        whole = memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_phoff <= map.bytes &&
                head.e_phentsize == sizeof(ElfW(Phdr)) &&
                head.e_phnum <= (map.bytes - head.e_phoff) / sizeof(ElfW(Phdr));
    }
    for (size_t i = 0; whole && i < head.e_phnum; i++) {
        ElfW(Phdr) part;
        memcpy(&part, map.data + head.e_phoff + i * sizeof(part), sizeof(part));
        whole = part.p_offset <= map.bytes && part.p_filesz <= map.bytes - part.p_offset;
    }
    file_map_close(&map);
    return whole ? VKB_OK
                 : vkb_fail(ctx, VKB_BAD_FILE, "%s: is no whole library of this system", path);
}
#else
static vkb_status check_whole(vkb_context *ctx, const char *path)
{
    (void)ctx;
    (void)path;
    return VKB_OK;
}
#endif

static vkb_status check_library(vkb_context *ctx, const char *path)
{
    const vkb_status status = check_owners(ctx, path, 2);
    return status == VKB_OK ? check_whole(ctx, path) : status;
}

// The libraries beside the .json, which the driver may bring along.
static vkb_status check_folder(vkb_context *ctx, const char *folder)
{
    vkb_status status = VKB_OK;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; status == VKB_OK && dir && (entry = readdir(dir));) {
        if (!strstr(entry->d_name, ".so"))
            continue;
        char *path = path_join(folder, entry->d_name);
        status = path ? check_library(ctx, path) : vkb_fail_memory(ctx, 1, folder);
        free(path);
    }
    if (dir)
        closedir(dir);
    return status;
}

// ---- Loading ----

// The library that a .json names: a path, from the .json's folder on, or a bare name for dlopen.
static vkb_status read_json(vkb_context *ctx, const char *file, const char *folder, char **out)
{
    char *text = NULL;
    size_t bytes = 0;
    vkb_status status = file_read(ctx, file, &text, &bytes);
    if (status != VKB_OK)
        return status;
    cJSON *tree = cJSON_ParseWithLength(text, bytes);
    const char *library = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(tree, "ICD"),
                                         "library_path"));
    if (!library || !*library)
        status = vkb_fail(ctx, VKB_BAD_FILE, "%s: is no driver's .json: it names no library_path",
                          file);
    else if (!(*out = *library != '/' && strchr(library, '/') ? path_join(folder, library)
                                                              : strdup(library)))
        status = vkb_fail_memory(ctx, strlen(library), file);
    cJSON_Delete(tree);
    free(text);
    return status;
}

static vkb_status open_library(vkb_context *ctx, const char *library, gpu_driver *driver)
{
    driver->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!driver->library)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: cannot be loaded: %s", library, dlerror());
    driver->get =
        (PFN_vkGetInstanceProcAddr)dlsym(driver->library, "vk_icdGetInstanceProcAddr");
    const PFN_vk_icdNegotiateLoaderICDInterfaceVersion negotiate =
        (PFN_vk_icdNegotiateLoaderICDInterfaceVersion)dlsym(
            driver->library, "vk_icdNegotiateLoaderICDInterfaceVersion");
    uint32_t version = CURRENT_LOADER_ICD_INTERFACE_VERSION;
    if (!driver->get || (negotiate && negotiate(&version) != VK_SUCCESS))
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: is no Vulkan driver", library);
    return VKB_OK;
}

vkb_status gpu_driver_load(vkb_context *ctx, const char *file, gpu_driver *out)
{
    gpu_driver driver = {.file = strdup(file)};
    char *folder = strndup(file, (size_t)(strrchr(file, '/') - file)), *library = NULL;
    vkb_status status = VKB_OK;
    if (!driver.file || !folder)
        BASE_TRY(vkb_fail_memory(ctx, strlen(file), file));
    BASE_TRY(check_owners(ctx, folder, 1)); // the .json may be a link to somewhere else
    BASE_TRY(check_owners(ctx, file, 2));
    BASE_TRY(read_json(ctx, file, folder, &library));
    BASE_TRY(check_folder(ctx, folder));
    if (strchr(library, '/'))
        BASE_TRY(check_library(ctx, library));
    BASE_TRY(open_library(ctx, library, &driver));
    *out = driver;
    driver = (gpu_driver){0};
cleanup:
    gpu_driver_unload(&driver);
    free(folder);
    free(library);
    return status;
}

void gpu_driver_unload(gpu_driver *driver)
{
    if (driver->library)
        dlclose(driver->library);
    free(driver->file);
    free(driver->instead_of);
    *driver = (gpu_driver){0};
}
