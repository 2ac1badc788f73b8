/* Checkpoints: signatures over the ends of chains. audit_append makes one by itself after
 * LIMIT_AUDIT_CHECKPOINT_ROWS rows; the rest is done by the clock of the server. <data>/audit.head names the
 * newest checkpoint outside of control.db, so that an older copy of that file, put in its place, is noticed.
 * Opens its own transactions. Worker thread. */
#ifndef AUDIT_CHECKPOINT_H
#define AUDIT_CHECKPOINT_H

#include "audit/chain.h"
#include "sqlite/db.h"

#define AUDIT_HEAD_FILE "audit.head"

/* The newest checkpoint; number 0: none yet. */
struct audit_head {
    int64_t number;
    struct digest hash;
};

/* "57:<64 hexadecimal digits>", the form of the file, of logs and of options. */
#define AUDIT_HEAD_SIZE 96
void audit_head_text(const struct audit_head *head, char out[AUDIT_HEAD_SIZE]);
MUST_CHECK bool audit_head_parse(struct str text, struct audit_head *ret);
/* Of <dir>/audit.head; number 0 where there is none. */
MUST_CHECK enum err_code audit_head_read(const char *dir, struct audit_head *ret, struct err *err);
MUST_CHECK enum err_code audit_head_get(
    struct db *db, struct audit_head *ret, struct err *err); /* of control.db */

/* Signs chains with a row that is unsigned since `until_ms` or longer, the longest first and about `most` of
 * them, then notes the newest checkpoint in audit.head. *ret_head is the newest one afterwards. */
#define AUDIT_SIGN_ALL SIZE_MAX
MUST_CHECK enum err_code audit_sign(struct db *db, const char *data_dir, int64_t until_ms, size_t most,
    struct audit_head *ret_head, struct err *err);

struct audit_start {
    bool rolled_back;                /* audit.head knows a checkpoint that control.db has not */
    struct audit_head known, newest; /* of audit.head, of control.db before anything was signed */
    struct audit_head head;          /* the newest checkpoint now */
};
/* At the server's start, under the lock: makes the key where there is none, records a key that is new and a
 * roll-back, signs everything. */
MUST_CHECK enum err_code audit_begin(
    struct db *db, const char *data_dir, struct audit_start *ret, struct err *err);

#endif
