// vkbert devices: what the Vulkan loader finds, and why a device is unusable.
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct devices_options {
    common_options common;
    bool json;
} devices_options;

static const flag rows[] = {
    FLAG_GROUP("Devices"),
    {"json", FLAG_BOOL, offsetof(devices_options, json), .help = "one JSON document"},
    CLI_FLAGS_OUTPUT,
};

static const char *type_name(vkb_device_type type)
{
    static const char *names[] = {"discrete", "integrated", "virtual", "software", "other"};
    return (size_t)type < CLI_COUNT(names) ? names[type] : "other";
}

static const char *vendor_name(uint32_t id)
{
    static const struct {
        uint32_t id;
        const char *name;
    } vendors[] = {
        {0x1002, "AMD"},    {0x1010, "Imagination"}, {0x106B, "Apple"},    {0x10DE, "NVIDIA"},
        {0x13B5, "Arm"},    {0x14E4, "Broadcom"},    {0x5143, "Qualcomm"}, {0x8086, "Intel"},
        {0x1AE0, "Google"}, {0x10005, "Mesa"},
    };
    for (size_t i = 0; i < CLI_COUNT(vendors); i++) {
        if (vendors[i].id == id)
            return vendors[i].name;
    }
    return "unknown vendor";
}

static short_text show_api(uint32_t version)
{
    short_text shown;
    snprintf(shown.text, sizeof(shown.text), "%u.%u.%u", version >> 22 & 0x7F,
             version >> 12 & 0x3FF, version & 0xFFF);
    return shown;
}

static cJSON *matrix_json(const vkb_device_info *info)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < info->matrix_count && i < CLI_COUNT(info->matrix); i++) {
        const vkb_cooperative_matrix *shape = &info->matrix[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "m", shape->m);
        cJSON_AddNumberToObject(item, "n", shape->n);
        cJSON_AddNumberToObject(item, "k", shape->k);
        cJSON_AddStringToObject(item, "a", shape->a);
        cJSON_AddStringToObject(item, "b", shape->b);
        cJSON_AddStringToObject(item, "c", shape->c);
        cJSON_AddStringToObject(item, "result", shape->result);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

enum { MOST_PRODUCTS = 16 };

static cJSON *products_json(const vkb_device_info *info)
{
    vkb_products list[MOST_PRODUCTS];
    const size_t count = vkb_device_products(info, list, MOST_PRODUCTS);
    cJSON *types = cJSON_CreateObject(), *families = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(list[i].type, list[i - 1].type) != 0)
            families = cJSON_AddArrayToObject(types, list[i].type);
        cJSON_AddItemToArray(families, cJSON_CreateString(list[i].family));
    }
    return types;
}

static cJSON *device_json(const vkb_device_info *info, size_t index)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"index", index},
        {"vendor_id", info->vendor_id},
        {"device_id", info->device_id},
        {"device_memory", info->device_memory},
        {"max_allocation", info->max_allocation},
        {"max_storage_range", info->max_storage_range},
        {"max_shared_memory", info->max_shared_memory},
        {"max_workgroup_invocations", info->max_workgroup_invocations},
        {"max_push_constants", info->max_push_constants},
        {"subgroup_size", info->subgroup_size},
        {"min_subgroup_size", info->min_subgroup_size},
        {"max_subgroup_size", info->max_subgroup_size},
    };
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", info->name);
    cJSON_AddStringToObject(item, "type", type_name(info->type));
    cJSON_AddStringToObject(item, "vendor", vendor_name(info->vendor_id));
    cJSON_AddStringToObject(item, "driver", info->driver);
    cJSON_AddStringToObject(item, "uuid", info->uuid);
    cJSON_AddStringToObject(item, "api_version", show_api(info->api_version).text);
    for (size_t i = 0; i < CLI_COUNT(numbers); i++)
        cJSON_AddNumberToObject(item, numbers[i].name, (double)numbers[i].value);
    cJSON_AddBoolToObject(item, "fp16", info->fp16);
    cJSON_AddBoolToObject(item, "storage16", info->storage16);
    cJSON_AddBoolToObject(item, "bf16", info->bf16);
    cJSON_AddBoolToObject(item, "int8", info->int8);
    cJSON_AddBoolToObject(item, "timestamps", info->timestamps);
    cJSON_AddItemToObject(item, "cooperative_matrix", matrix_json(info));
    if (!*info->unusable)
        cJSON_AddItemToObject(item, "products", products_json(info));
    cJSON_AddBoolToObject(item, "usable", !*info->unusable);
    const struct {
        const char *name, *value;
    } texts[] = { // where there is something to say
        {"unusable", info->unusable},
        {"driver_file", info->driver_file},
        {"instead_of", info->instead_of},
        {"faster_driver", info->faster_driver},
    };
    for (size_t i = 0; i < CLI_COUNT(texts); i++)
        if (*texts[i].value)
            cJSON_AddStringToObject(item, texts[i].name, texts[i].value);
    return item;
}

static void print_matrices(const vkb_device_info *info)
{
    printf("   matrices     ");
    for (uint32_t i = 0; i < info->matrix_count && i < CLI_COUNT(info->matrix); i++) {
        const vkb_cooperative_matrix *s = &info->matrix[i];
        printf("%s%ux%ux%u %s*%s+%s=%s", i ? (i % 3 ? ", " : ",\n                ") : "", s->m,
               s->n, s->k, s->a, s->b, s->c, s->result);
    }
    printf("%s\n", info->matrix_count ? "" : "no cooperative matrices");
}

static void print_products(const vkb_device_info *info)
{
    vkb_products list[MOST_PRODUCTS];
    const size_t count = vkb_device_products(info, list, MOST_PRODUCTS);
    printf("   products     ");
    for (size_t i = 0; i < count; i++) {
        const bool next_type = i == 0 || strcmp(list[i].type, list[i - 1].type) != 0;
        printf("%s%s%s%s", i ? next_type ? "; " : ", " : "", next_type ? list[i].type : "",
               next_type ? " by " : "", list[i].family);
    }
    printf("\n");
}

static void print_device(const vkb_device_info *info, size_t index)
{
    printf("%zu  %s\n", index, info->name);
    printf("   type         %s, %s (%04x:%04x)\n", type_name(info->type),
           vendor_name(info->vendor_id), info->vendor_id, info->device_id);
    printf("   driver       %s, Vulkan %s\n", info->driver, show_api(info->api_version).text);
    if (*info->driver_file)
        printf("   newer than   the system's %s; VKBERT_DRIVER=system takes that one\n"
               "   fetched as   %s\n",
               info->instead_of, info->driver_file);
    if (*info->faster_driver)
        printf("   FASTER       a newer driver is to be had: %s\n", info->faster_driver);
    printf("   uuid         %s\n", info->uuid);
    printf("   memory       %s, %s in one allocation, %s in one buffer\n",
           show_bytes(info->device_memory).text, show_bytes(info->max_allocation).text,
           show_bytes(info->max_storage_range).text);
    printf("   subgroups    %u (%u to %u)\n", info->subgroup_size, info->min_subgroup_size,
           info->max_subgroup_size);
    printf("   workgroups   %u invocations, %s shared, %u bytes of push constants\n",
           info->max_workgroup_invocations, show_bytes(info->max_shared_memory).text,
           info->max_push_constants);
    printf("   formats      fp32%s%s%s%s%s\n", info->fp16 ? ", fp16" : "",
           info->storage16 ? ", 16-bit storage" : "", info->bf16 ? ", bf16" : "",
           info->int8 ? ", int8" : "", info->timestamps ? "; timestamps" : "; no timestamps");
    print_matrices(info);
    if (!*info->unusable)
        print_products(info);
    if (*info->unusable)
        printf("   UNUSABLE     %s\n", info->unusable);
}

static vkb_status run(cli_state *cli, flag_set *set)
{
    const devices_options *options = set->options;
    vkb_device_info *list = NULL;
    size_t count = 0;
    vkb_status status = vkb_device_list(cli->ctx, &list, &count);
    cJSON *tree = status == VKB_OK && options->json ? cJSON_CreateArray() : NULL;
    for (size_t i = 0; status == VKB_OK && i < count; i++) {
        if (options->json)
            cJSON_AddItemToArray(tree, device_json(&list[i], i));
        else
            print_device(&list[i], i);
    }
    if (status == VKB_OK && options->json)
        status = output_json(cli, tree);
    free(list);
    return status;
}

const command command_devices = {
    .name = "devices",
    .usage = "[--json]",
    .summary = "Lists the Vulkan devices: type, driver, memory, limits, and why one is unusable",
    .flags = &(const flag_table){.rows = rows, .count = CLI_COUNT(rows)},
    .options_size = sizeof(devices_options),
    .run = run,
};
