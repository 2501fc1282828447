// The machine's parts that its opcodes are made of; for pickle.c and pickle_globals.c alone.
#ifndef VKB_HF_PICKLE_MACHINE_H
#define VKB_HF_PICKLE_MACHINE_H

#include "hf/pickle.h"

// Fails: "... opcode 0x52 at byte 17 WHAT".
vkb_status pickle_refuse(pickle *p, const char *what);

// array_reserve within the budget, for a list of pickle.h.
#define PICKLE_RESERVE(p, list, wanted)                                                            \
    pickle_reserve(p, (void **)&(list)->at, &(list)->capacity, wanted, sizeof(*(list)->at))
vkb_status pickle_reserve(pickle *p, void **at, size_t *capacity, uint64_t wanted, size_t item);
vkb_status pickle_append(pickle *p, pickle_items *list, const pickle_value *values, size_t count);

// The stack. pickle_pop: `count` values, none of them a mark, valid until the next push; NULL:
// there are fewer. pickle_top: NULL when the stack is empty.
vkb_status pickle_push(pickle *p, pickle_value value);
vkb_status pickle_push_object(pickle *p, pickle_kind kind, const pickle_value *items, size_t count);
const pickle_value *pickle_pop(pickle *p, size_t count);
const pickle_value *pickle_top(const pickle *p);

// GLOBAL and STACK_GLOBAL, with two strings; REDUCE, BUILD and BINPERSID.
vkb_status pickle_push_global(pickle *p, pickle_value module, pickle_value name);
vkb_status pickle_op_reduce(pickle *p, uint64_t number, int detail);
vkb_status pickle_op_build(pickle *p, uint64_t number, int detail);
vkb_status pickle_op_persistent(pickle *p, uint64_t number, int detail);

#endif
