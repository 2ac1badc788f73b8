/* The walls around an engine: no descriptors but its own, no environment, no new privileges, Landlock to one
 * directory, resource limits, and a seccomp filter that kills on everything SQLite does not need. What is the
 * same for all engines is made once, in the zygote. */
#ifndef ENGINE_SANDBOX_H
#define ENGINE_SANDBOX_H

#include "base/err.h"
#include <linux/filter.h>

/* Sanitizers need address space without end and a few calls more; such a build is for tests alone. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_RELAXED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_RELAXED 1
#endif
#endif
#ifndef SANDBOX_RELAXED
#define SANDBOX_RELAXED 0
#endif

struct sandbox {
    struct sock_fprog filter; /* len 0: no sandbox */
    int landlock_abi;
};

/* Compiles the filter and asks the kernel for Landlock. ERR_UNAVAILABLE: this host cannot sandbox. */
MUST_CHECK enum err_code sandbox_prepare(struct sandbox *ret, struct err *err);
void sandbox_release(struct sandbox *sb);

/* The only priority that an engine may give itself: the lowest. */
enum { SANDBOX_NICE = 19 };

/* Enters; afterwards only `keep_fd`, standard input, output and error are open. `file_bytes_max` bounds each
 * file. */
MUST_CHECK enum err_code sandbox_enter(
    const struct sandbox *sb, const char *dir, int keep_fd, uint64_t file_bytes_max, struct err *err);

/* What still holds without a sandbox: descriptors and environment. */
void sandbox_tidy(int keep_fd);

#endif
