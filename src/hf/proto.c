#include "hf/proto.h"

bool hf_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    uint64_t sum = 0;
    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        const uint64_t byte = *(*at)++;
        if (shift == 63 && byte > 1)
            return false;
        sum |= (byte & 127) << shift;
        if (byte < 128) {
            *value = sum;
            return true;
        }
    }
    return false;
}

static bool take(hf_proto *message, uint64_t bytes, const uint8_t **data)
{
    if (bytes > (uint64_t)(message->end - message->at))
        return false;
    *data = message->at;
    message->at += bytes;
    return true;
}

static bool read_field(hf_proto *message, hf_proto_field *field)
{
    uint64_t tag, bytes;
    const uint8_t *data;
    *field = (hf_proto_field){0};
    if (!hf_varint(&message->at, message->end, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
        return false;
    field->number = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case 0:
        return hf_varint(&message->at, message->end, &field->value);
    case 2:
        if (!hf_varint(&message->at, message->end, &bytes) || !take(message, bytes, &field->data))
            return false;
        field->bytes = (size_t)bytes;
        return true;
    case 1:
    case 5:
        bytes = (tag & 7) == 1 ? 8 : 4;
        if (!take(message, bytes, &data))
            return false;
        for (uint64_t i = bytes; i-- > 0;)
            field->value = field->value << 8 | data[i];
        return true;
    default:
        return false; // groups, which nobody writes any more
    }
}

bool hf_proto_next(hf_proto *message, hf_proto_field *field)
{
    if (message->at == message->end || message->broken)
        return false;
    message->broken = !read_field(message, field);
    return !message->broken;
}
