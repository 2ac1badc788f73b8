/* What the files of this folder share: rows in control.db (registry_store.c) and directories on disk
 * (registry_disk.c). */
#ifndef REGISTRY_REGISTRY_INTERNAL_H
#define REGISTRY_REGISTRY_INTERNAL_H

#include "registry/registry.h"

/* --- Rows. All of them inside a transaction of the caller, the writing ones inside a write transaction. ---
 */

MUST_CHECK enum err_code store_insert(struct db *db, const struct registry_entry *e, struct err *err);
MUST_CHECK enum err_code store_get(struct db *db, struct str id, struct registry_entry *ret, struct err *err);
MUST_CHECK enum err_code store_get_live(struct db *db, const struct id *namespace_id, struct str slug,
    struct registry_entry *ret, struct err *err);
MUST_CHECK enum err_code store_get_last_deleted(struct db *db, const struct id *namespace_id, struct str slug,
    struct registry_entry *ret, struct err *err);
MUST_CHECK enum err_code store_count_live(
    struct db *db, const struct id *namespace_id, int64_t *ret, struct err *err);
/* Moves the row along one arrow of the picture in registry.h; any other move asserts. Updates *e.
 * ERR_CONFLICT the slug is taken. */
MUST_CHECK enum err_code store_move(
    struct db *db, struct registry_entry *e, enum registry_status to, struct err *err);
MUST_CHECK enum err_code store_remove(struct db *db, const struct registry_entry *e, struct err *err);
/* The first unfinished row with an id above `after`: ERR_NOT_FOUND when there is none. */
MUST_CHECK enum err_code store_next_unfinished(
    struct db *db, struct str after, struct registry_entry *ret, struct err *err);
MUST_CHECK enum err_code store_next_purgeable(
    struct db *db, int64_t now_ms, struct registry_entry *ret, struct err *err);

MUST_CHECK enum err_code store_begin_exchange(
    struct db *db, struct registry_entry *e, int64_t expires_at, struct err *err);
/* The same for a restore: neither its time nor its parent change. */
MUST_CHECK enum err_code store_begin_restore(
    struct db *db, const struct registry_entry *e, const struct id *keep_as, struct err *err);
/* The snapshot that the replaced content of an unfinished exchange becomes, "" none. */
MUST_CHECK enum err_code store_exchange_keeps(
    struct db *db, const struct id *id, struct id *ret, struct err *err);
MUST_CHECK enum err_code store_end_exchange(struct db *db, const struct id *id, struct err *err);
/* The database of the next unfinished exchange after that id: ERR_NOT_FOUND when there is none. */
MUST_CHECK enum err_code store_next_exchange(
    struct db *db, struct str after, struct registry_entry *ret, struct err *err);

/* --- Directories. Each may be done again after a crash in its middle. --- */

/* What is in the database's directory, and its name, are there to stay. */
MUST_CHECK enum err_code disk_settle(const char *data_dir, struct str db_id, struct err *err);
MUST_CHECK enum err_code disk_make(const char *data_dir, struct str db_id, struct err *err);
MUST_CHECK enum err_code disk_to_trash(const char *data_dir, struct str db_id, struct err *err);
MUST_CHECK enum err_code disk_from_trash(const char *data_dir, struct str db_id, struct err *err);
/* Staged files get their place; what stands there goes to <data>/replaced/<id> first, or to the snapshot
 * `keep_as`. Done already when nothing is staged. */
MUST_CHECK enum err_code disk_exchange(
    const char *data_dir, struct str db_id, struct str keep_as, struct err *err);
/* Takes that back as far as it came. */
MUST_CHECK enum err_code disk_unexchange(
    const char *data_dir, struct str db_id, struct str keep_as, struct err *err);
/* What the two of them leave behind. */
void disk_clean_exchange(const char *data_dir, struct str db_id);
MUST_CHECK enum err_code disk_remove(const char *data_dir, struct str db_id, struct err *err);

#endif
