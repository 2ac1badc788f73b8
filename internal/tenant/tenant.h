/* Namespaces: who owns databases and tokens, and the first part of a database's address. Worker thread. */
#ifndef TENANT_TENANT_H
#define TENANT_TENANT_H

#include "audit/actor.h"
#include "base/err.h"
#include "base/slug.h"
#include "sqlite/db.h"

#define TENANT_NAME_SIZE 201 /* LIMIT_NAME_BYTES and a terminator */

struct tenant {
    struct id id; /* "ns_…" */
    char slug[SLUG_SIZE];
    char name[TENANT_NAME_SIZE];
    int64_t created_at; /* wall-clock ms, as all stored times */
    int64_t deleted_at; /* 0: not */
};

/* ERR_INVALID at /namespace: the grammar of slugs and the names that routes need. */
MUST_CHECK enum err_code tenant_check_slug(struct str slug, struct err *err);

/* Inside a write transaction. `name` "" takes the slug. ERR_INVALID names the field, ERR_CONFLICT the slug is
 * taken. */
MUST_CHECK enum err_code tenant_create(struct db *db, const struct actor *by, struct str slug,
    struct str name, struct tenant *ret, struct err *err);
MUST_CHECK enum err_code tenant_get(struct db *db, struct str slug, struct tenant *ret, struct err *err);

/* Inside a write transaction, these three. "" is no name. */
MUST_CHECK enum err_code tenant_rename(
    struct db *db, const struct actor *by, const struct tenant *t, struct str name, struct err *err);
/* Its tokens and members find nothing there from the commit on; nothing is removed until its time ends. */
MUST_CHECK enum err_code tenant_delete(
    struct db *db, const struct actor *by, const struct tenant *t, struct err *err);
MUST_CHECK enum err_code tenant_restore(
    struct db *db, const struct actor *by, const struct tenant *t, struct err *err);
/* A namespace whose time ended before `now_ms` and that still has a database that is not in the trash, or
 * none at all. ERR_NOT_FOUND none is due. */
MUST_CHECK enum err_code tenant_next_due(struct db *db, int64_t now_ms, struct tenant *ret, struct err *err);
/* Inside a write transaction: removes the namespace, which has no database, and what belongs to it, but its
 * audit log. Where that is much, a part of it, LIMIT_PURGE_ROWS of each kind, and sets *more. */
MUST_CHECK enum err_code tenant_purge(
    struct db *db, const struct actor *by, const struct tenant *t, bool *more, struct err *err);

#endif
