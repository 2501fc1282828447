// The machine: a stack, a memo, and one function an opcode.
#include "hf/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

#define BUDGET_LIMIT ((size_t)256 << 20) // of a file of any size: 500,000 tensors
#define BUDGET_SMALL ((size_t)1 << 20)   // of a file of no size

// ---- Failing, and memory within the budget ----

vkb_status pickle_refuse(pickle *p, const char *what)
{
    return vkb_fail(p->ctx, VKB_BAD_FILE,
                    "%s: is not a state dict as torch.save writes it: opcode 0x%02x at byte %zu %s",
                    p->path, *p->op, (size_t)(p->op - p->file), what);
}

vkb_status pickle_charge(pickle *p, size_t bytes)
{
    if (bytes > p->budget)
        return vkb_fail(p->ctx, VKB_BAD_FILE,
                        "%s: its pickle would take more memory than the file itself, refusing",
                        p->path);
    p->budget -= bytes;
    return VKB_OK;
}

vkb_status pickle_reserve(pickle *p, void **at, size_t *capacity, uint64_t wanted, size_t item)
{
    if (wanted <= *capacity)
        return VKB_OK;
    if (wanted > p->budget / item + *capacity)
        return pickle_charge(p, SIZE_MAX);
    size_t larger = wanted > *capacity * 2 ? (size_t)wanted : *capacity * 2;
    // 16: what malloc takes for itself
    vkb_status status = pickle_charge(p, (larger - *capacity) * item + (*capacity ? 0 : 16));
    void *moved = status == VKB_OK ? realloc(*at, larger * item) : NULL;
    if (status == VKB_OK && !moved)
        status = vkb_fail_memory(p->ctx, larger * item, p->path);
    if (status != VKB_OK)
        return status;
    *at = moved;
    *capacity = larger;
    return VKB_OK;
}

vkb_status pickle_append(pickle *p, pickle_items *list, const pickle_value *values, size_t count)
{
    vkb_status status = PICKLE_RESERVE(p, list, list->count + count);
    if (status == VKB_OK && count)
        memcpy(list->at + list->count, values, count * sizeof(*values));
    list->count += status == VKB_OK ? count : 0;
    return status;
}

vkb_status pickle_push(pickle *p, pickle_value value)
{
    return pickle_append(p, &p->stack, &value, 1);
}

const pickle_value *pickle_pop(pickle *p, size_t count)
{
    if (count > p->stack.count)
        return NULL;
    pickle_value *values = p->stack.at + p->stack.count - count;
    for (size_t i = 0; i < count; i++)
        if (values[i].kind == PICKLE_MARK)
            return NULL;
    p->stack.count -= count;
    return values;
}

// Pops what was pushed since the last mark, and the mark.
static const pickle_value *pop_mark(pickle *p, size_t *count)
{
    for (size_t at = p->stack.count; at-- > 0;)
        if (p->stack.at[at].kind == PICKLE_MARK) {
            *count = p->stack.count - at - 1;
            p->stack.count = at;
            return p->stack.at + at + 1;
        }
    return NULL;
}

const pickle_value *pickle_top(const pickle *p)
{
    return p->stack.count ? &p->stack.at[p->stack.count - 1] : NULL;
}

// Takes bytes that follow the opcode; NULL when there are fewer.
static const uint8_t *take(pickle *p, uint64_t bytes)
{
    const uint8_t *at = p->at;
    if (bytes > (size_t)(p->end - at))
        return NULL;
    p->at += bytes;
    return at;
}

static uint64_t read_number(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

// ---- Opcodes: `number` follows the opcode in the file, `detail` stands in the table ----

static vkb_status op_skip(pickle *p, uint64_t number, int detail)
{
    (void)p, (void)number, (void)detail;
    return VKB_OK;
}

static vkb_status op_plain(pickle *p, uint64_t number, int kind)
{
    (void)number;
    return pickle_push(p, (pickle_value){.kind = (uint32_t)kind});
}

static vkb_status op_bool(pickle *p, uint64_t number, int detail)
{
    (void)number;
    return pickle_push(p, (pickle_value){.kind = PICKLE_BOOL, .is.integer = detail});
}

static vkb_status op_int(pickle *p, uint64_t number, int detail)
{
    (void)detail;
    return pickle_push(p,
                       (pickle_value){.kind = PICKLE_INT, .is.integer = (int32_t)(uint32_t)number});
}

// An integer of `length` bytes, two's complement.
static vkb_status op_long(pickle *p, uint64_t length, int detail)
{
    (void)detail;
    const uint8_t *at = take(p, length);
    if (!at)
        return pickle_refuse(p, "is cut off");
    if (length > 8)
        return pickle_push(p, (pickle_value){.kind = PICKLE_NUMBER});
    uint64_t value = read_number(at, length);
    if (length && length < 8 && at[length - 1] & 0x80)
        value |= ~UINT64_C(0) << 8 * length;
    return pickle_push(p, (pickle_value){.kind = PICKLE_INT, .is.integer = (int64_t)value});
}

static vkb_status op_string(pickle *p, uint64_t length, int detail)
{
    (void)detail;
    const uint8_t *at = take(p, length);
    if (!at)
        return pickle_refuse(p, "is cut off");
    return pickle_push(p, (pickle_value){.kind = PICKLE_STRING,
                                         .bytes = (uint32_t)length,
                                         .is.text = (const char *)at});
}

vkb_status pickle_push_object(pickle *p, pickle_kind kind, const pickle_value *items, size_t count)
{
    pickle_items object = {0};
    vkb_status status = PICKLE_RESERVE(p, &p->objects, p->objects.count + 1);
    if (status == VKB_OK)
        status = pickle_append(p, &object, items, count);
    if (status != VKB_OK)
        return status;
    p->objects.at[p->objects.count] = object;
    return pickle_push(p, (pickle_value){.kind = kind, .is.index = p->objects.count++});
}

static vkb_status op_empty(pickle *p, uint64_t number, int kind)
{
    (void)number;
    return pickle_push_object(p, (pickle_kind)kind, NULL, 0);
}

static vkb_status op_tuple(pickle *p, uint64_t number, int count)
{
    (void)number;
    const pickle_value *items = pickle_pop(p, (size_t)count);
    return items ? pickle_push_object(p, PICKLE_TUPLE, items, (size_t)count)
                 : pickle_refuse(p, "finds too few values");
}

static vkb_status op_mark_tuple(pickle *p, uint64_t number, int detail)
{
    (void)number, (void)detail;
    size_t count;
    const pickle_value *items = pop_mark(p, &count);
    return items ? pickle_push_object(p, PICKLE_TUPLE, items, count)
                 : pickle_refuse(p, "finds no mark");
}

static vkb_status op_put(pickle *p, uint64_t place, int detail)
{
    (void)detail;
    if (!pickle_top(p) || pickle_top(p)->kind == PICKLE_MARK)
        return pickle_refuse(p, "finds no value");
    vkb_status status = PICKLE_RESERVE(p, &p->memo, place + 1);
    if (status != VKB_OK)
        return status;
    for (; p->memo.count <= place; p->memo.count++)
        p->memo.at[p->memo.count] = (pickle_value){.kind = PICKLE_UNSET};
    p->memo.at[place] = *pickle_top(p);
    return VKB_OK;
}

static vkb_status op_memoize(pickle *p, uint64_t number, int detail)
{
    (void)number;
    return op_put(p, p->memo.count, detail);
}

static vkb_status op_get(pickle *p, uint64_t place, int detail)
{
    (void)detail;
    if (place >= p->memo.count || p->memo.at[place].kind == PICKLE_UNSET)
        return pickle_refuse(p, "asks for a value that was not kept");
    return pickle_push(p, p->memo.at[place]);
}

// The rest of a line; false when there is no end of line.
static bool take_line(pickle *p, pickle_value *line)
{
    const uint8_t *start = p->at, *stop = memchr(start, '\n', (size_t)(p->end - start));
    if (!stop || stop - start > UINT16_MAX)
        return false;
    p->at = stop + 1;
    *line = (pickle_value){
        .kind = PICKLE_STRING, .bytes = (uint32_t)(stop - start), .is.text = (const char *)start};
    return true;
}

static vkb_status op_global(pickle *p, uint64_t number, int detail)
{
    (void)number, (void)detail;
    pickle_value module, name;
    return take_line(p, &module) && take_line(p, &name) ? pickle_push_global(p, module, name)
                                                        : pickle_refuse(p, "is cut off");
}

static vkb_status op_stack_global(pickle *p, uint64_t number, int detail)
{
    (void)number, (void)detail;
    const pickle_value *names = pickle_pop(p, 2);
    return names && names[0].kind == PICKLE_STRING && names[1].kind == PICKLE_STRING
               ? pickle_push_global(p, names[0], names[1])
               : pickle_refuse(p, "finds no two strings");
}

// Items behind a container: one of them (detail: how many values it has), or all since a mark (0).
static vkb_status add_items(pickle *p, pickle_kind kind, size_t each, int detail)
{
    size_t count = (size_t)detail;
    const pickle_value *items = detail ? pickle_pop(p, count) : pop_mark(p, &count);
    if (!items || count % each || !pickle_top(p) || pickle_top(p)->kind != kind)
        return pickle_refuse(p, kind == PICKLE_DICT ? "finds no dict and pairs" : "finds no list");
    return pickle_append(p, &p->objects.at[pickle_top(p)->is.index], items, count);
}

static vkb_status op_dict_items(pickle *p, uint64_t number, int detail)
{
    (void)number;
    return add_items(p, PICKLE_DICT, 2, detail);
}

static vkb_status op_list_items(pickle *p, uint64_t number, int detail)
{
    (void)number;
    return add_items(p, PICKLE_LIST, 1, detail);
}

// ---- The machine ----

static const struct {
    vkb_status (*run)(pickle *p, uint64_t number, int detail);
    int detail;
    uint8_t number_bytes; // behind the opcode, little-endian; 8 are skipped
} opcodes[256] = {
    [0x80] = {op_skip, 0, 1},             // PROTO
    [0x95] = {op_skip, 0, 8},             // FRAME
    ['('] = {op_plain, PICKLE_MARK, 0},   // MARK
    ['N'] = {op_plain, PICKLE_NONE, 0},   // NONE
    ['G'] = {op_plain, PICKLE_NUMBER, 8}, // BINFLOAT
    [0x88] = {op_bool, 1, 0},             // NEWTRUE
    [0x89] = {op_bool, 0, 0},             // NEWFALSE
    ['K'] = {op_int, 0, 1},               // BININT1
    ['M'] = {op_int, 0, 2},               // BININT2
    ['J'] = {op_int, 0, 4},               // BININT
    [0x8A] = {op_long, 0, 1},             // LONG1
    ['X'] = {op_string, 0, 4},            // BINUNICODE
    [0x8C] = {op_string, 0, 1},           // SHORT_BINUNICODE
    ['U'] = {op_string, 0, 1},            // SHORT_BINSTRING
    ['}'] = {op_empty, PICKLE_DICT, 0},   // EMPTY_DICT
    [']'] = {op_empty, PICKLE_LIST, 0},   // EMPTY_LIST
    [')'] = {op_empty, PICKLE_TUPLE, 0},  // EMPTY_TUPLE
    ['t'] = {op_mark_tuple, 0, 0},        // TUPLE
    [0x85] = {op_tuple, 1, 0},            // TUPLE1
    [0x86] = {op_tuple, 2, 0},            // TUPLE2
    [0x87] = {op_tuple, 3, 0},            // TUPLE3
    ['q'] = {op_put, 0, 1},               // BINPUT
    ['r'] = {op_put, 0, 4},               // LONG_BINPUT
    [0x94] = {op_memoize, 0, 0},          // MEMOIZE
    ['h'] = {op_get, 0, 1},               // BINGET
    ['j'] = {op_get, 0, 4},               // LONG_BINGET
    ['c'] = {op_global, 0, 0},            // GLOBAL
    [0x93] = {op_stack_global, 0, 0},     // STACK_GLOBAL
    ['R'] = {pickle_op_reduce, 0, 0},     // REDUCE
    ['b'] = {pickle_op_build, 0, 0},      // BUILD
    ['s'] = {op_dict_items, 2, 0},        // SETITEM
    ['u'] = {op_dict_items, 0, 0},        // SETITEMS
    ['a'] = {op_list_items, 1, 0},        // APPEND
    ['e'] = {op_list_items, 0, 0},        // APPENDS
    ['Q'] = {pickle_op_persistent, 0, 0}, // BINPERSID
};

static vkb_status step(pickle *p)
{
    if (!opcodes[*p->op].run)
        return pickle_refuse(p, "is not one that weights need, refusing");
    const uint8_t bytes = opcodes[*p->op].number_bytes, *number = take(p, bytes);
    if (!number)
        return pickle_refuse(p, "is cut off");
    return opcodes[*p->op].run(p, read_number(number, bytes), opcodes[*p->op].detail);
}

vkb_status pickle_read(pickle *p, const uint8_t *at, const uint8_t *end, pickle_value *value,
                       const uint8_t **next)
{
    vkb_status status = VKB_OK;
    p->stack.count = p->memo.count = 0;
    p->at = at;
    p->end = end;
    while (p->at < end) {
        p->op = p->at++;
        if (*p->op == '.') { // STOP
            const pickle_value *result = pickle_pop(p, 1);
            if (!result || p->stack.count)
                return pickle_refuse(p, "stops with other than one value");
            *value = *result;
            *next = p->at;
            return VKB_OK;
        }
        if ((status = step(p)) != VKB_OK)
            return status;
    }
    return vkb_fail(p->ctx, VKB_BAD_FILE,
                    "%s: is truncated: a pickle ends at byte %zu without STOP", p->path,
                    (size_t)(end - p->file));
}

void pickle_init(pickle *p, vkb_context *ctx, const char *path, const uint8_t *file, size_t bytes)
{
    size_t large = bytes < BUDGET_LIMIT ? bytes : BUDGET_LIMIT;
    *p = (pickle){.ctx = ctx, .path = path, .file = file, .budget = BUDGET_SMALL + large};
}

void pickle_free(pickle *p)
{
    for (size_t i = 0; i < p->objects.count; i++)
        free(p->objects.at[i].at);
    free(p->objects.at);
    free(p->storages.at);
    free(p->stack.at);
    free(p->memo.at);
    *p = (pickle){0};
}

// ---- Asking ----

const pickle_items *pickle_items_of(const pickle *p, pickle_value value)
{
    return &p->objects.at[value.is.index];
}

bool pickle_is_text(pickle_value value, const char *text)
{
    return value.kind == PICKLE_STRING && value.bytes == strlen(text) &&
           memcmp(value.is.text, text, value.bytes) == 0;
}

const pickle_value *pickle_member(const pickle *p, pickle_value dict, const char *key)
{
    if (dict.kind != PICKLE_DICT)
        return NULL;
    const pickle_items *items = pickle_items_of(p, dict);
    for (size_t i = items->count; i >= 2; i -= 2)
        if (pickle_is_text(items->at[i - 2], key))
            return &items->at[i - 1];
    return NULL;
}
