// Which device to take: what was asked for by index, UUID, "cpu" or a part of the name; else the
// best: discrete, then integrated, then virtual, then software.
#include "gpu/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

vkb_status vkb_device_list(vkb_context *ctx, vkb_device_info **out, size_t *out_count)
{
    gpu_instance *instance = NULL;
    gpu_physical *list = NULL;
    size_t count = 0;
    vkb_device_info *infos = NULL;
    vkb_status status = VKB_OK;
    BASE_TRY(gpu_instance_create(ctx, false, &instance));
    BASE_TRY(gpu_probe_all(instance, &list, &count));
    infos = calloc(count, sizeof(*infos));
    if (!infos)
        BASE_TRY(vkb_fail_memory(ctx, count * sizeof(*infos), "the list of devices"));
    for (size_t i = 0; i < count; i++)
        infos[i] = list[i].info;
    *out = infos;
    *out_count = count;
cleanup:
    free(list);
    gpu_instance_destroy(&instance);
    return status;
}

// Smaller is better.
static int rank(const vkb_device_info *info)
{
    static const int ranks[] = {
        [VKB_DISCRETE] = 0, [VKB_INTEGRATED] = 1, [VKB_VIRTUAL] = 2,
        [VKB_OTHER] = 3,    [VKB_SOFTWARE] = 4,
    };
    return ranks[info->type];
}

static bool has_part(const char *name, const char *part)
{
    size_t length = strlen(part);
    for (; *name; name++)
        if (strncasecmp(name, part, length) == 0)
            return true;
    return false;
}

// 32 hex digits, dashes anywhere between them.
static bool is_uuid(const char *text, const char *uuid)
{
    size_t digits = 0;
    for (; *text; text++) {
        if (*text == '-')
            continue;
        if (digits == 32 || tolower((unsigned char)*text) != uuid[digits])
            return false;
        digits++;
    }
    return digits == 32;
}

static bool is_index(const char *text, size_t *index)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    *index = (size_t)strtoull(text, &end, 10);
    return *end == 0;
}

static bool matches(const char *select, const gpu_physical *list, size_t count, size_t i)
{
    size_t index;
    if (is_index(select, &index) && index < count)
        return i == index;
    if (strcasecmp(select, "cpu") == 0)
        return list[i].info.type == VKB_SOFTWARE;
    return is_uuid(select, list[i].info.uuid) || has_part(list[i].info.name, select);
}

static vkb_status fail_no_match(vkb_context *ctx, const char *select, const gpu_physical *list,
                                size_t count)
{
    char names[1024] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof(names) - used, "%s%zu \"%s\"", i ? ", " : "", i,
                 list[i].info.name);
    }
    if (strcasecmp(select, "cpu") == 0)
        return vkb_fail(ctx, VKB_NO_DEVICE,
                        "no software driver is installed (Debian, Ubuntu: apt install "
                        "mesa-vulkan-drivers); there is %s",
                        names);
    return vkb_fail(ctx, VKB_NO_DEVICE,
                    "no Vulkan device is \"%s\"; there is %s: give an index, a part of the name, a "
                    "UUID, or cpu",
                    select, names);
}

// Of two of a kind the one with more memory; of equal ones the first stays.
static bool is_better(const vkb_device_info *a, const vkb_device_info *b)
{
    if (rank(a) != rank(b))
        return rank(a) < rank(b);
    return a->device_memory > b->device_memory;
}

vkb_status gpu_choose(vkb_context *ctx, const char *select, const gpu_physical *list, size_t count,
                      const gpu_physical **chosen)
{
    if (!select || !*select)
        select = getenv("VKBERT_DEVICE");
    bool asked = select && *select;
    const gpu_physical *best = NULL, *unusable = NULL;
    for (size_t i = 0; i < count; i++) {
        if (asked && !matches(select, list, count, i))
            continue;
        if (list[i].info.unusable[0])
            unusable = unusable ? unusable : &list[i];
        else if (!best || is_better(&list[i].info, &best->info))
            best = &list[i];
    }
    if (!best && unusable)
        return vkb_fail(ctx, VKB_NO_DEVICE, "%s cannot be used: %s", unusable->info.name,
                        unusable->info.unusable);
    if (!best)
        return fail_no_match(ctx, select, list, count);
    if (!asked && best->info.type == VKB_SOFTWARE)
        vkb_log(ctx, VKB_LOG_WARNING, "no GPU was found: using the software driver %s",
                best->info.name);
    *chosen = best;
    return VKB_OK;
}
