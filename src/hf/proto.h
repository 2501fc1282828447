// Protocol buffers' wire format, field by field, for the few messages that TensorFlow's checkpoints
// need.
//
//     hf_proto message = {data, data + bytes};
//     hf_proto_field field;
//     while (hf_proto_next(&message, &field))
//         if (field.number == 1) dtype = field.value;
//     if (message.broken) ...
#ifndef VKB_HF_PROTO_H
#define VKB_HF_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hf_proto {
    const uint8_t *at, *end;
    bool broken; // what is at `at` is no field
} hf_proto;

typedef struct hf_proto_field {
    uint32_t number;
    uint64_t value;      // of a varint, fixed32 or fixed64; 0 of a field of bytes
    const uint8_t *data; // of a field of bytes: a string or a message; NULL of a number
    size_t bytes;
} hf_proto_field;

// False at the end, and at what is no field.
bool hf_proto_next(hf_proto *message, hf_proto_field *field);

// Moves *at behind a varint of up to 64 bits; false: it does not end before `end`, or is larger.
bool hf_varint(const uint8_t **at, const uint8_t *end, uint64_t *value);

#endif
