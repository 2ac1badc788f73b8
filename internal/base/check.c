/* The panic line. Uses the stack and write(2) alone, because the heap may be what is broken. */
#include "base/check.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic(const char *) g_context;

void check_set_context(const char *text)
{
    atomic_store(&g_context, text);
}

void check_fail(const char *expr, const char *file, int line, const char *func)
{
    char buf[512];
    const char *context = atomic_load(&g_context);
    int n = snprintf(buf, sizeof buf, "panic: check failed: %s at %s:%d in %s%s%s\n", expr, file, line, func,
        context ? " of " : "", context ? context : "");
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= sizeof buf) {
        len = sizeof buf - 1;
        buf[len - 1] = '\n';
    }
    ssize_t written = write(STDERR_FILENO, buf, len);
    (void)written; /* nobody is left to tell */
    abort();
}
