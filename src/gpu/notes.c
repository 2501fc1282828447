// What was found out about a device: texts by kind and key, in memory; notes_file.c keeps them.
#include "gpu/internal.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

static gpu_noted *find(const gpu_notes *notes, gpu_note_kind kind, const char *key)
{
    for (size_t i = 0; i < notes->count; i++)
        if (notes->at[i].kind == kind && strcmp(notes->at[i].key, key) == 0)
            return &notes->at[i];
    return NULL;
}

// A copy for a line of the file, which tabs and ends of lines would break.
static char *one_line(const char *text)
{
    char *copy = strdup(text);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    return copy;
}

static void noted_free(gpu_noted *noted)
{
    free(noted->key);
    free(noted->text);
}

// Takes out all of a kind, or all but those of it.
static void take_out(gpu_notes *notes, gpu_note_kind kind, bool others)
{
    size_t left = 0;
    for (size_t i = 0; i < notes->count; i++) {
        if ((notes->at[i].kind == kind) != others)
            noted_free(&notes->at[i]);
        else
            notes->at[left++] = notes->at[i];
    }
    notes->count = left;
}

void gpu_note_clear(vkb_device *dev, gpu_note_kind kind)
{
    take_out(&dev->notes, kind, false);
}

void gpu_notes_clear_kept(vkb_device *dev)
{
    take_out(&dev->notes, GPU_NOTE_IN_USE, true);
}

bool gpu_notes_add(gpu_notes *notes, gpu_note_kind kind, const char *key, const char *text)
{
    gpu_noted added = {.kind = kind, .key = one_line(key), .text = one_line(text)};
    gpu_noted *found = find(notes, kind, key);
    if (!added.key || !added.text || (!found && !array_reserve(notes, notes->count + 1))) {
        noted_free(&added);
        return false;
    }
    if (found)
        noted_free(found);
    else
        found = &notes->at[notes->count++];
    *found = added;
    return true;
}

const char *gpu_note(const vkb_device *dev, gpu_note_kind kind, const char *key)
{
    const gpu_noted *found = find(&dev->notes, kind, key);
    return found ? found->text : NULL;
}

bool gpu_note_at(const vkb_device *dev, gpu_note_kind kind, size_t index, const char **key,
                 const char **text)
{
    const gpu_notes *notes = &dev->notes;
    for (size_t i = 0; i < notes->count; i++)
        if (notes->at[i].kind == kind && index-- == 0) {
            *key = notes->at[i].key;
            *text = notes->at[i].text;
            return true;
        }
    return false;
}

vkb_status gpu_note_set(vkb_device *dev, gpu_note_kind kind, const char *key, const char *text)
{
    gpu_notes *notes = &dev->notes;
    if (text && !gpu_notes_add(notes, kind, key, text))
        return vkb_fail_memory(dev->ctx, strlen(key) + strlen(text), "a note");
    gpu_noted *found = text ? NULL : find(notes, kind, key);
    if (found) {
        noted_free(found);
        memmove(found, found + 1, (size_t)(notes->at + notes->count - found - 1) * sizeof(*found));
        notes->count--;
    }
    return VKB_OK;
}

const char *gpu_notes_path(const vkb_device *dev)
{
    return dev->notes.path;
}
