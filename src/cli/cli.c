// Failures, and the steps that several commands take.
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

vkb_status cli_fail(cli_state *cli, vkb_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(cli->error, sizeof(cli->error), format, args);
    va_end(args);
    return status;
}

vkb_status cli_fail_memory(cli_state *cli)
{
    return cli_fail(cli, VKB_OUT_OF_MEMORY, "out of memory");
}

vkb_status cli_open_device(cli_state *cli, const common_options *common, vkb_device **out)
{
    vkb_device_params params = {.select = common->device, .validate = common->validate};
    vkb_status status = vkb_device_open(cli->ctx, &params, out);
    if (status != VKB_OK)
        return status;
    const vkb_device_info *info = vkb_device_get_info(*out);
    output_note(&cli->out, "device: %s, %s", info->name, info->driver);
    return VKB_OK;
}

vkb_status cli_close_device(cli_state *cli, vkb_device **device, vkb_status status)
{
    uint32_t messages = *device ? vkb_device_validation_messages(*device) : 0;
    vkb_device_close(device);
    if (status != VKB_OK || !messages)
        return status;
    return cli_fail(cli, VKB_FAILED, "the validation layers had %u messages: see above", messages);
}

vkb_precision precision_named(const char *name)
{
    return strcmp(name, "fp16") == 0 ? VKB_FP16 : strcmp(name, "bf16") == 0 ? VKB_BF16 : VKB_FP32;
}

const char *precision_name(vkb_precision precision)
{
    return precision == VKB_FP16 ? "fp16" : precision == VKB_BF16 ? "bf16" : "fp32";
}

vkb_status precision_chosen(cli_state *cli, const flag_set *set, const precision_options *o,
                            vkb_precision *out)
{
    const vkb_precision named = precision_named(o->precision);
    const vkb_precision flagged = o->fp16 ? VKB_FP16 : o->bf16 ? VKB_BF16 : VKB_FP32;
    const bool both = flagged != VKB_FP32 && flags_given(set, &o->precision) && named != flagged;
    if ((o->fp16 && o->bf16) || both)
        return cli_fail(cli, VKB_BAD_ARGUMENT,
                        "%s contradict each other: give one of --fp16, --bf16, --precision",
                        both ? o->fp16 ? "--fp16 and --precision" : "--bf16 and --precision"
                             : "--fp16 and --bf16");
    *out = flagged != VKB_FP32 ? flagged : named;
    return VKB_OK;
}

vkb_status cli_each_line(cli_state *cli, line_fn line, void *user)
{
    char *text = NULL;
    size_t capacity = 0, number = 0;
    ssize_t bytes;
    vkb_status status = VKB_OK;
    errno = 0;
    while (status == VKB_OK && (bytes = getline(&text, &capacity, stdin)) >= 0) {
        while (bytes && (text[bytes - 1] == '\n' || text[bytes - 1] == '\r'))
            text[--bytes] = 0;
        status = line(user, text, (size_t)bytes, ++number);
    }
    if (status == VKB_OK && ferror(stdin))
        status =
            cli_fail(cli, VKB_BAD_FILE, "standard input could not be read: %s", strerror(errno));
    free(text);
    return status;
}
