// The messages are those of TensorFlow's tensor_bundle.proto, tensor_shape.proto, types.proto and
// versions.proto; a field that is not there is 0.
#include "hf/bundle_entry.h"

#include "hf/proto.h"

#include <inttypes.h>

enum { DT_STRING = 7, READER_VERSION = 1, SHARD_LIMIT = 99999 }; // the file's name has 5 digits

static const struct {
    uint64_t number; // DataType
    hf_dtype dtype;
} dtypes[] = {
    {1, HF_F32},  {2, HF_F64},  {3, HF_I32},  {4, HF_U8},    {5, HF_I16},
    {6, HF_I8},   {8, HF_C64},  {9, HF_I64},  {10, HF_BOOL}, {14, HF_BF16},
    {17, HF_U16}, {19, HF_F16}, {22, HF_U32}, {23, HF_U64},
};

static bool find_dtype(uint64_t number, hf_dtype *dtype)
{
    for (size_t i = 0; i < BASE_COUNT(dtypes); i++)
        if (dtypes[i].number == number) {
            *dtype = dtypes[i].dtype;
            return true;
        }
    return false;
}

static hf_proto message_of(const hf_proto_field *field)
{
    return (hf_proto){field->data, field->data + field->bytes, false};
}

// TensorShapeProto.Dim: size = 1, name = 2.
static bool read_dim(hf_proto message, uint64_t *size)
{
    hf_proto_field field;
    *size = 0;
    while (hf_proto_next(&message, &field))
        if (field.number == 1)
            *size = field.value;
    return !message.broken && *size <= INT64_MAX; // -1: unknown
}

// TensorShapeProto: dim = 2, unknown_rank = 3.
static bool read_shape(hf_proto message, hf_tensor *tensor)
{
    hf_proto_field field;
    while (hf_proto_next(&message, &field)) {
        if (field.number == 3 && field.value)
            return false;
        if (field.number != 2)
            continue;
        if (!field.data || tensor->rank == HF_MAX_RANK ||
            !read_dim(message_of(&field), &tensor->shape[tensor->rank++]))
            return false;
    }
    return !message.broken;
}

// What a message of the index says, before it is weighed.
typedef struct raw_entry {
    uint64_t dtype, shard, offset, size;
} raw_entry;

// BundleEntryProto: dtype = 1, shape = 2, shard_id = 3, offset = 4, size = 5, crc32c = 6, slices = 7.
static bool read_message(hf_proto message, raw_entry *raw, bundle_entry *entry)
{
    hf_proto_field field;
    bool shape = true;
    while (hf_proto_next(&message, &field)) {
        switch (field.number) {
        case 1:
            raw->dtype = field.value;
            break;
        case 2:
            entry->tensor.rank = 0;
            shape = field.data && read_shape(message_of(&field), &entry->tensor);
            break;
        case 3:
            raw->shard = field.value;
            break;
        case 4:
            raw->offset = field.value;
            break;
        case 5:
            raw->size = field.value;
            break;
        case 6:
            entry->sum = (uint32_t)field.value;
            break;
        case 7:
            entry->slices++;
            break;
        }
    }
    return shape && !message.broken;
}

vkb_status bundle_entry_read(vkb_context *ctx, const char *path, const uint8_t *message,
                             size_t bytes, bundle_entry *entry)
{
    hf_tensor *tensor = &entry->tensor;
    raw_entry raw = {0};
    if (!read_message((hf_proto){message, message + bytes, false}, &raw, entry))
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: the entry of tensor %s is damaged", path,
                        tensor->name);
    entry->text = raw.dtype == DT_STRING;
    if (entry->text)
        return VKB_OK;
    if (!find_dtype(raw.dtype, &tensor->dtype))
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: tensor %s has TensorFlow's dtype number %" PRIu64
                        ", expected one of floats, integers or booleans",
                        path, tensor->name, raw.dtype);
    if (!hf_tensor_measure(tensor))
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: tensor %s: the size of %s %s overflows", path,
                        tensor->name, hf_dtype_name(tensor->dtype),
                        hf_shape(tensor->rank, tensor->shape).text);
    if (!entry->slices && raw.size != tensor->bytes)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: tensor %s has %" PRIu64 " bytes of data, expected %" PRIu64
                        " for %s %s",
                        path, tensor->name, raw.size, tensor->bytes, hf_dtype_name(tensor->dtype),
                        hf_shape(tensor->rank, tensor->shape).text);
    if (raw.shard > SHARD_LIMIT)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: tensor %s is in shard %" PRIu64 ", expected %d at most", path,
                        tensor->name, raw.shard, SHARD_LIMIT);
    entry->shard = (uint32_t)raw.shard;
    entry->offset = raw.offset;
    return VKB_OK;
}

// VersionDef: producer = 1, min_consumer = 2.
static bool read_version(hf_proto message, uint64_t *min_consumer)
{
    hf_proto_field field;
    while (hf_proto_next(&message, &field))
        if (field.number == 2)
            *min_consumer = field.value;
    return !message.broken;
}

// BundleHeaderProto: num_shards = 1, endianness = 2, version = 3.
vkb_status bundle_header_read(vkb_context *ctx, const char *path, const uint8_t *message,
                              size_t bytes, uint32_t *shard_count)
{
    hf_proto header = {message, message + bytes, false};
    hf_proto_field field;
    uint64_t shards = 0, endianness = 0, min_consumer = 0;
    bool version = true;
    while (hf_proto_next(&header, &field)) {
        if (field.number == 1)
            shards = field.value;
        else if (field.number == 2)
            endianness = field.value;
        else if (field.number == 3)
            version = field.data && read_version(message_of(&field), &min_consumer);
    }
    if (header.broken || !version)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: its header is damaged", path);
    if (endianness != 0)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: its numbers are big-endian, expected little-endian",
                        path);
    if (min_consumer > READER_VERSION)
        return vkb_fail(ctx, VKB_BAD_FILE,
                        "%s: wants a reader of version %" PRIu64 ", vkbert's is of version %d",
                        path, min_consumer, READER_VERSION);
    if (shards == 0 || shards > SHARD_LIMIT)
        return vkb_fail(ctx, VKB_BAD_FILE, "%s: has %" PRIu64 " shards, expected 1 to %d", path,
                        shards, SHARD_LIMIT);
    *shard_count = (uint32_t)shards;
    return VKB_OK;
}
