/* What unit tests share: cmocka with the headers it wants in front, and comparisons of our own types. */
#ifndef TESTS_LIB_UNIT_H
#define TESTS_LIB_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "base/strbuf.h"

/* Compares and, when they differ, prints both. */
#define expect_str(got, want) unit_expect_str((got), (want), __FILE__, __LINE__)
void unit_expect_str(struct str got, const char *want, const char *file, int line);

/* Names the row of a table that the next failure belongs to: printed only if the test fails. */
#define expect_row(condition, row)                                                                           \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            fail_msg("row %s: %s", (row), #condition);                                                       \
    } while (0)

/* Proves that fn(arg) ends in a failed CHECK: runs it in a child process, whose panic line must contain
 * `expr`. */
void expect_panic(void (*fn)(void *arg), void *arg, const char *expr);

/* For a child process: a crash is a crash, not a failed test that goes on in the wrong process. */
void unit_forget_signals(void);

#endif
