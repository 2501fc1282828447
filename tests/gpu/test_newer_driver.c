// A fetched llvmpipe instead of the system's old one, in the library: which driver is used, that it
// computes, that the environment and other contexts do not notice. tests/cli/test_newer_driver.sh
// has what keeps it from being used. Wants the driver that tools/drivers.sh calls mesa-backports.
#include "check.h"
#include "temp.h"

#include "gpu/gpu.h"

#include <pthread.h>
#include <stdlib.h>

extern char **environ;

static char *cache;       // with the fetched driver in it
static bool system_is_slow; // the system's only usable driver is an llvmpipe before Mesa 24

typedef struct said {
    int newer, all; // lines of log
} said;

static void keep_log(void *user, vkb_log_level level, const char *sentence)
{
    said *counts = user;
    counts->all += level <= VKB_LOG_WARNING;
    counts->newer += strstr(sentence, "instead of the system's") != NULL;
}

static unsigned mesa(const vkb_device_info *info) // the first number of its version; 0: no llvmpipe
{
    unsigned version = 0;
    sscanf(info->driver, "llvmpipe Mesa %u.", &version);
    return version;
}

// Everything that the environment says, to hold it against what it says later.
static char *environment_text(void)
{
    size_t bytes = 1;
    for (char **at = environ; *at; at++)
        bytes += strlen(*at) + 1;
    char *text = malloc(bytes), *to = text;
    for (char **at = environ; *at; at++)
        to = stpcpy(stpcpy(to, *at), "\n");
    return text;
}

// Fills a buffer on the device and reads it back.
static void record(gpu_stream *s, void *user)
{
    gpu_fill(s, *(gpu_view *)user, 0x3f800000);
}

static bool computes(vkb_device *dev)
{
    gpu_buffer *buffer = NULL;
    float seen[64] = {0};
    bool good = gpu_buffer_create(dev, "numbers", sizeof(seen), GPU_LOCAL, &buffer) == VKB_OK;
    gpu_view view = good ? gpu_whole(buffer) : (gpu_view){0};
    good = good && gpu_run_once(dev, "fill", record, &view) == VKB_OK &&
           gpu_download(dev, view, seen) == VKB_OK;
    for (int i = 0; i < 64; i++)
        good = good && seen[i] == 1;
    gpu_buffer_destroy(&buffer);
    return good;
}

TEST(the_fetched_driver_is_used_and_the_environment_stays)
{
    if (!system_is_slow)
        SKIP("the system's driver is no llvmpipe before Mesa 24");
    said counts = {0};
    vkb_context *ctx = vkb_context_create(keep_log, &counts);
    vkb_device_info *list = NULL;
    vkb_device *dev = NULL;
    size_t count = 0;
    char *before = environment_text(), **where = environ;
    CHECK_INT(vkb_device_list(ctx, &list, &count), VKB_OK);
    CHECK_INT(count, 1); // the old one is not listed
    for (size_t i = 0; i < count; i++) {
        CHECK(mesa(&list[i]) >= 24);
        CHECK_HAS(list[i].driver_file, cache);
        CHECK_HAS(list[i].instead_of, "llvmpipe Mesa ");
        CHECK_STR(list[i].faster_driver, "");
    }
    CHECK_INT(vkb_device_open(ctx, NULL, &dev), VKB_OK);
    CHECK(dev && mesa(vkb_device_get_info(dev)) >= 24 && computes(dev));
    vkb_device_close(&dev);
    CHECK_INT(counts.newer, 1);
    char *after = environment_text();
    CHECK_STR(after, before);
    CHECK(environ == where);
    free(before);
    free(after);
    free(list);
    vkb_context_destroy(&ctx);
}

TEST(where_the_system_has_a_good_driver_nothing_is_fetched_instead)
{
    if (system_is_slow)
        SKIP("the system's driver is an llvmpipe before Mesa 24");
    said counts = {0};
    vkb_context *ctx = vkb_context_create(keep_log, &counts);
    vkb_device_info *list = NULL;
    size_t count = 0;
    vkb_device_list(ctx, &list, &count);
    for (size_t i = 0; i < count; i++)
        CHECK(!*list[i].driver_file && !*list[i].faster_driver);
    CHECK_INT(counts.newer, 0);
    free(list);
    vkb_context_destroy(&ctx);
}

static void *open_often(void *user)
{
    bool *good = user;
    for (int i = 0; i < 3 && *good; i++) {
        said counts = {0};
        vkb_context *ctx = vkb_context_create(keep_log, &counts);
        vkb_device *dev = NULL;
        *good = vkb_device_open(ctx, &(vkb_device_params){.no_cache = true}, &dev) == VKB_OK &&
                computes(dev) && counts.newer == (system_is_slow ? 1 : 0);
        vkb_device_close(&dev);
        vkb_context_destroy(&ctx);
    }
    return NULL;
}

TEST(contexts_of_several_threads_each_have_it)
{
    pthread_t threads[3];
    bool good[3] = {true, true, true};
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, open_often, &good[i]) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK(good[0] && good[1] && good[2]);
}

// Puts a .json into a new cache folder that names the fetched library where it lies.
static bool make_cache(const char *file)
{
    char text[8192], library[4096];
    snprintf(library, sizeof(library), "%.*s/libvulkan_lvp.so", (int)(strrchr(file, '/') - file),
             file);
    if (access(file, R_OK) != 0 || access(library, R_OK) != 0)
        return false;
    cache = temp_folder();
    mkdir(temp_path(cache, "drivers"), 0755);
    mkdir(temp_path(cache, "drivers/mesa-backports"), 0755);
    snprintf(text, sizeof(text), "{\"ICD\": {\"library_path\": \"%s\"}}", library);
    temp_write_text(cache, "drivers/mesa-backports/lvp_icd.json", text);
    return true;
}

static void remove_cache(void)
{
    unlink(temp_path(cache, "drivers/mesa-backports/lvp_icd.json"));
    rmdir(temp_path(cache, "drivers/mesa-backports"));
    rmdir(temp_path(cache, "drivers"));
    temp_remove(cache);
}

// Whether there is a device, and of what kind, while the system's driver is asked for.
static bool look_at_system(void)
{
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_device_info *list = NULL;
    size_t count = 0, usable = 0, slow = 0;
    setenv("VKBERT_DRIVER", "system", 1);
    vkb_device_list(ctx, &list, &count);
    unsetenv("VKBERT_DRIVER");
    for (size_t i = 0; i < count; i++) {
        usable += !*list[i].unusable;
        slow += !*list[i].unusable && mesa(&list[i]) > 0 && mesa(&list[i]) < 24;
    }
    system_is_slow = slow && slow == usable;
    free(list);
    vkb_context_destroy(&ctx);
    return usable > 0;
}

int main(void)
{
    const char *drivers = getenv("VKBERT_DRIVERS"), *home = getenv("HOME");
    char file[4096];
    snprintf(file, sizeof(file), "%s%s/mesa-backports/lvp_icd.json",
             drivers ? "" : home ? home : "", drivers ? drivers : "/.cache/vkbert/drivers");
    unsetenv("VK_DRIVER_FILES");
    unsetenv("VK_ICD_FILENAMES");
    unsetenv("VK_ADD_DRIVER_FILES");
    unsetenv("VKBERT_DEVICE");
    if (!look_at_system()) {
        printf("skipped: there is no Vulkan device\n");
        return 77;
    }
    if (!make_cache(file)) {
        printf("skipped: %s is not there: tools/drivers.sh fetches it\n", file);
        return 77;
    }
    setenv("VKBERT_CACHE", cache, 1);
    RUN(the_fetched_driver_is_used_and_the_environment_stays);
    RUN(where_the_system_has_a_good_driver_nothing_is_fetched_instead);
    RUN(contexts_of_several_threads_each_have_it);
    remove_cache();
    return check_report();
}
