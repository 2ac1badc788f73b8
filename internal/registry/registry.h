/* The registry of databases, and the only place that knows where one lives on disk.
 *
 *      create            delete              7 days later
 *   provisioning ──► healthy ──► deleting ──► deleted ──► purging ──► (no row)
 *                       ▲                        │
 *                       └────── restoring ◄──────┘
 *
 * Every arrow into a state in -ing is the intent: a transaction of its own, before anything on disk is
 * touched. What a crash leaves there is finished by registry_recover() at the next start; each step may be
 * done twice. A slug is free again as soon as its database is deleted; restoring then needs the slug to be
 * free. Tenant files are moved and measured here, never opened.
 *
 * Worker thread. Functions that change open their own transactions. What was asked for is audited with its
 * intent, under the actor who asked; finishing it later is not. */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include "audit/actor.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/slug.h"
#include "sqlite/db.h"

#define REGISTRY_NAME_SIZE   201 /* LIMIT_NAME_BYTES and a terminator */
#define REGISTRY_REGION_SIZE 16
#define REF_SIZE             65 /* LIMIT_REF_BYTES and a terminator */

enum registry_status {
    REGISTRY_PROVISIONING,
    REGISTRY_HEALTHY,
    REGISTRY_DELETING,
    REGISTRY_DELETED,
    REGISTRY_RESTORING,
    REGISTRY_PURGING,
    REGISTRY_STATUS_COUNT,
};

struct registry_entry {
    struct id id; /* "db_…", the directory's name too */
    struct id namespace_id;
    char namespace_slug[SLUG_SIZE];
    char slug[SLUG_SIZE];
    char name[REGISTRY_NAME_SIZE];
    enum registry_status status;
    char region[REGISTRY_REGION_SIZE]; /* "auto" */
    int64_t created_at;
    int64_t deleted_at;  /* 0: not */
    struct id parent_id; /* what it was made from, perhaps gone; "" nothing */
    char ref[REF_SIZE];  /* of a branch; "" it is none */
    int64_t forked_at;   /* when its content was taken from there, the last time; 0 never */
    int64_t expires_at;  /* 0 never */
};

/* What a database is made from. */
struct registry_origin {
    struct id parent_id;
    struct str ref;     /* "" a fork */
    int64_t expires_at; /* 0 never */
};

const char *registry_status_name(enum registry_status status);

/* The disk side. `evict` must have ended the database's engines when it returns; `allow` lets new ones start.
 * Both may be NULL where no engine can run (commands under the lock). */
struct registry_disk {
    const char *data_dir;
    void (*evict)(void *arg, struct str db_id);
    void (*allow)(void *arg, struct str db_id);
    /* As evict, for the moment of an exchange: calls are told to try again. */
    void (*hold)(void *arg, struct str db_id);
    void *arg;
};

/* <data>/db/<id>; aborts unless `db_id` is one of our ids. */
void registry_path(char out[FS_PATH_MAX], const char *data_dir, struct str db_id);
/* Bytes of the database's files, 0 when there are none yet. */
uint64_t registry_bytes(const char *data_dir, struct str db_id);
/* Nothing was committed to it after this moment, by the wall clock; INT64_MAX nobody knows. Commits that are
 * younger than the call may be missed. */
int64_t registry_changed_at(const char *data_dir, struct str db_id);

/* `name` "" takes the slug; `region` "" or unknown is "auto". ERR_INVALID names the field, ERR_CONFLICT the
 * slug is taken, ERR_FORBIDDEN the namespace is full, ERR_FULL, ERR_IO. On failure nothing remains. */
MUST_CHECK enum err_code registry_create(struct db *db, const struct registry_disk *disk,
    const struct actor *by, const struct id *namespace_id, struct str slug, struct str name,
    struct str region, struct registry_entry *ret, struct err *err);
/* The first half alone, inside the caller's write transaction: registry_create_finish(), registry_recover()
 * or the next start does the rest. */
MUST_CHECK enum err_code registry_create_intent(struct db *db, const struct actor *by,
    const struct id *namespace_id, struct str slug, struct str name, struct str region,
    struct registry_entry *ret, struct err *err);

/* The same under `slug`, or where that is taken under "<slug>-" and random digits; `region` "auto". */
MUST_CHECK enum err_code registry_create_free(struct db *db, const struct actor *by,
    const struct id *namespace_id, struct str slug, struct str name, struct registry_entry *ret,
    struct err *err);

/* The second half, once that transaction is committed. What fails here stays an intent. */
MUST_CHECK enum err_code registry_create_finish(
    struct db *db, const struct registry_disk *disk, struct registry_entry *entry, struct err *err);

/* The same where several may do it at once, and for an intent that somebody left: whoever comes second finds
 * it done. In one write transaction, so that nobody deletes it in between. */
MUST_CHECK enum err_code registry_create_settle(
    struct db *db, const struct registry_disk *disk, struct registry_entry *entry, struct err *err);

/* --- Databases made from another --- */

/* <data>/staging/<id>: for files that are to take the place of those of `db_id`, empty. What stood there is
 * removed. */
MUST_CHECK enum err_code registry_stage(const char *data_dir, struct str db_id, struct err *err);
void registry_unstage(const char *data_dir, struct str db_id); /* after a failure in between */
void registry_stage_path(char out[FS_PATH_MAX], const char *data_dir, struct str db_id);

/* registry_create_intent() for such a database, whose id is known already. A crash before it is finished
 * undoes it. ERR_CONFLICT too: the parent has a branch of that ref. */
MUST_CHECK enum err_code registry_create_copy_intent(struct db *db, const struct actor *by,
    const struct id *id, const struct id *namespace_id, struct str slug, struct str name, struct str region,
    const struct registry_origin *origin, struct registry_entry *ret, struct err *err);
/* Once that is committed: its directory, in which the caller puts the files, durable but for their names. */
MUST_CHECK enum err_code registry_place(const char *data_dir, struct str db_id, struct err *err);
/* It is a database now. `code` is how that went: when it or this fails, nothing remains of the database. */
MUST_CHECK enum err_code registry_create_copy_finish(struct db *db, const struct registry_disk *disk,
    const struct actor *by, struct registry_entry *entry, enum err_code code, struct err *err);

/* Inside a write transaction, then registry_exchange_finish(): the healthy database *e gets the staged files
 * in place of its own, which go, and a new time of expiry. In between it answers no calls. ERR_CONFLICT
 * somebody else does that. */
MUST_CHECK enum err_code registry_exchange_intent(
    struct db *db, const struct actor *by, struct registry_entry *e, int64_t expires_at, struct err *err);
/* The same for a snapshot that is restored: what is replaced becomes the snapshot `keep_as`. The caller
 * audits it. */
MUST_CHECK enum err_code registry_restore_intent(
    struct db *db, const struct registry_entry *e, const struct id *keep_as, struct err *err);
/* On failure the database is as it was, or at the next start as it was to be. */
MUST_CHECK enum err_code registry_exchange_finish(
    struct db *db, const struct registry_disk *disk, const struct registry_entry *e, struct err *err);

/* --- Files of snapshots (branch/snapshot.h): <data>/snapshots/<id> --- */

void registry_snapshot_path(char out[FS_PATH_MAX], const char *data_dir, struct str id);
/* From out/<id>.db of the database. ERR_UNAVAILABLE it is not there. */
MUST_CHECK enum err_code registry_snapshot_take(
    const char *data_dir, struct str db_id, struct str id, int64_t *ret_bytes, struct err *err);
void registry_snapshot_remove(const char *data_dir, struct str id);
/* Into the staged directory of `copy_id`, durably. */
MUST_CHECK enum err_code registry_snapshot_copy(
    const char *data_dir, struct str id, struct str copy_id, struct err *err);
/* Beside them: out/<copy_id>.db of the database becomes carry.db (engine/carry.h); `lost`: an empty one. */
MUST_CHECK enum err_code registry_stage_carry(
    const char *data_dir, struct str db_id, struct str copy_id, bool lost, struct err *err);
/* Beside them too: that file of the database, as `as`, durably. ERR_NOT_FOUND it has none. */
MUST_CHECK enum err_code registry_stage_file(const char *data_dir, struct str db_id, const char *name,
    struct str copy_id, const char *as, struct err *err);
/* Beside the place where an engine of `db_id` is to write the copy: as out/<copy_id>.from.db, perhaps with
 * its log. It is that engine's to remove. */
MUST_CHECK enum err_code registry_snapshot_lay_out(
    const char *data_dir, struct str id, struct str db_id, struct str copy_id, struct err *err);
/* That file itself is the copy. ERR_UNAVAILABLE: it is not there. */
MUST_CHECK enum err_code registry_snapshot_use(
    const char *data_dir, struct str db_id, struct str copy_id, struct err *err);
/* What the making of a copy left behind in out/, when its engine was killed or never asked. */
void registry_copy_drop(const char *data_dir, struct str db_id, struct str copy_id);
/* What is staged as `copy_id` is staged as `db_id` from now on. */
MUST_CHECK enum err_code registry_restage(
    const char *data_dir, struct str copy_id, struct str db_id, struct err *err);

/* The live branch of that ref: ERR_NOT_FOUND. */
MUST_CHECK enum err_code registry_get_branch(
    struct db *db, const struct id *parent_id, struct str ref, struct registry_entry *ret, struct err *err);
/* Live branches of one parent by their refs, those after `after`. Arena memory. */
MUST_CHECK enum err_code registry_list_branches(struct db *db, struct arena *a, const struct id *parent_id,
    struct str after, int64_t limit, struct registry_entry **ret, size_t *ret_count, struct err *err);
MUST_CHECK enum err_code registry_count_branches(
    struct db *db, const struct id *namespace_id, int64_t *ret, struct err *err);
/* A live database whose time has come, or a branch whose parent is gone: ERR_NOT_FOUND when there is none. */
MUST_CHECK enum err_code registry_next_expired(
    struct db *db, int64_t now_ms, struct registry_entry *ret, struct err *err);
/* Is it one of these? */
MUST_CHECK enum err_code registry_is_expired(
    struct db *db, const struct registry_entry *e, int64_t now_ms, bool *ret, struct err *err);

/* The live database of that slug: provisioning, healthy or restoring. ERR_NOT_FOUND. */
MUST_CHECK enum err_code registry_get(struct db *db, const struct id *namespace_id, struct str slug,
    struct registry_entry *ret, struct err *err);
/* By its id, in any state: for tokens that are bound to one database. ERR_NOT_FOUND. */
MUST_CHECK enum err_code registry_get_by_id(
    struct db *db, const struct id *id, struct registry_entry *ret, struct err *err);
/* By the two slugs of a URL, for calls; "<parent>.<ref>" finds a branch too. ERR_NOT_FOUND, ERR_UNAVAILABLE
 * (Retry-After) while it is being made. */
MUST_CHECK enum err_code registry_lookup(
    struct db *db, struct str namespace_slug, struct str slug, struct registry_entry *ret, struct err *err);
/* Live databases, or the branches among them, oldest first; page 1 is the first. *ret_total counts all. Arena
 * memory. */
MUST_CHECK enum err_code registry_list(struct db *db, struct arena *a, const struct id *namespace_id,
    int64_t page, int64_t page_size, bool branches_only, struct registry_entry **ret, size_t *ret_count,
    int64_t *ret_total, struct err *err);
/* All rows of all namespaces in any state. Arena memory. */
MUST_CHECK enum err_code registry_list_all(
    struct db *db, struct arena *a, struct registry_entry **ret, size_t *ret_count, struct err *err);

/* Moves it to <data>/trash/<id>. ERR_NOT_FOUND, ERR_CONFLICT while it is being made or restored. When moving
 * fails the database stays in `deleting`, unreachable, and the next recovery finishes. */
MUST_CHECK enum err_code registry_delete(struct db *db, const struct registry_disk *disk,
    const struct actor *by, const struct id *namespace_id, struct str slug, struct registry_entry *ret,
    struct err *err);
/* Brings back the one of that slug that was deleted last. ERR_NOT_FOUND none in the trash, ERR_CONFLICT the
 * slug is in use. */
MUST_CHECK enum err_code registry_restore(struct db *db, const struct registry_disk *disk,
    const struct actor *by, const struct id *namespace_id, struct str slug, struct registry_entry *ret,
    struct err *err);
/* Removes what has been in the trash for LIMIT_TRASH_MS, a branch for LIMIT_BRANCH_TRASH_MS. Stops at the
 * first failure; the rest waits for the next call. */
MUST_CHECK enum err_code registry_purge(
    struct db *db, const struct registry_disk *disk, int64_t now_ms, unsigned *ret_purged, struct err *err);

struct registry_recovery {
    unsigned finished, failed;
    struct err first; /* of the failures */
    struct id first_id;
};
/* Finishes every intent. Under the lock of the data directory, before any engine runs. A database that cannot
 * be finished stays as it is and is counted; only control.db failing is an error. */
MUST_CHECK enum err_code registry_recover(
    struct db *db, const struct registry_disk *disk, struct registry_recovery *ret, struct err *err);

#endif
