/* The first start of a data directory: owner, namespace, database `main` and an admin token.
 *
 * All of it is built in <data>/init.tmp and comes alive by one rename of control.db. A crash before that
 * leaves init.tmp, which the next attempt removes; a crash after it leaves a directory that is whole but for
 * the directory of `main`, which registry_recover() makes. Blocks; commands and start-up only. */
#ifndef BOOTSTRAP_BOOTSTRAP_H
#define BOOTSTRAP_BOOTSTRAP_H

#include "base/err.h"
#include "base/str.h"
#include "token/token.h"

#define BOOTSTRAP_DATABASE "main"

struct bootstrap_new {
    const char *data_dir;
    struct str email, password;
    struct str namespace_slug;
};

/* secret_release(&r.token) when it was shown. */
struct bootstrap_result {
    struct secret token;
    char namespace_slug[SLUG_SIZE];
};

/* *ret_used: there is a control database, or anything else that is not ours to overwrite. */
MUST_CHECK enum err_code bootstrap_used(const char *data_dir, bool *ret_used, struct err *err);

/* Makes the directory (0700) when it is not there. The caller holds no lock: this takes the directory's own
 * and gives it back. ERR_CONFLICT the directory is used; nothing was touched. ERR_INVALID names the field
 * (/email, /password, /namespace). */
MUST_CHECK enum err_code bootstrap_run(
    const struct bootstrap_new *in, struct bootstrap_result *ret, struct err *err);

/* Takes <data>/lock; ERR_CONFLICT names the holder's pid. Lives as long as *ret_fd stays open. */
MUST_CHECK enum err_code bootstrap_lock(const char *data_dir, int *ret_fd, struct err *err);

#endif
