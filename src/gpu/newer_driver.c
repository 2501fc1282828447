// A newer software driver instead of the system's. llvmpipe of Mesa 22 trains at a quarter to an
// eighth of the pace of Mesa 25's on a CPU with AVX2 alone, and Debian 12 has that one: where
// nothing better is there, and tools/drivers.sh has fetched a newer one into the user's cache
// folder, the fetched one is loaded. The environment stays as it is, since other threads may be
// reading it: the driver is given to the loader by VK_LUNARG_direct_driver_loading or, where the
// loader is too old for that, called without it (instance.c).
#include "gpu/internal.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAST_MESA = 24 };
#define PACKAGE "mesa-backports" // as tools/drivers.sh calls it

// ---- What the environment says ----

vkb_status gpu_newer_driver_check(vkb_context *ctx)
{
    const char *choice = getenv("VKBERT_DRIVER");
    if (!choice || !*choice || strcmp(choice, "system") == 0)
        return VKB_OK;
    return vkb_fail(ctx, VKB_BAD_ARGUMENT,
                    "VKBERT_DRIVER is \"%s\", expected \"system\" or nothing: VK_DRIVER_FILES "
                    "names a driver by its .json file",
                    choice);
}

// Whether the user has chosen a driver, if only the system's. An empty list is one, too, to the
// loader.
static bool is_chosen(void)
{
    const char *choice = getenv("VKBERT_DRIVER");
    return (choice && *choice) || getenv("VK_DRIVER_FILES") || getenv("VK_ICD_FILENAMES") ||
           getenv("VK_ADD_DRIVER_FILES");
}

// ---- Where it helps ----

// The slow llvmpipe, where there is nothing else to use; NULL: there is, or no such one.
static const gpu_physical *find_slow(const gpu_physical *list, size_t count)
{
    const gpu_physical *slow = NULL;
    for (size_t i = 0; i < count; i++) {
        if (list[i].info.unusable[0])
            continue;
        if (list[i].llvmpipe == 0 || list[i].llvmpipe >= FAST_MESA)
            return NULL;
        slow = &list[i];
    }
    return slow;
}

static char *drivers_folder(void) // NULL: there is no home
{
    char *cache = path_cache_folder(), *folder = cache ? path_join(cache, "drivers") : NULL;
    free(cache);
    return folder;
}

// A path as a shell wants it, in quotes if it has to be; freed with free(), NULL: memory.
static char *shell_word(const char *path)
{
    const bool plain = strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789/._+-") == strlen(path);
    char *word = malloc(4 * strlen(path) + 3), *to = word;
    if (!word || plain)
        return word ? strcpy(word, path) : NULL;
    *to++ = '\'';
    for (; *path; path++)
        to = *path == '\'' ? stpcpy(to, "'\\''") : (*to = *path, to + 1);
    strcpy(to, "'");
    return word;
}

// ---- Taking it ----

// The driver is tried by what its users do first: an instance that lists devices.
static vkb_status open_driver(vkb_context *ctx, bool validate, const char *file,
                              const gpu_physical *slow, gpu_instance **out, char *name, size_t room)
{
    gpu_driver driver = {0};
    gpu_instance *instance = NULL;
    gpu_physical *list = NULL;
    size_t count = 0;
    vkb_status status = VKB_OK;
    BASE_TRY(gpu_driver_load(ctx, file, &driver));
    driver.instead_of = strdup(slow->info.driver);
    if (!driver.instead_of)
        BASE_TRY(vkb_fail_memory(ctx, strlen(slow->info.driver), file));
    BASE_TRY(gpu_instance_of(ctx, validate, &driver, &instance));
    BASE_TRY(gpu_probe_all(instance, &list, &count));
    if (list[0].info.unusable[0] || list[0].llvmpipe <= slow->llvmpipe)
        BASE_TRY(vkb_fail(ctx, VKB_BAD_FILE, "%s: is %s, expected an llvmpipe newer than %s", file,
                          list[0].info.driver, slow->info.driver));
    snprintf(name, room, "%s", list[0].info.driver);
    *out = instance;
    instance = NULL;
cleanup:
    free(list);
    gpu_instance_destroy(&instance);
    gpu_driver_unload(&driver);
    return status;
}

static void say_why_not(vkb_context *ctx, vkb_status status, const char *folder,
                        const char *package, const gpu_physical *slow)
{
    char *into = shell_word(folder), *old = shell_word(package);
    if (status == VKB_BAD_FILE && into && old)
        vkb_log_once(ctx, VKB_LOG_WARNING,
                     "the system's %s is used, since the newer driver cannot be: %s; to fetch it "
                     "again: rm -r %s; tools/drivers.sh %s " PACKAGE,
                     slow->info.driver, vkb_error(ctx), old, into);
    else
        vkb_log_once(ctx, VKB_LOG_WARNING,
                     "the system's %s is used, since the newer driver cannot be: %s",
                     slow->info.driver, vkb_error(ctx));
    free(into);
    free(old);
}

gpu_instance *gpu_newer_driver_open(gpu_instance *system, bool validate)
{
    vkb_context *ctx = system->ctx;
    gpu_instance *newer = NULL;
    gpu_physical *list = NULL;
    size_t count = 0;
    char name[sizeof(list->info.driver)];
    char *folder = is_chosen() ? NULL : drivers_folder();
    char *package = folder ? path_join(folder, PACKAGE) : NULL;
    char *file = package ? path_join(package, "lvp_icd.json") : NULL;
    const gpu_physical *slow = NULL;
    if (file && file_exists(package) && gpu_probe_all(system, &list, &count) == VKB_OK)
        slow = find_slow(list, count);
    if (slow) {
        vkb_status status = gpu_folder_check(ctx, folder);
        if (status == VKB_OK)
            status = open_driver(ctx, validate, file, slow, &newer, name, sizeof(name));
        if (status == VKB_OK)
            vkb_log_once(ctx, VKB_LOG_WARNING,
                         "using %s, fetched into %s, instead of the system's %s: "
                         "VKBERT_DRIVER=system turns this off",
                         name, package, slow->info.driver);
        else
            say_why_not(ctx, status, folder, package, slow);
    }
    free(list);
    free(file);
    free(package);
    free(folder);
    return newer;
}

// ---- Telling ----

// Whether the distribution is one that tools/drivers.sh finds a newer Mesa for.
static bool has_backports(vkb_context *ctx)
{
    char *text = NULL;
    if (!file_exists("/etc/os-release") || file_read(ctx, "/etc/os-release", &text, NULL) != VKB_OK)
        return false;
    const bool debian = strncmp(text, "ID=debian\n", 10) == 0 || strstr(text, "\nID=debian\n");
    free(text);
    return debian;
}

void gpu_newer_driver_tell(const gpu_instance *instance, gpu_physical *list, size_t count)
{
    const gpu_driver *driver = &instance->driver;
    for (size_t i = 0; driver->library && i < count; i++) {
        vkb_device_info *info = &list[i].info;
        snprintf(info->driver_file, sizeof(info->driver_file), "%s", driver->file);
        snprintf(info->instead_of, sizeof(info->instead_of), "%s", driver->instead_of);
    }
    gpu_physical *slow = (gpu_physical *)find_slow(list, count);
    if (driver->library || is_chosen() || !slow || !has_backports(instance->ctx))
        return;
    char *folder = drivers_folder(), *word = folder ? shell_word(folder) : NULL;
    char *to = slow->info.faster_driver;
    const int length =
        snprintf(to, sizeof(slow->info.faster_driver), "%stools/drivers.sh %s " PACKAGE,
                 word ? "" : "export VKBERT_CACHE=FOLDER; ", word ? word : "FOLDER/drivers");
    if (length < 0 || (size_t)length >= sizeof(slow->info.faster_driver))
        *to = 0; // half a command is none
    free(folder);
    free(word);
}
