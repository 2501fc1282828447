// Copies and fills in a stream.
#include "gpu/internal.h"

#include <inttypes.h>

static bool inside(gpu_view view)
{
    return view.buffer && view.bytes <= view.buffer->bytes &&
           view.offset <= view.buffer->bytes - view.bytes;
}

void gpu_copy(gpu_stream *s, gpu_view from, gpu_view to)
{
    if (s->dry || s->status != VKB_OK || to.bytes == 0)
        return;
    bool overlap = from.buffer == to.buffer && from.offset < to.offset + to.bytes &&
                   to.offset < from.offset + to.bytes;
    if (!inside(from) || !inside(to) || from.bytes < to.bytes || overlap) {
        gpu_stream_fail(s, vkb_fail(s->dev->ctx, VKB_BAD_ARGUMENT,
                                    "stream %s: copying %" PRIu64 " bytes from %s to %s: the views "
                                    "do not fit",
                                    s->name, to.bytes, from.buffer ? from.buffer->name : "nothing",
                                    to.buffer ? to.buffer->name : "nothing"));
        return;
    }
    gpu_access touched[] = {{from.buffer, from.offset, from.offset + to.bytes, false},
                            {to.buffer, to.offset, to.offset + to.bytes, true}};
    VkCommandBuffer commands = gpu_stream_commands(s, touched, 2, 0);
    if (commands)
        s->dev->vk.vkCmdCopyBuffer(commands, from.buffer->handle, to.buffer->handle, 1,
                                   &(VkBufferCopy){from.offset, to.offset, to.bytes});
}

void gpu_fill(gpu_stream *s, gpu_view view, uint32_t word)
{
    if (s->dry || s->status != VKB_OK || view.bytes == 0)
        return;
    if (!inside(view) || view.offset % 4 || view.bytes % 4) {
        gpu_stream_fail(s, vkb_fail(s->dev->ctx, VKB_BAD_ARGUMENT,
                                    "stream %s: filling %" PRIu64 " bytes at %" PRIu64 " of %s: "
                                    "not inside it, or no multiple of 4",
                                    s->name, view.bytes, view.offset,
                                    view.buffer ? view.buffer->name : "nothing"));
        return;
    }
    gpu_access touched = {view.buffer, view.offset, view.offset + view.bytes, true};
    VkCommandBuffer commands = gpu_stream_commands(s, &touched, 1, 0);
    if (commands)
        s->dev->vk.vkCmdFillBuffer(commands, view.buffer->handle, view.offset, view.bytes, word);
}
