/* The query string as names and values. Any thread. */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

#include "base/arena.h"
#include "base/err.h"

#define QUERY_PARAMS_MAX 32

struct query_param {
    struct str name, value; /* decoded */
};

struct query {
    struct query_param items[QUERY_PARAMS_MAX];
    unsigned count;
};

/* `raw` as http_query() gives it; '+' is a space. Parts without escapes point into `raw`, others into
 * `arena`. ERR_INVALID for a bad escape, invalid UTF-8, a name given twice, too many; the message names the
 * parameter. ERR_TOO_LARGE: arena full. */
MUST_CHECK enum err_code query_parse(struct str raw, struct arena *arena, struct query *ret, struct err *err);

/* ptr NULL when absent. */
struct str query_get(const struct query *q, const char *name);

/* A decimal number within [min, max]; `absent` when the parameter is missing. ERR_INVALID points at /name. */
MUST_CHECK enum err_code query_i64(const struct query *q, const char *name, int64_t absent, int64_t min,
    int64_t max, int64_t *ret, struct err *err);

#endif
