/* Errors. Functions that can fail return `enum err_code` (0 is ERR_OK) and describe a failure in the caller's
 * `struct err`, their last argument, which they touch on failure alone. Messages are written for the person
 * who made the request: they name the field and say what would pass. They never hold a secret. Any thread. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"

enum err_code {
    ERR_OK = 0,
#define ERR(name, status, slug) ERR_##name,
#include "base/err_table.def"
#undef ERR
    ERR_COUNT
};

#define ERR_MESSAGE_MAX 512
#define ERR_POINTER_MAX 128

struct err {
    enum err_code code;
    int retry_after_s;             /* > 0: sent as Retry-After */
    char message[ERR_MESSAGE_MAX]; /* one sentence, cut at a character boundary when too long */
    char pointer[ERR_POINTER_MAX]; /* JSON pointer of the field at fault ("/params/3"), or "" */
};

#define ERR_INIT                                                                                             \
    {                                                                                                        \
        .code = ERR_OK                                                                                       \
    }

/* Sets *err and returns `code`, so that a function can end with `return err_set(err, ERR_CONFLICT, "…", …);`.
 * `err` may be NULL when the caller wants the code alone. */
enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set, and the client is told after how many seconds to try again. */
enum err_code err_retry(struct err *err, enum err_code code, int seconds, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* As err_set with ERR_INVALID, for a field of a JSON body or a query parameter; `pointer` is copied, and
 * stands in front of the message: err_field(err, "/limit", "must be %d to %d", 1, 100) reads "/limit: must be
 * 1 to 100". */
enum err_code err_field(struct err *err, const char *pointer, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts `pointer` in front of the place that *err names, for whoever knows where the part lies that found the
 * fault; `err` may be NULL. Returns err's code. */
enum err_code err_within(struct err *err, enum err_code code, const char *pointer);

/* As err_set with errno's text appended. Names no path to clients: pass what was being done, not where. */
enum err_code err_errno(struct err *err, enum err_code code, const char *doing);

/* Drops a result on purpose (a cast to void does not silence MUST_CHECK); say why at the call. */
static inline void err_ignore(enum err_code code)
{
    (void)code;
}

/* An analyser that sees one file at a time learns here that they return a failure, so that nobody goes on
 * after one. */
#ifdef __clang_analyzer__
#define err_set(err, code, ...)     ((void)err_set(err, code, __VA_ARGS__), (code))
#define err_field(err, ptr, ...)    ((void)err_field(err, ptr, __VA_ARGS__), ERR_INVALID)
#define err_errno(err, code, doing) ((void)err_errno(err, code, doing), (code))
#endif

int err_status(enum err_code code);       /* HTTP status; 200 for ERR_OK */
const char *err_slug(enum err_code code); /* "ok" for ERR_OK */

#endif
