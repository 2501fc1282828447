// Opening devices: what they say of themselves, the pipeline cache, and the sentences when there is
// no loader, no driver or no validation layer. The latter need an environment of their own: the
// program runs itself again for them.
#include "check.h"
#include "devices.h"
#include "temp.h"

#include "gpu/internal.h"
#include "shaders/params.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

static vkb_device *dev;

// ---- What a device says ----

TEST(info_is_filled)
{
    const vkb_device_info *info = vkb_device_get_info(dev);
    CHECK(info->name[0] && info->driver[0]);
    CHECK_INT(strlen(info->uuid), 32);
    CHECK(info->api_version >= (1u << 22 | 2 << 12));
    CHECK(info->device_memory > 0 && info->max_allocation > 0);
    // minima of the Vulkan specification, table "Required Limits"
    CHECK(info->max_storage_range >= 1 << 27);
    CHECK(info->max_shared_memory >= 16384);
    CHECK(info->max_workgroup_invocations >= 128);
    CHECK(info->max_push_constants >= 128);
    CHECK(info->subgroup_size >= 1 && info->subgroup_size <= 128);
    CHECK(info->min_subgroup_size <= info->subgroup_size);
    CHECK(info->max_subgroup_size >= info->subgroup_size);
    CHECK_STR(info->unusable, "");
    CHECK(gpu_alignment(dev) >= 16);
    for (uint32_t i = 0; i < info->matrix_count && i < 64; i++) {
        const vkb_cooperative_matrix *m = &info->matrix[i];
        CHECK(m->m && m->n && m->k && m->a[0] && m->b[0] && m->c[0] && m->result[0]);
    }
}

// A second device, opened by `select`, is the same one.
static void open_again(const char *select)
{
    vkb_device *other = NULL;
    check_case = select;
    CHECK_INT(vkb_device_open(gpu_context(dev), &(vkb_device_params){.select = select}, &other),
              VKB_OK);
    if (other)
        CHECK_STR(vkb_device_get_info(other)->uuid, vkb_device_get_info(dev)->uuid);
    vkb_device_close(&other);
    CHECK(other == NULL);
    check_case = "";
}

TEST(opens_by_name_and_uuid)
{
    const vkb_device_info *info = vkb_device_get_info(dev);
    char name[256];
    snprintf(name, sizeof(name), "%s", info->name);
    for (char *c = name; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    open_again(name);
    open_again(info->uuid);
    if (info->type == VKB_SOFTWARE)
        open_again("cpu");
    vkb_device *none = NULL;
    CHECK_INT(vkb_device_open(gpu_context(dev), &(vkb_device_params){.select = "no such"}, &none),
              VKB_NO_DEVICE);
    CHECK_HAS(vkb_error(gpu_context(dev)), "no Vulkan device is \"no such\"");
    CHECK(none == NULL);
    vkb_device_close(&none);
    vkb_device_close(NULL);
}

// In bytes by the one who opens it, in MiB by the environment.
TEST(takes_no_more_memory_than_allowed)
{
    const char *uuid = vkb_device_get_info(dev)->uuid;
    for (int i = 0; i < 3; i++) {
        vkb_device *other = NULL;
        gpu_buffer *small = NULL, *large = NULL;
        if (i)
            setenv("VKBERT_MEMORY_LIMIT", i == 1 ? "24" : "", 1);
        const vkb_device_params params = {
            .select = uuid, .no_cache = true, .memory_limit = i == 0 ? 24 << 20 : 0};
        CHECK_INT(vkb_device_open(gpu_context(dev), &params, &other), VKB_OK);
        CHECK(i == 2 || vkb_device_get_info(other)->device_memory == 24 << 20);
        CHECK_INT(gpu_buffer_create(other, "small", 16 << 20, GPU_LOCAL, &small), VKB_OK);
        CHECK_INT(gpu_buffer_create(other, "large", 16 << 20, GPU_LOCAL, &large),
                  i == 2 ? VKB_OK : VKB_OUT_OF_MEMORY);
        gpu_buffer_destroy(&small);
        gpu_buffer_destroy(&large);
        vkb_device_close(&other);
    }
    static const char *const wrong[] = {"8GiB", "0", "-1", "x"};
    for (size_t i = 0; i < BASE_COUNT(wrong); i++) {
        vkb_device *none = NULL;
        setenv("VKBERT_MEMORY_LIMIT", wrong[i], 1);
        CHECK_INT(vkb_device_open(gpu_context(dev), &(vkb_device_params){.select = uuid}, &none),
                  VKB_BAD_ARGUMENT);
        CHECK_HAS(vkb_error(gpu_context(dev)), "expected a number of MiB");
        CHECK(none == NULL);
    }
    unsetenv("VKBERT_MEMORY_LIMIT");
}

TEST(the_shader_hash_has_16_digits)
{
    CHECK_INT(strlen(vkb_shader_hash()), 16);
    CHECK_INT(strspn(vkb_shader_hash(), "0123456789abcdef"), 16);
}

// ---- A device that is lost ----

TEST(a_lost_device_refuses_work_and_closes)
{
    vkb_context *ctx = gpu_context(dev);
    vkb_device *other = NULL;
    gpu_buffer *buffer = NULL;
    uint64_t ticket = 0;
    vkb_device_params params = {.select = vkb_device_get_info(dev)->uuid};
    CHECK_INT(vkb_device_open(ctx, &params, &other), VKB_OK);
    CHECK_INT(gpu_buffer_create(other, "x", 64, GPU_LOCAL, &buffer), VKB_OK);
    CHECK_INT(gpu_fail(other, VK_ERROR_DEVICE_LOST, "submitting stream step"), VKB_DEVICE_LOST);
    CHECK_HAS(vkb_error(ctx), vkb_device_get_info(dev)->name);
    CHECK_HAS(vkb_error(ctx), "was lost (submitting stream step)");
    CHECK_INT(gpu_submit(other, NULL, 0, &ticket), VKB_DEVICE_LOST);
    CHECK_INT(gpu_wait_all(other), VKB_DEVICE_LOST);
    CHECK_INT(ticket, 0);
    gpu_buffer_destroy(&buffer);
    vkb_device_close(&other);
}

// ---- The pipeline cache ----

static void record_add(gpu_stream *s, void *user)
{
    gpu_view *view = user;
    gpu_run(s, add, .bind = {view[0], view[1]}, .push = &(struct gelu_params){.count = 16},
            .spec = {64, 1}, .spec_count = 2, .groups = {1, 1, 1});
}

// Opens the device, runs a kernel on it, closes it.
static void use_device(bool no_cache)
{
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_device *other = NULL;
    gpu_buffer *x = NULL, *y = NULL;
    float ones[16], sum[16];
    for (int i = 0; i < 16; i++)
        ones[i] = 1;
    vkb_device_params params = {.select = vkb_device_get_info(dev)->uuid, .no_cache = no_cache};
    CHECK_INT(vkb_device_open(ctx, &params, &other), VKB_OK);
    CHECK_INT(gpu_buffer_create(other, "x", sizeof(ones), GPU_LOCAL, &x), VKB_OK);
    CHECK_INT(gpu_buffer_create(other, "y", sizeof(ones), GPU_LOCAL, &y), VKB_OK);
    CHECK_INT(gpu_upload(other, gpu_whole(x), ones), VKB_OK);
    CHECK_INT(gpu_upload(other, gpu_whole(y), ones), VKB_OK);
    CHECK_INT(gpu_run_once(other, "add", record_add, (gpu_view[]){gpu_whole(x), gpu_whole(y)}),
              VKB_OK);
    CHECK_INT(gpu_download(other, gpu_whole(y), sum), VKB_OK);
    CHECK_NEAR(sum[0] + sum[15], 4, 0);
    gpu_buffer_destroy(&x);
    gpu_buffer_destroy(&y);
    vkb_device_close(&other);
    CHECK_STR(vkb_error(ctx), "no error"); // what happens to the cache hides no sentence
    vkb_context_destroy(&ctx);
}

// The name of the one file in the folder; "": it is empty.
static const char *only_file(const char *folder)
{
    static char name[256];
    int files = 0;
    *name = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof(name), "%s", entry->d_name);
            files++;
        }
    if (dir)
        closedir(dir);
    CHECK(files <= 1);
    return name;
}

TEST(the_pipeline_cache_is_kept_and_a_damaged_one_ignored)
{
    char *folder = temp_folder();
    setenv("VKBERT_CACHE", folder, 1);
    use_device(true);
    CHECK_STR(only_file(folder), "");
    use_device(false);
    const char *name = only_file(folder);
    CHECK_HAS(name, "pipelines-");
    CHECK_HAS(name, vkb_device_get_info(dev)->uuid);
    CHECK_HAS(name, vkb_shader_hash());
    if (*name) {
        size_t bytes = 0, after = 0;
        char *whole = temp_read(folder, name, &bytes);
        use_device(false); // reads it
        // cut, changed inside, emptied, not ours: each is ignored, and written anew
        for (int damage = 0; damage < 4; damage++) {
            char *text = temp_read(folder, name, &bytes);
            if (damage == 1)
                text[bytes - 1] ^= 1;
            if (damage == 3)
                memset(text, 'x', bytes);
            size_t kept = damage == 0 ? bytes / 2 : damage == 2 ? 0 : bytes;
            temp_write(folder, name, text, kept);
            use_device(false);
            char *again = temp_read(folder, name, &after);
            CHECK(after != kept || memcmp(again, text, kept) != 0);
            CHECK(memcmp(again, whole, 8) == 0); // the magic
            free(again);
            free(text);
        }
        free(whole);
    }
    setenv("VKBERT_CACHE", "/proc/no/such/folder", 1);
    use_device(false);
    unsetenv("VKBERT_CACHE");
    temp_remove(folder);
}

// ---- Contexts of different threads ----

static void *open_often(void *user)
{
    bool *ok = user;
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    for (int i = 0; i < 4 && *ok; i++) {
        vkb_device_params params = {.select = vkb_device_get_info(dev)->uuid, .no_cache = true};
        vkb_device *other = NULL;
        *ok = vkb_device_open(ctx, &params, &other) == VKB_OK && gpu_wait_all(other) == VKB_OK;
        vkb_device_close(&other);
    }
    vkb_context_destroy(&ctx);
    return NULL;
}

TEST(contexts_are_independent)
{
    pthread_t threads[2];
    bool ok[2] = {true, true};
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, open_often, &ok[i]) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(ok[0] && ok[1]);
}

// ---- Sentences, in an environment of their own ----

static const char *program;

// Runs this program again with NAME=value in its environment; what it prints is in `said`.
static int again(const char *variable, const char *value, const char *mode, char *said, size_t room)
{
    int ends[2], code = -1;
    if (pipe(ends) != 0)
        temp_failed("pipe");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        setenv(variable, value, 1);
        if (strcmp(variable, "VK_DRIVER_FILES") == 0)
            setenv("VK_ICD_FILENAMES", value, 1); // what older loaders call it
        execl(program, program, mode, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(ends[0], said + used, room - 1 - used)) > 0;)
        used += (size_t)got;
    said[used] = 0;
    close(ends[0]);
    waitpid(child, &code, 0);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

// What the program does then: the status of listing and opening is the exit code.
static int list_and_open(bool validate)
{
    vkb_context *ctx = vkb_context_create(NULL, NULL);
    vkb_device *opened = NULL;
    vkb_device_info *list = NULL;
    size_t count = 0;
    vkb_status status = VKB_OK;
    if (!validate)
        status = vkb_device_list(ctx, &list, &count);
    free(list);
    if (status == VKB_OK || status == VKB_NO_DEVICE)
        status = vkb_device_open(ctx, &(vkb_device_params){.validate = validate}, &opened);
    printf("%s\n", vkb_error(ctx));
    vkb_device_close(&opened);
    vkb_context_destroy(&ctx);
    return vkb_exit_code(status);
}

TEST(no_loader_is_one_sentence)
{
    // Files that are no libraries, found before the real ones.
    char said[4096], *folder = temp_folder();
    temp_write_text(folder, "libvulkan.so.1", "none");
    temp_write_text(folder, "libvulkan.so", "none");
    CHECK_INT(again("LD_LIBRARY_PATH", folder, "open", said, sizeof(said)), 4);
    CHECK_HAS(said, "no Vulkan loader was found: install");
    temp_remove(folder);
}

TEST(no_driver_is_one_sentence)
{
    char said[4096];
    CHECK_INT(again("VK_DRIVER_FILES", "/nonexistent.json", "open", said, sizeof(said)), 4);
    CHECK_HAS(said, "no Vulkan driver was found");
    CHECK_HAS(said, "/nonexistent.json");
}

TEST(no_validation_layer_is_one_sentence)
{
    char said[4096];
    CHECK_INT(again("VK_LAYER_PATH", "/nonexistent", "validate", said, sizeof(said)), 4);
    CHECK_HAS(said, "VK_LAYER_KHRONOS_validation is not installed");
}

static void all_tests(vkb_device *device)
{
    dev = device;
    RUN(info_is_filled);
    RUN(opens_by_name_and_uuid);
    RUN(takes_no_more_memory_than_allowed);
    RUN(the_shader_hash_has_16_digits);
    RUN(a_lost_device_refuses_work_and_closes);
    RUN(the_pipeline_cache_is_kept_and_a_damaged_one_ignored);
    RUN(contexts_are_independent);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return list_and_open(strcmp(argv[1], "validate") == 0);
    program = argv[0];
    RUN(no_loader_is_one_sentence);
    RUN(no_driver_is_one_sentence);
    RUN(no_validation_layer_is_one_sentence);
    devices_run(all_tests);
    return check_report();
}
