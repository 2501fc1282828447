// vkbert: the table of commands, and what is the same for each.
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const command *const commands[] = {
    &command_devices, &command_vocab,     &command_tokenize, &command_train,   &command_eval,
    &command_info,    &command_fill_mask, &command_pull,     &command_convert, &command_bench,
};

static void print_help(void)
{
    printf("vkbert trains BERT by masked-language modelling on any Vulkan device, and fills "
           "masks.\n\nUsage: vkbert COMMAND [flags]\n\n");
    for (size_t i = 0; i < CLI_COUNT(commands); i++)
        printf("  %-11s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n  vkbert COMMAND --help   a command's flags, with their defaults; dashes may be "
           "underscores\n"
           "  vkbert --version        version, commit, shaders, Vulkan\n"
           "\nExit codes: 0 done, 1 failed while working, 2 wrong command line, 3 bad input file,\n"
           "4 no usable device, 130 interrupted.\n");
}

static vkb_status print_version(cli_state *cli)
{
    vkb_device_info *list = NULL;
    size_t count = 0;
    vkb_status status = vkb_device_list(cli->ctx, &list, &count);
    const uint32_t loader = vkb_loader_version();
    printf("vkbert %s\ncommit  %s\nshaders %s\n", vkb_version(), vkb_commit(), vkb_shader_hash());
    if (status == VKB_OK) // major, minor, patch as VK_MAKE_API_VERSION packs them
        printf("Vulkan  loader %u.%u.%u, %zu device%s\n", loader >> 22 & 0x7F, loader >> 12 & 0x3FF,
               loader & 0xFFF, count, count == 1 ? "" : "s");
    else
        printf("Vulkan  %s\n", vkb_error(cli->ctx));
    free(list);
    return VKB_OK;
}

static vkb_status run_command(cli_state *cli, const command *chosen, int argc, char **argv)
{
    vkb_status status = VKB_OK;
    flag_set set = {.table = chosen->flags, .options = calloc(1, chosen->options_size)};
    if (!set.options)
        return cli_fail_memory(cli);
    const common_options *common = set.options;

    CLI_TRY(flags_parse(cli, &set, argc, argv));
    cli->out.quiet = common->quiet;
    cli->out.verbose = common->verbose;
    if (set.help) {
        printf("Usage: vkbert %s %s\n\n%s\n", chosen->name, chosen->usage, chosen->summary);
        flags_print_help(chosen->flags);
    } else {
        status = chosen->run(cli, &set);
    }
cleanup:
    flags_free(&set);
    free(set.options);
    return status;
}

static vkb_status fail_command(cli_state *cli, const char *typed)
{
    const char *names[CLI_COUNT(commands)];
    for (size_t i = 0; i < CLI_COUNT(commands); i++)
        names[i] = commands[i]->name;
    const char *nearest = nearest_word(typed, names, CLI_COUNT(names));
    if (nearest)
        return cli_fail(cli, VKB_BAD_ARGUMENT, "there is no command \"%s\"; did you mean %s?",
                        typed, nearest);
    return cli_fail(cli, VKB_BAD_ARGUMENT, "there is no command \"%s\"; vkbert --help lists them",
                    typed);
}

static vkb_status dispatch(cli_state *cli, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (!*name) {
        print_help();
        return cli_fail(cli, VKB_BAD_ARGUMENT, "a command is needed");
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help();
        return VKB_OK;
    }
    if (strcmp(name, "--version") == 0)
        return print_version(cli);
    for (size_t i = 0; i < CLI_COUNT(commands); i++) {
        if (strcmp(name, commands[i]->name) == 0)
            return run_command(cli, commands[i], argc - 2, argv + 2);
    }
    return fail_command(cli, name);
}

int main(int argc, char **argv)
{
    static cli_state cli; // zero
    cli.argc = argc;
    cli.argv = argv;
    output_init(&cli.out);
    cli.ctx = vkb_context_create(output_log, &cli.out);
    vkb_status status = cli.ctx ? dispatch(&cli, argc, argv) : cli_fail_memory(&cli);
    output_end_line(&cli.out);
    if (status == VKB_OK)
        status = output_flush(&cli);
    if (status != VKB_OK)
        output_log(&cli.out, VKB_LOG_ERROR, *cli.error ? cli.error : vkb_error(cli.ctx));
    vkb_context_destroy(&cli.ctx);
    return vkb_exit_code(status);
}
