// What a pickle may import and call, and what comes of it: torch's tensors.
#include "hf/pickle_machine.h"

#include "hf/json.h"

#include <string.h>

typedef enum global_role {
    ORDERED_DICT,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    SIZE,
    STORAGE_TYPE,
} global_role;

static const struct {
    const char *module, *name;
    global_role role;
    hf_dtype dtype; // of a storage
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0},
    {"torch", "Size", SIZE, 0},
    {"torch", "FloatStorage", STORAGE_TYPE, HF_F32},
    {"torch", "HalfStorage", STORAGE_TYPE, HF_F16},
    {"torch", "BFloat16Storage", STORAGE_TYPE, HF_BF16},
    {"torch", "DoubleStorage", STORAGE_TYPE, HF_F64},
    {"torch", "LongStorage", STORAGE_TYPE, HF_I64},
    {"torch", "IntStorage", STORAGE_TYPE, HF_I32},
    {"torch", "ShortStorage", STORAGE_TYPE, HF_I16},
    {"torch", "CharStorage", STORAGE_TYPE, HF_I8},
    {"torch", "ByteStorage", STORAGE_TYPE, HF_U8},
    {"torch", "BoolStorage", STORAGE_TYPE, HF_BOOL},
};

static vkb_status refuse_global(pickle *p, pickle_value module, pickle_value name)
{
    static const char storage[] = "Storage";
    const size_t tail = sizeof(storage) - 1;
    bool numbers = pickle_is_text(module, "torch") && name.bytes > tail &&
                   memcmp(name.is.text + name.bytes - tail, storage, tail) == 0;
    return vkb_fail(p->ctx, VKB_BAD_FILE, "%s: unsupported global %s.%s at byte %zu, refusing: %s",
                    p->path, hf_shown(module.is.text, module.bytes).text,
                    hf_shown(name.is.text, name.bytes).text, (size_t)(p->op - p->file),
                    numbers ? "vkbert does not read numbers of this type"
                            : "a model's weights do not need it, and it could run code");
}

vkb_status pickle_push_global(pickle *p, pickle_value module, pickle_value name)
{
    for (size_t i = 0; i < BASE_COUNT(globals); i++)
        if (pickle_is_text(module, globals[i].module) && pickle_is_text(name, globals[i].name))
            return pickle_push(p, (pickle_value){.kind = PICKLE_GLOBAL, .is.index = i});
    return refuse_global(p, module, name);
}

static bool is_global(pickle_value value, global_role role)
{
    return value.kind == PICKLE_GLOBAL && globals[value.is.index].role == role;
}

static bool is_sequence(pickle_value value)
{
    return value.kind == PICKLE_TUPLE || value.kind == PICKLE_LIST;
}

// OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 wrote it.
static vkb_status call_ordered_dict(pickle *p, const pickle_items *arguments)
{
    vkb_status status = pickle_push_object(p, PICKLE_DICT, NULL, 0);
    const size_t dict = p->objects.count - 1;
    if (status != VKB_OK || arguments->count == 0)
        return status;
    if (arguments->count != 1 || !is_sequence(arguments->at[0]))
        return pickle_refuse(p, "makes an OrderedDict of something else than pairs");
    const size_t list = arguments->at[0].is.index;
    for (size_t i = 0; i < p->objects.at[list].count && status == VKB_OK; i++) {
        const pickle_value pair = p->objects.at[list].at[i];
        if (!is_sequence(pair) || pickle_items_of(p, pair)->count != 2)
            return pickle_refuse(p, "makes an OrderedDict of something else than pairs");
        status = pickle_append(p, &p->objects.at[dict], pickle_items_of(p, pair)->at, 2);
    }
    return status;
}

vkb_status pickle_op_reduce(pickle *p, uint64_t number, int detail)
{
    (void)number, (void)detail;
    const pickle_value *call = pickle_pop(p, 2);
    if (!call || call[0].kind != PICKLE_GLOBAL || call[1].kind != PICKLE_TUPLE)
        return pickle_refuse(p, "finds no global and its arguments");
    const pickle_value function = call[0], tuple = call[1];
    const pickle_items arguments = *pickle_items_of(p, tuple);
    const pickle_value *a = arguments.at;
    if (is_global(function, ORDERED_DICT))
        return call_ordered_dict(p, &arguments);
    if (is_global(function, SIZE) && arguments.count == 1 && is_sequence(a[0]))
        return pickle_push(p, (pickle_value){.kind = PICKLE_TUPLE, .is = a[0].is});
    if (is_global(function, REBUILD_PARAMETER) && arguments.count == 3 &&
        a[0].kind == PICKLE_TENSOR)
        return pickle_push(p, a[0]);
    if (is_global(function, REBUILD_TENSOR) && arguments.count >= 6 &&
        a[0].kind == PICKLE_STORAGE && a[1].kind == PICKLE_INT && a[2].kind == PICKLE_TUPLE &&
        a[3].kind == PICKLE_TUPLE)
        return pickle_push(p, (pickle_value){.kind = PICKLE_TENSOR, .is = tuple.is});
    return pickle_refuse(p, "has arguments that its global does not take");
}

// Attributes, such as the _metadata of a state dict, are of no use here.
vkb_status pickle_op_build(pickle *p, uint64_t number, int detail)
{
    (void)number, (void)detail;
    return pickle_pop(p, 1) && pickle_top(p) && pickle_top(p)->kind == PICKLE_DICT
               ? VKB_OK
               : pickle_refuse(p, "sets attributes of something else than an OrderedDict");
}

// ("storage", type, key, location, count[, view]); the location, a device, is of no use here.
vkb_status pickle_op_persistent(pickle *p, uint64_t number, int detail)
{
    (void)number, (void)detail;
    const pickle_value *id = pickle_pop(p, 1);
    if (!id || id->kind != PICKLE_TUPLE)
        return pickle_refuse(p, "finds no tuple");
    const pickle_items *items = pickle_items_of(p, *id);
    const pickle_value *a = items->at;
    if ((items->count != 5 && items->count != 6) || !pickle_is_text(a[0], "storage") ||
        !is_global(a[1], STORAGE_TYPE) || a[2].kind != PICKLE_STRING || a[4].kind != PICKLE_INT ||
        a[4].is.integer < 0)
        return pickle_refuse(p, "finds no storage");
    if (items->count == 6 && a[5].kind != PICKLE_NONE)
        return pickle_refuse(p,
                             "has a view of a storage, which PyTorch has not written since 2017");
    vkb_status status = PICKLE_RESERVE(p, &p->storages, p->storages.count + 1);
    if (status != VKB_OK)
        return status;
    p->storages.at[p->storages.count] = (pickle_storage){
        .key = a[2], .dtype = globals[a[1].is.index].dtype, .count = (uint64_t)a[4].is.integer};
    return pickle_push(p, (pickle_value){.kind = PICKLE_STORAGE, .is.index = p->storages.count++});
}
