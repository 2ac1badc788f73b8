/* Filling struct err, and the facts of each code. */
#define _GNU_SOURCE /* strerrordesc_np: errno's text without a locale or a shared buffer */
#include "base/err.h"
#include "base/check.h"
#include "base/enc.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* defined for analysers alone */
#undef err_set
#undef err_field
#undef err_errno

struct err_fact {
    int status;
    const char *slug;
};

static const struct err_fact FACTS[ERR_COUNT] = {
    [ERR_OK] = {200, "ok"},
#define ERR(name, http_status, text) [ERR_##name] = {http_status, text},
#include "base/err_table.def"
#undef ERR
};

/* Copies and cuts at a character boundary. */
static void copy_cut(char *out, size_t size, struct str text)
{
    size_t n = utf8_cut(text, size - 1);
    memcpy(out, text.ptr, n);
    out[n] = '\0';
}

static void PRINTF_LIKE(4, 0)
    err_fill(struct err *err, enum err_code code, const char *pointer, const char *fmt, va_list ap)
{
    CHECK(code > ERR_OK && code < ERR_COUNT);
    if (!err)
        return;
    char text[ERR_MESSAGE_MAX +
              8]; /* apart from *err, which may be among the arguments; longer, so that a cut shows */
    char field[ERR_POINTER_MAX];
    copy_cut(field, sizeof field, str_of(pointer));
    int n = snprintf(text, sizeof text, "%s%s", field, field[0] ? ": " : "");
    CHECK(n >= 0 && (size_t)n < sizeof text);
    n = vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    CHECK(n >= 0);
    copy_cut(err->message, sizeof err->message, str_of(text));
    memcpy(err->pointer, field, sizeof field);
    err->code = code;
    err->retry_after_s = 0;
}

enum err_code err_retry(struct err *err, enum err_code code, int seconds, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_fill(err, code, "", fmt, ap);
    va_end(ap);
    if (err)
        err->retry_after_s = seconds;
    return code;
}

enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_fill(err, code, "", fmt, ap);
    va_end(ap);
    return code;
}

enum err_code err_field(struct err *err, const char *pointer, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_fill(err, ERR_INVALID, pointer, fmt, ap);
    va_end(ap);
    return ERR_INVALID;
}

enum err_code err_within(struct err *err, enum err_code code, const char *pointer)
{
    char text[ERR_MESSAGE_MAX * 2], field[ERR_POINTER_MAX * 2];
    if (!err)
        return code;
    str_print_cut(text, sizeof text, "%s%s%s", pointer, err->pointer[0] ? "" : ": ", err->message);
    str_print_cut(field, sizeof field, "%s%s", pointer, err->pointer);
    copy_cut(err->message, sizeof err->message, str_of(text));
    copy_cut(err->pointer, sizeof err->pointer, str_of(field));
    return code;
}

enum err_code err_errno(struct err *err, enum err_code code, const char *doing)
{
    const char *text = strerrordesc_np(errno);
    return err_set(err, code, "%s: %s", doing, text ? text : "unknown error");
}

int err_status(enum err_code code)
{
    CHECK(code >= ERR_OK && code < ERR_COUNT);
    return FACTS[code].status;
}

const char *err_slug(enum err_code code)
{
    CHECK(code >= ERR_OK && code < ERR_COUNT);
    return FACTS[code].slug;
}
