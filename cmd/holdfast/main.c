/* The program: finds the subcommand, reads its options, runs it. */
#include "cli.h"
#include "base/check.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct cli_command *const COMMANDS[] = {
    &CLI_INIT,
    &CLI_TOKEN_CREATE,
    &CLI_TOKEN_LIST,
    &CLI_TOKEN_REVOKE,
    &CLI_VERSION,
};

#define OVERVIEW_HEAD                                                                                        \
    "Holdfast gives every app, agent and user its own SQLite database behind PerSQL's REST API.\n\n"         \
    "Usage: holdfast COMMAND [options]\n\n"
#define OVERVIEW_TAIL                                                                                        \
    "\n`holdfast COMMAND --help` explains a command. Every option may also be set as a variable: --data is " \
    "HOLDFAST_DATA.\n"

static const char *env(const char *name)
{
    return getenv(name);
}

/* Lists the commands whose names begin with `first` ("" all). */
static void overview(const char *first, FILE *to)
{
    (void)fputs(OVERVIEW_HEAD, to);
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++) {
        const struct option_command *c = COMMANDS[i]->describe;
        if (strncmp(c->name, first, strlen(first)) == 0)
            (void)fprintf(to, "  %-13s  %s\n", c->name, c->summary);
    }
    (void)fputs(OVERVIEW_TAIL, to);
}

static int count_words(const char *name)
{
    return strchr(name, ' ') ? 2 : 1;
}

/* Whether the command line begins with `name`, whose words are one or two. */
static bool begins_with(const char *name, int count, char *const *words)
{
    struct str rest = str_of(name), word;

    for (int i = 0; str_cut(&rest, ' ', &word); i++)
        if (i >= count || !str_eq(word, str_of(words[i])))
            return false;
    return true;
}

static const struct cli_command *find(int count, char *const *words)
{
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        if (begins_with(COMMANDS[i]->describe->name, count, words))
            return COMMANDS[i];
    return NULL;
}

static bool is_group(const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        if (strncmp(COMMANDS[i]->describe->name, word, n) == 0 && COMMANDS[i]->describe->name[n] == ' ')
            return true;
    return false;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static int unknown_command(int count, char *const *words)
{
    const char *names[ARRAY_LEN(COMMANDS) + 1];
    char asked[64];

    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        names[i] = COMMANDS[i]->describe->name;
    names[ARRAY_LEN(COMMANDS)] = "token"; /* the one group */
    if (is_group(words[0]) && (count < 2 || is_help(words[1]))) {
        overview(words[0], count < 2 ? stderr : stdout);
        return count < 2 ? CLI_USAGE : CLI_OK;
    }
    bool two = count > 1 && is_group(words[0]);
    (void)snprintf(asked, sizeof asked, "%s%s%s", words[0], two ? " " : "",
        two ? words[1] : ""); /* may be cut: a message */
    const char *nearest = option_nearest(str_of(asked), names, ARRAY_LEN(names));
    (void)fprintf(stderr, "holdfast: there is no command \"%s\"", asked);
    if (nearest)
        (void)fprintf(stderr, "; did you mean \"%s\"?", nearest);
    (void)fprintf(stderr, "\n`holdfast --help` lists the commands.\n");
    return CLI_USAGE;
}

static int show_help(const struct option_command *describe)
{
    AUTO_STRBUF out;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    option_help(describe, &out);
    return cli_print(describe->name, &out);
}

static int run(const struct cli_command *command, int count, char *const *words)
{
    const struct option_command *describe = command->describe;
    struct err err = ERR_INIT;
    bool help = false;
    void *values = mem_alloc(command->values_size);
    enum err_code code = option_parse(describe, count, words, env, values, &help, &err);
    int status;

    if (code) {
        (void)fprintf(stderr, "holdfast %s: %s\n`holdfast %s --help` explains its options.\n", describe->name,
            err.message, describe->name);
        status = CLI_USAGE;
    } else {
        status = help ? show_help(describe) : command->run(values);
    }
    mem_free(values);
    return status;
}

int main(int argc, char **argv)
{
    int count = argc - 1;
    char *const *words = argv + 1;

    umask(077); /* whatever is made is the owner's alone */
    if (count > 1 && strcmp(words[0], "help") == 0 && !is_help(words[1])) { /* help token create */
        const struct cli_command *asked = find(count - 1, words + 1);
        return asked ? show_help(asked->describe) : unknown_command(count - 1, words + 1);
    }
    if (count < 1 || is_help(words[0])) {
        overview("", count < 1 ? stderr : stdout);
        return count < 1 ? CLI_USAGE : CLI_OK;
    }
    if (strcmp(words[0], "--version") == 0)
        return run(&CLI_VERSION, 0, words);
    const struct cli_command *command = find(count, words);
    if (!command)
        return unknown_command(count, words);
    int skip = count_words(command->describe->name);
    return run(command, count - skip, words + skip);
}
