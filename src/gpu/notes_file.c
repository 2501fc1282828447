// The notes of a device on disk, beside the pipeline cache: one file for each device, driver version and
// set of shaders. Lines of text, so that a person can read what was chosen and take a line out:
//
//     vkbert notes 1
//     for     DEVICE DRIVER SHADERS
//     choice  NT 2048x512x128   lanes 48
//     fault   lanes 16          gave wrong numbers
//     trial   lanes 32          being tried
//     sum     HASH              (of all bytes before this line)
//
// with tabs between the fields. A file that is damaged, of another format or for something else is left
// alone until it is written anew. Who writes holds the lock beside it, so that there is one at a time.
#include "gpu/internal.h"

#include "base/array.h"
#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define FIRST_LINE "vkbert notes 1\n"
#define LEFT_BEHIND "the program ended while it was tried"

static const struct {
    const char *word;
    gpu_note_kind kind;
} kept[] = {
    {"choice", GPU_NOTE_CHOICE},
    {"fault", GPU_NOTE_FAULT},
    {"trial", GPU_NOTE_TRIAL},
};

// ---- Text ----

typedef struct text {
    char *at;
    size_t count, capacity;
    bool failed; // memory
} text;

static void add(text *t, const char *format, ...) BASE_PRINTF(2, 3);
static void add(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    t->failed = t->failed || length < 0 || !array_reserve(t, t->count + (size_t)length + 1);
    if (t->failed)
        return;
    va_start(args, format);
    vsnprintf(t->at + t->count, (size_t)length + 1, format, args);
    va_end(args);
    t->count += (size_t)length;
}

// The file's second line: a driver of the same version may be another build, which its cache's UUID tells.
static void add_owner(text *t, const vkb_device *dev)
{
    add(t, "for\t%s\t%08x-", dev->physical.info.uuid, dev->physical.driver_version);
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        add(t, "%02x", dev->physical.cache_uuid[i]);
    add(t, "\t%s\n", vkb_shader_hash());
}

static text write_text(const vkb_device *dev)
{
    const gpu_notes *notes = &dev->notes;
    text t = {0};
    add(&t, FIRST_LINE);
    add_owner(&t, dev);
    for (size_t k = 0; k < BASE_COUNT(kept); k++)
        for (size_t i = 0; i < notes->count; i++)
            if (notes->at[i].kind == kept[k].kind)
                add(&t, "%s\t%s\t%s\n", kept[k].word, notes->at[i].key, notes->at[i].text);
    add(&t, "sum\t%016" PRIx64 "\n", t.failed ? 0 : hash_bytes(HASH_START, t.at, t.count));
    return t;
}

// ---- Reading ----

// Cuts a line at its tabs into fields; false: there are not so many.
static bool cut(char *line, char **fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fields[i] = line;
        line = line ? strchr(line, '\t') : NULL;
        if (i + 1 < count && !line)
            return false;
        if (line && i + 1 < count)
            *line++ = 0;
    }
    return true;
}

// Whether the text is whole: its last line has the hash of what is before it.
static bool is_whole(const char *at, size_t bytes)
{
    char expected[32];
    const size_t last = strlen("sum\t0123456789abcdef\n");
    if (bytes < last || strlen(at) != bytes)
        return false;
    snprintf(expected, sizeof(expected), "sum\t%016" PRIx64 "\n",
             hash_bytes(HASH_START, at, bytes - last));
    return strcmp(at + bytes - last, expected) == 0;
}

// Takes the notes of a file's text; false: they are not for this device, or damaged.
static bool take(vkb_device *dev, char *at, size_t bytes)
{
    text owner = {0};
    add_owner(&owner, dev);
    const size_t first = strlen(FIRST_LINE);
    bool good = !owner.failed && is_whole(at, bytes) && strncmp(at, FIRST_LINE, first) == 0 &&
                strncmp(at + first, owner.at, owner.count) == 0;
    char *line = good ? at + first + owner.count : NULL;
    free(owner.at);
    gpu_notes_clear_kept(dev);
    while (good && *line) {
        char *end = strchr(line, '\n'), *fields[3];
        *end = 0;
        if (strncmp(line, "sum\t", 4) == 0)
            break;
        good = cut(line, fields, BASE_COUNT(fields));
        for (size_t k = 0; good && k < BASE_COUNT(kept); k++)
            if (strcmp(fields[0], kept[k].word) == 0)
                good = gpu_notes_add(&dev->notes, kept[k].kind, fields[1], fields[2]);
        line = end + 1;
    }
    if (!good)
        gpu_notes_clear_kept(dev);
    return good;
}

// A trial that nobody is making any more killed the program or the machine: never again.
static void take_trials(vkb_device *dev, bool tell)
{
    const char *key, *mark;
    for (size_t i = 0; gpu_note_at(dev, GPU_NOTE_TRIAL, i, &key, &mark); i++) {
        if (tell)
            vkb_log(dev->ctx, VKB_LOG_WARNING, "%s: kernel variant %s is not used: " LEFT_BEHIND,
                    dev->physical.info.name, key);
        if (!gpu_notes_add(&dev->notes, GPU_NOTE_FAULT, key, LEFT_BEHIND))
            return; // memory: it stays a trial
    }
    gpu_note_clear(dev, GPU_NOTE_TRIAL);
}

static void read_file(vkb_device *dev)
{
    // A context of its own, so that no sentence of ours hides the caller's.
    vkb_context *quiet = vkb_context_create(NULL, NULL);
    char *at = NULL;
    size_t bytes = 0;
    if (quiet && file_exists(dev->notes.path) &&
        (file_read(quiet, dev->notes.path, &at, &bytes) != VKB_OK || !take(dev, at, bytes)))
        vkb_log(dev->ctx, VKB_LOG_WARNING,
                "%s is damaged or not of this vkbert: what was measured is measured again",
                dev->notes.path);
    free(at);
    vkb_context_destroy(&quiet);
}

// ---- Lock ----

typedef enum lock_result { LOCK_TAKEN, LOCK_BUSY, LOCK_CANNOT } lock_result;

static lock_result take_lock(vkb_device *dev, int how)
{
    const size_t room = strlen(dev->notes.path) + 8;
    char *path = malloc(room);
    if (!path)
        return LOCK_CANNOT;
    snprintf(path, room, "%s.lock", dev->notes.path);
    dev->notes.lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    free(path);
    if (dev->notes.lock < 0)
        return LOCK_CANNOT;
    if (flock(dev->notes.lock, how | LOCK_NB) == 0)
        return LOCK_TAKEN;
    const bool busy = errno == EWOULDBLOCK;
    close(dev->notes.lock);
    dev->notes.lock = -1;
    return busy ? LOCK_BUSY : LOCK_CANNOT;
}

void gpu_notes_end(vkb_device *dev)
{
    if (dev->notes.lock >= 0)
        close(dev->notes.lock);
    dev->notes.lock = -1;
}

// ---- For the device ----

void gpu_notes_open(vkb_device *dev, bool no_file)
{
    dev->notes.lock = -1;
    dev->notes.path = no_file ? NULL : gpu_cache_path(dev, "tuning", "txt");
    if (!dev->notes.path || !file_exists(dev->notes.path))
        return;
    read_file(dev);
    const char *key, *mark;
    if (!gpu_note_at(dev, GPU_NOTE_TRIAL, 0, &key, &mark))
        return;
    // Someone may be trying it just now.
    if (take_lock(dev, LOCK_SH) != LOCK_BUSY)
        take_trials(dev, false);
    gpu_notes_end(dev);
}

void gpu_notes_close(vkb_device *dev)
{
    gpu_notes_end(dev);
    gpu_notes_clear_kept(dev);
    gpu_note_clear(dev, GPU_NOTE_IN_USE);
    free(dev->notes.at);
    free(dev->notes.path);
    dev->notes = (gpu_notes){.lock = -1};
}

// ---- Writing ----

static void nothing_is_kept(vkb_device *dev, const char *why)
{
    vkb_log(dev->ctx, VKB_LOG_WARNING, "what is measured is not remembered: %s", why);
    free(dev->notes.path);
    dev->notes.path = NULL;
}

bool gpu_notes_begin(vkb_device *dev, double seconds)
{
    vkb_context *quiet = vkb_context_create(NULL, NULL);
    char *folder = path_cache_folder();
    lock_result result = LOCK_CANNOT;
    if (dev->notes.path && quiet && folder && folder_create(quiet, folder) == VKB_OK) {
        result = take_lock(dev, LOCK_EX);
        for (; result == LOCK_BUSY && seconds > 0; seconds -= 0.1) {
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
            result = take_lock(dev, LOCK_EX);
        }
    }
    // Where files cannot be made or locked, gpu_notes_write says so.
    if (dev->notes.path && result != LOCK_BUSY) {
        read_file(dev);
        take_trials(dev, true);
    }
    free(folder);
    vkb_context_destroy(&quiet);
    return result != LOCK_BUSY;
}

void gpu_notes_write(vkb_device *dev, bool sync)
{
    if (!dev->notes.path)
        return;
    vkb_context *quiet = vkb_context_create(NULL, NULL);
    text t = write_text(dev);
    if (t.failed || !quiet)
        nothing_is_kept(dev, "memory is exhausted");
    else if ((sync ? file_write_whole : file_write_soon)(quiet, dev->notes.path, t.at, t.count) !=
             VKB_OK)
        nothing_is_kept(dev, vkb_error(quiet));
    free(t.at);
    vkb_context_destroy(&quiet);
}
