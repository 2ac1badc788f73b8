/* Options of a command, described once in a table: the same rows parse the command line, read the environment
 * and print the help.
 *
 * --name VALUE or --name=VALUE sets an option; what is absent is read from HOLDFAST_NAME, then from the row's
 * default. An environment variable that is empty counts as absent. Each option may be given once; a list may
 * come in parts. Words without dashes are operands. "--" ends the options. Errors are sentences for the
 * person at the terminal. One thread. */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/err.h"
#include "base/str.h"
#include "base/strbuf.h"

enum option_type {
    OPTION_TEXT,     /* const char * */
    OPTION_FLAG,     /* bool; no value on the command line, 1/true/yes/0/false/no in the environment */
    OPTION_INT,      /* int64_t within min..max */
    OPTION_BYTES,    /* int64_t within min..max: 1048576, 64K, 10M, 2G */
    OPTION_DURATION, /* int64_t seconds within min..max: 90s, 15m, 12h, 30d, 2w */
    OPTION_CHOICE,   /* int: position in `choices` ("kv|json") */
    OPTION_LIST,     /* struct option_list: a,b,c */
    OPTION_ADDRESS,  /* struct option_address: HOST:PORT, [::1]:8080 */
};

#define OPTION_LIST_MAX 256
struct option_list {
    bool given;
    size_t count;
    struct str items[OPTION_LIST_MAX]; /* views of the argument */
};

#define OPTION_HOST_SIZE 256
struct option_address {
    char host[OPTION_HOST_SIZE]; /* without brackets */
    uint16_t port;               /* 0: the kernel picks */
};

struct option_spec {
    const char *name; /* "statement-timeout": --statement-timeout and HOLDFAST_STATEMENT_TIMEOUT */
    enum option_type type;
    size_t offset;        /* in the struct of values */
    const char *value;    /* what stands for the value in the help: "DIR" */
    const char *help;     /* one sentence or two, without a final full stop */
    const char *fallback; /* the default, as it would be typed; NULL: absent stays zero */
    bool required;
    int64_t min, max; /* both 0: no bound */
    const char *choices;
};

struct option_command {
    const char *name;    /* "token create" */
    const char *summary; /* one line of the overview */
    const char *about;   /* a paragraph or two, NULL none */
    const char *example; /* lines, NULL none */
    const struct option_spec *options;
    size_t option_count;
    const char
        *operand; /* "ID": exactly one operand, a const char * at operand_offset; NULL: none are taken */
    size_t operand_offset;
};

/* `words` are what follows the command's name. ERR_OK and *ret_help: the help was asked for, nothing was
 * parsed. ERR_INVALID says what is wrong. `values` (zeroed by the caller) keeps views of `words` and of the
 * environment. */
MUST_CHECK enum err_code option_parse(const struct option_command *command, int count, char *const *words,
    const char *(*env)(const char *name), void *values, bool *ret_help, struct err *err);

void option_help(const struct option_command *command, struct strbuf *out);

/* The name nearest to `word` when one is near enough for a question, else NULL. `names` has `count` entries.
 */
const char *option_nearest(struct str word, const char *const *names, size_t count);

/* "statement-timeout" → "HOLDFAST_STATEMENT_TIMEOUT" */
#define OPTION_ENV_SIZE 64
void option_env_name(const char *name, char out[OPTION_ENV_SIZE]);

#endif
