/* What the subcommands share: how they are described, how they speak and how they fail.
 *
 * Exit status: 0 done, 1 it failed, 2 it was asked wrongly (options, values). Answers go to standard output,
 * everything else to standard error. */
#ifndef CMD_HOLDFAST_CLI_H
#define CMD_HOLDFAST_CLI_H

#include "audit/actor.h"
#include "base/option.h"
#include "json/jsonw.h"
#include "sqlite/control.h"

#define CLI_DEFAULT_URL  "http://127.0.0.1:8080"
#define CLI_OUTPUT_BYTES (64 << 20)

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_command {
    const struct option_command *describe;
    size_t values_size;
    int (*run)(const void *values); /* exit status */
};

/* Options that many commands have; the struct of their values has the members `data` and `json`. */
#define CLI_OPTION_DATA(values)                                                                              \
    {                                                                                                        \
        .name = "data", .type = OPTION_TEXT, .offset = offsetof(values, data), .value = "DIR",               \
        .required = true, .help = "The data directory of the server"                                         \
    }
#define CLI_OPTION_JSON(values, text)                                                                        \
    {                                                                                                        \
        .name = "json", .type = OPTION_FLAG, .offset = offsetof(values, json), .help = (text)                \
    }

#define COMMAND(variable, name) extern const struct cli_command variable;
#include "commands.def"
#undef COMMAND

/* "holdfast NAME: message", with JSON pointers of domain errors turned into the options they came from.
 * Returns the status. */
int cli_fail(const char *command, const struct err *err);
/* Writes `text` to standard output; a full disk or a closed pipe is CLI_FAILED. */
int cli_print(const char *command, const struct strbuf *text);
/* The same of what was done to an id: "ID is revoked.", or {"id":…,"revoked":true}; `what` is a literal. */
int cli_print_done(const char *command, bool json, const char *id, const char *what);

/* Opens control.db beside a server that may be running. */
MUST_CHECK enum err_code cli_open(
    const char *data_dir, enum db_mode mode, struct control *ret, struct db **ret_db, struct err *err);
void cli_close(struct control *control, struct db *db);

/* For the audit log: the user who runs "holdfast COMMAND". `command` is a literal. */
struct cli_actor {
    struct actor by;
    char name[64], client[64];
};
const struct actor *cli_actor(const char *command, struct cli_actor *room);

/* An ISO time, or JSON's null for 0. */
void cli_json_time(struct jsonw *w, const char *key, int64_t wall_ms);

/* HOLDFAST_PASSWORD, else the first line of standard input; asked for twice without echo on a terminal. */
struct secret;
MUST_CHECK enum err_code cli_read_password(struct secret *ret, struct err *err);
/* The same for what can do without: empty when nothing is given; a terminal is not asked. */
MUST_CHECK enum err_code cli_password_if_given(struct secret *ret, struct err *err);

#endif
