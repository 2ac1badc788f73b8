/* The first start of a data directory: owner, namespace, database `main` and an admin token; and the
 * directory's lock.
 *
 * All of it is built in <data>/init.tmp and comes alive by one rename of control.db. A crash before that
 * leaves init.tmp, which the next attempt removes; a crash after it leaves a directory that is whole but for
 * the directory of `main`, which registry_recover() makes, and the key of the audit log (audit_begin()).
 * Blocks; commands and start-up only. */
#ifndef BOOTSTRAP_BOOTSTRAP_H
#define BOOTSTRAP_BOOTSTRAP_H

#include "audit/actor.h"
#include "base/err.h"
#include "base/slug.h"
#include "base/str.h"
#include "crypto/secret.h"

#define BOOTSTRAP_DATABASE "main"

enum bootstrap_state {
    BOOTSTRAP_EMPTY,   /* no directory, or nothing of anyone's in it: bootstrap_run() may fill it */
    BOOTSTRAP_READY,   /* a control database is there */
    BOOTSTRAP_FOREIGN, /* other files, no control database: leave it alone */
};
MUST_CHECK enum err_code bootstrap_look(const char *data_dir, enum bootstrap_state *ret, struct err *err);

/* Makes the directory (0700) when it is not there and takes <data>/lock; ERR_CONFLICT names the pid that
 * holds it. The lock lives as long as *ret_fd stays open. Look first: this writes into the directory. */
MUST_CHECK enum err_code bootstrap_lock(const char *data_dir, int *ret_fd, struct err *err);

struct bootstrap_new {
    const struct actor *by;
    const char *data_dir;
    struct str email, password, namespace_slug;
};

/* secret_release(&token) once it was shown. */
struct bootstrap_result {
    struct secret token;
    char namespace_slug[SLUG_SIZE];
};

/* Checks address, password and slug alone. ERR_INVALID at /email, /password, /namespace. */
MUST_CHECK enum err_code bootstrap_check(const struct bootstrap_new *in, struct err *err);
/* Under the lock. ERR_CONFLICT unless the directory is BOOTSTRAP_EMPTY; ERR_INVALID as above; nothing was
 * made then. */
MUST_CHECK enum err_code bootstrap_run(
    const struct bootstrap_new *in, struct bootstrap_result *ret, struct err *err);

#endif
