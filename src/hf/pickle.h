// Pickles as torch.save writes them, read by a machine that can build numbers, strings, tuples,
// lists, dicts and tensors, and nothing else. What a pickle asks Python to import is compared with
// a short list and never executed; every opcode and name outside the lists ends the reading.
//
// Values refer to each other by index and nothing walks through them on its own, so a pickle may
// hold itself, or a tuple of twice a tuple of twice ..., and costs no more than its bytes.
#ifndef VKB_HF_PICKLE_H
#define VKB_HF_PICKLE_H

#include "hf/tensor.h"

typedef enum pickle_kind {
    PICKLE_UNSET, // of an entry of the memo
    PICKLE_MARK,  // of the stack
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_NUMBER, // a float, or an integer beyond 64 bits; nothing here needs its value
    PICKLE_STRING,
    PICKLE_GLOBAL,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,    // key, value, key, value, ...
    PICKLE_STORAGE, // a place in pickle.storages
    PICKLE_TENSOR,  // the tuple of torch's arguments: storage, offset, sizes, strides, ...
} pickle_kind;

typedef struct pickle_value {
    uint32_t kind;
    uint32_t bytes; // of a string
    union {
        int64_t integer;  // BOOL, INT
        const char *text; // STRING: inside the file, without a NUL
        size_t index;     // TUPLE to TENSOR; use pickle_items_of
    } is;
} pickle_value;

typedef struct pickle_items {
    pickle_value *at;
    size_t count, capacity;
} pickle_items;

// Elements of one type that tensors lie in.
typedef struct pickle_storage {
    pickle_value key; // a string
    hf_dtype dtype;
    uint64_t count;
    const uint8_t *data; // for the reader of the file to fill in
} pickle_storage;

typedef struct pickle {
    vkb_context *ctx;
    const char *path;
    const uint8_t *file; // its first byte, for the offsets in sentences
    size_t budget;       // bytes that may still be allocated
    pickle_items stack, memo;
    struct {
        pickle_items *at;
        size_t count, capacity;
    } objects; // tuples, lists and dicts
    struct {
        pickle_storage *at;
        size_t count, capacity;
    } storages;                   // in the order of the pickle, the same one perhaps several times
    const uint8_t *op, *at, *end; // the opcode at work, what follows, and where the bytes end
} pickle;

// The budget bounds stack, memo, elements and all else that comes of a pickle. It is the size of
// the file, up to a limit, and a constant for small files.
void pickle_init(pickle *p, vkb_context *ctx, const char *path, const uint8_t *file, size_t bytes);
void pickle_free(pickle *p); // leaves it zeroed

// Reads the pickle that starts at `at` and stops before `end`; *next is the byte behind it. Values
// of all pickles read live until pickle_free. VKB_BAD_FILE, with opcode and offset.
vkb_status pickle_read(pickle *p, const uint8_t *at, const uint8_t *end, pickle_value *value,
                       const uint8_t **next);

// Takes bytes from the budget; VKB_BAD_FILE when they exceed it.
vkb_status pickle_charge(pickle *p, size_t bytes);

// Of a TUPLE, LIST, DICT or TENSOR.
const pickle_items *pickle_items_of(const pickle *p, pickle_value value);

bool pickle_is_text(pickle_value value, const char *text);

// The value of a dict's key, the last one as in Python; NULL: not a dict, or without the key.
const pickle_value *pickle_member(const pickle *p, pickle_value dict, const char *key);

#endif
