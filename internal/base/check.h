/* Assertions that stay on in production. A failed CHECK is a bug of ours, never bad input and never failed
 * I/O: those are errors (err.h). It writes one panic line with the expression and the place to standard error
 * and aborts. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/attr.h"

#define CHECK(x) ((x) ? (void)0 : check_fail(#x, __FILE__, __LINE__, __func__))

/* Ends a switch or a branch that cannot be reached; `why` says what was believed. */
#define UNREACHABLE(why) check_fail("unreachable: " why, __FILE__, __LINE__, __func__)

/* Costly invariants: on in debug and sanitizer builds alone. */
#ifdef HF_DEBUG
#define CHECK_SLOW(x) CHECK(x)
#else
#define CHECK_SLOW(x) ((void)sizeof((x) ? 1 : 0))
#endif

NORETURN void check_fail(const char *expr, const char *file, int line, const char *func);

/* Appends `text` (a static string) to the panic line: which process this is, e.g. "front" or "engine". */
void check_set_context(const char *text);

#endif
