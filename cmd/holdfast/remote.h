/* How a command speaks to a running server: with a token, over HTTP, as any other client. What databases hold
 * belongs to the server's engines, so there is no way around it. */
#ifndef CMD_HOLDFAST_REMOTE_H
#define CMD_HOLDFAST_REMOTE_H

#include "base/arena.h"
#include "cli.h"
#include "http/client.h"
#include "json/jsonr.h"

struct remote {
    struct http_client *http;
    struct arena arena;   /* of answers; until remote_close */
    struct strbuf answer; /* the last one's text */
    const char *database; /* "NAMESPACE/DATABASE" */
};

struct remote_options {
    const char *url, *token, *database, *ca_file;
};

/* The rows of these options; `values` has a member `remote`. */
#define REMOTE_OPTIONS(values)                                                                               \
    {.name = "url",                                                                                          \
        .type = OPTION_TEXT,                                                                                 \
        .offset = offsetof(values, remote.url),                                                              \
        .value = "URL",                                                                                      \
        .fallback = CLI_DEFAULT_URL,                                                                         \
        .help = "Where the server is"},                                                                      \
        {.name = "token",                                                                                    \
            .type = OPTION_TEXT,                                                                             \
            .offset = offsetof(values, remote.token),                                                        \
            .value = "TOKEN",                                                                                \
            .required = true,                                                                                \
            .help = "An admin token; better in HOLDFAST_TOKEN, for others see command lines"},               \
        {.name = "database",                                                                                 \
            .type = OPTION_TEXT,                                                                             \
            .offset = offsetof(values, remote.database),                                                     \
            .value = "NS/DB",                                                                                \
            .required = true,                                                                                \
            .help = "The database, by its namespace and its slug"},                                          \
    {                                                                                                        \
        .name = "ca-file", .type = OPTION_TEXT, .offset = offsetof(values, remote.ca_file), .value = "FILE", \
        .help = "Certificates (PEM) to trust besides the system's"                                           \
    }

/* ERR_INVALID names the option. remote_close() also after a failure. */
MUST_CHECK enum err_code remote_open(struct remote *r, const struct remote_options *opt, struct err *err);
void remote_close(struct remote *r);

/* One request to the database's path: tail is "/approval-rules". *ret_data is the answer's `data` and lives
 * until remote_close; ret_data NULL: nobody wants it. A status that is no success is an error in the server's
 * words: ERR_FORBIDDEN for the token, ERR_NOT_FOUND, ERR_CONFLICT all else. ERR_UNAVAILABLE, ERR_TOO_LARGE:
 * no answer. ERR_INTERNAL: it is no JSON. */
MUST_CHECK enum err_code remote_do(struct remote *r, const char *method, const char *tail, struct str body,
    const struct jsonr_value **ret_data, struct err *err);
/* The same at any path of the server. */
MUST_CHECK enum err_code remote_do_at(struct remote *r, const char *method, const char *path, struct str body,
    const struct jsonr_value **ret_data, struct err *err);

#endif
