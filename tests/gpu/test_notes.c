// Notes of a device: kept between openings, refused when damaged or of something else, one writer at a time.
#include "check.h"
#include "devices.h"
#include "temp.h"

#include "gpu/gpu.h"

static vkb_context *ctx;
static char uuid[33], *folder;
static char last_warning[1024];

static void keep_warning(void *user, vkb_log_level level, const char *sentence)
{
    (void)user;
    if (level <= VKB_LOG_WARNING)
        snprintf(last_warning, sizeof(last_warning), "%s", sentence);
}

static vkb_device *open_device(bool no_cache)
{
    const vkb_device_params params = {
        .select = uuid, .no_cache = no_cache, .validate = devices_validate()};
    vkb_device *dev = NULL;
    if (vkb_device_open(ctx, &params, &dev) != VKB_OK) {
        printf("FAIL: %s\n", vkb_error(ctx));
        exit(1);
    }
    return dev;
}

// Notes written in one opening of the device.
static char *write_notes(void)
{
    vkb_device *dev = open_device(false);
    CHECK(gpu_notes_begin(dev, 0));
    CHECK(gpu_note_set(dev, GPU_NOTE_CHOICE, "NT 1x2x3", "lanes 48") == VKB_OK);
    CHECK(gpu_note_set(dev, GPU_NOTE_CHOICE, "NN 1x2x3", "tile\t64\n") == VKB_OK);
    CHECK(gpu_note_set(dev, GPU_NOTE_CHOICE, "TN 1x2x3", "away") == VKB_OK);
    CHECK(gpu_note_set(dev, GPU_NOTE_CHOICE, "TN 1x2x3", NULL) == VKB_OK);
    CHECK(gpu_note_set(dev, GPU_NOTE_FAULT, "lanes 16", "gave wrong numbers") == VKB_OK);
    CHECK(gpu_note_set(dev, GPU_NOTE_IN_USE, "NT 1x2x3", "lanes 48") == VKB_OK);
    gpu_notes_write(dev, false);
    gpu_notes_end(dev);
    char *path = strdup(gpu_notes_path(dev));
    vkb_device_close(&dev);
    return path;
}

TEST(notes_are_kept_and_what_is_in_use_is_not)
{
    char *path = write_notes();
    vkb_device *dev = open_device(false);
    const char *key, *text;
    CHECK_STR(gpu_note(dev, GPU_NOTE_CHOICE, "NT 1x2x3"), "lanes 48");
    CHECK_STR(gpu_note(dev, GPU_NOTE_CHOICE, "NN 1x2x3"), "tile 64 ");
    CHECK(gpu_note(dev, GPU_NOTE_CHOICE, "TN 1x2x3") == NULL);
    CHECK_STR(gpu_note(dev, GPU_NOTE_FAULT, "lanes 16"), "gave wrong numbers");
    CHECK(gpu_note(dev, GPU_NOTE_IN_USE, "NT 1x2x3") == NULL);
    CHECK(gpu_note_at(dev, GPU_NOTE_CHOICE, 1, &key, &text));
    CHECK_STR(key, "NN 1x2x3");
    CHECK(!gpu_note_at(dev, GPU_NOTE_CHOICE, 2, &key, &text));
    vkb_device_close(&dev);

    dev = open_device(true);
    CHECK(gpu_notes_path(dev) == NULL);
    CHECK(gpu_note(dev, GPU_NOTE_CHOICE, "NT 1x2x3") == NULL);
    vkb_device_close(&dev);
    free(path);
}

TEST(what_a_process_left_in_trial_is_a_fault)
{
    free(write_notes());
    vkb_device *dev = open_device(false), *other = NULL;
    CHECK(gpu_notes_begin(dev, 0));
    CHECK(gpu_note_set(dev, GPU_NOTE_TRIAL, "lanes 32", "being tried") == VKB_OK);
    gpu_notes_write(dev, false);
    other = open_device(false); // it is being tried: neither good nor bad yet
    CHECK(gpu_note(other, GPU_NOTE_FAULT, "lanes 32") == NULL);
    vkb_device_close(&other);
    vkb_device_close(&dev); // without an end: as of a process that was killed

    dev = open_device(false);
    CHECK_HAS(gpu_note(dev, GPU_NOTE_FAULT, "lanes 32"), "ended while it was tried");
    CHECK(gpu_note(dev, GPU_NOTE_TRIAL, "lanes 32") == NULL);
    *last_warning = 0;
    CHECK(gpu_notes_begin(dev, 0)); // reads it again, and says so
    CHECK_HAS(last_warning, "lanes 32 is not used");
    CHECK_HAS(gpu_note(dev, GPU_NOTE_FAULT, "lanes 32"), "ended while it was tried");
    vkb_device_close(&dev);
}

TEST(one_measures_at_a_time_and_sees_what_the_one_before_kept)
{
    free(write_notes());
    vkb_device *first = open_device(false), *second = open_device(false);
    CHECK(gpu_note_set(second, GPU_NOTE_IN_USE, "NN", "tile 32") == VKB_OK);
    CHECK(gpu_notes_begin(first, 0));
    CHECK(!gpu_notes_begin(second, 0.15));
    CHECK(gpu_note_set(first, GPU_NOTE_CHOICE, "TN 4x4x4", "tile 32") == VKB_OK);
    gpu_notes_write(first, true);
    gpu_notes_end(first);
    CHECK(gpu_notes_begin(second, 0));
    CHECK_STR(gpu_note(second, GPU_NOTE_CHOICE, "TN 4x4x4"), "tile 32");
    CHECK_STR(gpu_note(second, GPU_NOTE_IN_USE, "NN"), "tile 32");
    gpu_notes_end(second);
    vkb_device_close(&first);
    vkb_device_close(&second);
}

// The file as it is after `change`, if anything of it is taken.
static void check_refused(const char *path, const char *at, size_t bytes, const char *what)
{
    check_case = what;
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(at, 1, bytes, file) == bytes && fclose(file) == 0);
    *last_warning = 0;
    vkb_device *dev = open_device(false);
    CHECK(gpu_note(dev, GPU_NOTE_CHOICE, "NT 1x2x3") == NULL);
    CHECK(gpu_note(dev, GPU_NOTE_FAULT, "lanes 16") == NULL);
    CHECK_HAS(last_warning, "is damaged or not of this vkbert");
    vkb_device_close(&dev);
}

TEST(a_damaged_or_foreign_file_is_refused_and_written_anew)
{
    char *path = write_notes();
    size_t bytes = 0;
    const char *name = strrchr(path, '/') + 1;
    char *good = temp_read(folder, name, &bytes);
    char *bad = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i += 11) { // opening a device takes a while
        memcpy(bad, good, bytes);
        bad[i] ^= 1;
        check_refused(path, bad, bytes, "a changed bit");
    }
    memcpy(bad, good, bytes);
    bad[bytes / 2] = 0;
    check_refused(path, bad, bytes, "a NUL");
    check_refused(path, good, bytes - 1, "cut by a byte");
    check_refused(path, good, bytes / 2, "cut in the middle");
    check_refused(path, good, 0, "empty");
    check_refused(path, "sum\tcbf29ce484222325\n", 21, "no lines");
    check_case = "";
    free(bad);
    free(good);
    free(path);
    path = write_notes();
    vkb_device *dev = open_device(false);
    CHECK_STR(gpu_note(dev, GPU_NOTE_CHOICE, "NT 1x2x3"), "lanes 48");
    vkb_device_close(&dev);
    free(path);
}

TEST(where_nothing_can_be_written_it_goes_on_and_says_so)
{
    setenv("VKBERT_CACHE", "/dev/null/nowhere", 1);
    vkb_device *dev = open_device(false);
    *last_warning = 0;
    CHECK(gpu_notes_begin(dev, 0));
    CHECK(gpu_note_set(dev, GPU_NOTE_CHOICE, "NT", "lanes 48") == VKB_OK);
    gpu_notes_write(dev, false);
    gpu_notes_end(dev);
    CHECK_HAS(last_warning, "is not remembered");
    CHECK_STR(gpu_note(dev, GPU_NOTE_CHOICE, "NT"), "lanes 48");
    vkb_device_close(&dev);
    setenv("VKBERT_CACHE", folder, 1);
}

static void all_tests(vkb_device *dev)
{
    memcpy(uuid, vkb_device_get_info(dev)->uuid, sizeof(uuid));
    RUN(notes_are_kept_and_what_is_in_use_is_not);
    RUN(what_a_process_left_in_trial_is_a_fault);
    RUN(one_measures_at_a_time_and_sees_what_the_one_before_kept);
    RUN(a_damaged_or_foreign_file_is_refused_and_written_anew);
    RUN(where_nothing_can_be_written_it_goes_on_and_says_so);
    temp_empty(folder);
}

int main(void)
{
    folder = temp_folder();
    setenv("VKBERT_CACHE", folder, 1);
    ctx = vkb_context_create(keep_warning, NULL);
    const int ran = ctx ? devices_run(all_tests) : 0;
    vkb_context_destroy(&ctx);
    temp_remove(folder);
    return ran ? check_report() : 77;
}
