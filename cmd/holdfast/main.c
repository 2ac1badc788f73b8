/* The program: finds the subcommand, reads its options, runs it. */
#include "cli.h"
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct cli_command *const COMMANDS[] = {
#define COMMAND(variable, name) &variable,
#include "commands.def"
#undef COMMAND
};

#define OVERVIEW_HEAD                                                                                        \
    "Holdfast gives every app, agent and user its own SQLite database behind PerSQL's REST API.\n\n"         \
    "Usage: holdfast COMMAND [options]\n\n"
#define OVERVIEW_TAIL                                                                                        \
    "\n`holdfast COMMAND --help` explains a command. Every option may also be set as a variable: --data is " \
    "HOLDFAST_DATA.\n"

static const struct option_command *describe(size_t at)
{
    const struct cli_command *command = COMMANDS[at];

    CHECK(command);
    return command->describe;
}

static const char *env(const char *name)
{
    return getenv(name);
}

/* Lists the commands whose names begin with `first` ("" all). */
static void overview(const char *first, FILE *to)
{
    (void)fputs(OVERVIEW_HEAD, to);
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++) {
        const struct option_command *c = describe(i);
        if (strncmp(c->name, first, strlen(first)) == 0)
            (void)fprintf(to, "  %-19s  %s\n", c->name, c->summary);
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
        if (begins_with(describe(i)->name, count, words))
            return COMMANDS[i];
    return NULL;
}

static bool is_group(const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++)
        if (strncmp(describe(i)->name, word, n) == 0 && describe(i)->name[n] == ' ')
            return true;
    return false;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* "token" alone, or `token --help`: its commands. */
static int show_group(const char *group, bool asked)
{
    overview(group, asked ? stdout : stderr);
    return asked ? CLI_OK : CLI_USAGE;
}

static const char *nearest_command(struct str asked)
{
    static const char *const NAMES[] = {
#define COMMAND(variable, name) name,
#include "commands.def"
#undef COMMAND
        "audit", "policy", "repo", "token", "user", /* the groups */
    };

    return option_nearest(asked, NAMES, ARRAY_LEN(NAMES));
}

static int unknown_command(int count, char *const *words)
{
    AUTO_STRBUF asked;

    strbuf_init(&asked, 80);
    if (is_group(words[0]) && (count < 2 || is_help(words[1])))
        return show_group(words[0], count > 1);
    strbuf_add_cstr(&asked, words[0]);
    if (count > 1 && is_group(words[0]))
        strbuf_addf(&asked, " %s", words[1]);
    const char *nearest = nearest_command(strbuf_str(&asked));
    (void)fprintf(stderr, "holdfast: there is no command \"%s\"", strbuf_cstr(&asked));
    if (nearest)
        (void)fprintf(stderr, "; did you mean \"%s\"?", nearest);
    (void)fprintf(stderr, "\n`holdfast --help` lists the commands.\n");
    return CLI_USAGE;
}

static int show_help(const struct option_command *about)
{
    AUTO_STRBUF out;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    option_help(about, &out);
    return cli_print(about->name, &out);
}

static int run(const struct cli_command *command, int count, char *const *words)
{
    const struct option_command *about = command->describe;
    struct err err = ERR_INIT;
    bool help = false;
    void *values = mem_alloc(command->values_size);
    enum err_code code = option_parse(about, count, words, env, values, &help, &err);
    int status;

    if (code) {
        (void)fprintf(stderr, "holdfast %s: %s\n`holdfast %s --help` explains its options.\n", about->name,
            err.message, about->name);
        status = CLI_USAGE;
    } else {
        status = help ? show_help(about) : command->run(values);
    }
    mem_free(values);
    return status;
}

int main(int argc, char **argv)
{
    int count = argc - 1;
    char *const *words = argv + 1;

    if (count == 1 && strcmp(words[0], "zygote") == 0) /* the server's own; for nobody else, so in no list */
        return zygote_main(ZYGOTE_FD);
    umask(077); /* whatever is made is the owner's alone */
    if (count > 1 && strcmp(words[0], "help") == 0 && !is_help(words[1])) { /* help token create */
        const struct cli_command *asked = find(count - 1, words + 1);
        if (count == 2 && is_group(words[1]))
            return show_group(words[1], true);
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
