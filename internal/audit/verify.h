/* Verification: rows and checkpoints are shown in order, the first thing that does not fit is named.
 * audit_verifier needs no database, so that exports are proved by the same code; audit_verify_db shows it a
 * control.db. What verification proves and what it cannot is written in chain.h. One thread. */
#ifndef AUDIT_VERIFY_H
#define AUDIT_VERIFY_H

#include "audit/chain.h"
#include "audit/checkpoint.h"
#include "audit/key.h"
#include "base/slug.h"
#include "sqlite/db.h"

#define AUDIT_CHAIN_SIZE 80
#define AUDIT_WHAT_SIZE  256

/* What is wrong, and where. */
struct audit_finding {
    char chain[AUDIT_CHAIN_SIZE]; /* "" of no chain */
    int64_t seq;                  /* 0: of no row */
    int64_t at_ms;                /* of the row, as far as it can be believed; 0 unknown */
    int64_t checkpoint;           /* 0: of none */
    char what[AUDIT_WHAT_SIZE];   /* one sentence, without a full stop */
};

struct audit_verifier {
    const struct audit_keys *keys;
    char chain[AUDIT_CHAIN_SIZE];
    int64_t seq, created_at; /* of the last row shown */
    struct digest hash;
    int64_t signed_seq, checkpoint; /* of the last checkpoint of this chain */
    bool broken;
    struct audit_finding finding;                           /* the first */
    void (*on_row)(void *arg, const struct audit_row *row); /* each that fits; NULL: nobody looks */
    void *row_arg;
};

/* Begins a chain: its first row is shown next. */
void audit_verifier_init(struct audit_verifier *v, const struct audit_keys *keys, struct str chain);
/* Each is true while everything fits; after the first false nothing more is looked at. */
bool audit_verifier_row(struct audit_verifier *v, const struct audit_row *row); /* row->hash as stored */
/* Numbers of all checkpoints of a database have no gap. */
bool audit_verifier_number(struct audit_verifier *v, const struct audit_checkpoint *c);
/* The signature alone. */
bool audit_verifier_signature(
    struct audit_verifier *v, const struct audit_checkpoint *c, const struct digest *before);
/* The checkpoint's place: right after the row it covers. */
bool audit_verifier_checkpoint(struct audit_verifier *v, const struct audit_checkpoint *c);
/* No more rows. `end_seq` and `end_hash` are what was noted as the end. */
bool audit_verifier_end(struct audit_verifier *v, int64_t end_seq, const struct digest *end_hash);
/* Something else is wrong. */
bool audit_verifier_fail(struct audit_verifier *v, const char *what);

/* How a chain came out. */
struct audit_chain_report {
    char chain[AUDIT_CHAIN_SIZE];
    int64_t rows, signed_seq, checkpoint;
    const struct audit_finding *finding; /* NULL: it is whole */
};

struct audit_verify_options {
    const struct audit_keys *keys;
    struct str chain;        /* "" all */
    struct audit_head known; /* a checkpoint that must be there; number 0: none is known */
    /* Called for each chain. A finding about the checkpoints themselves comes as a report without a chain. */
    void (*on_chain)(void *arg, const struct audit_chain_report *report);
    void *arg;
    void (*on_row)(void *arg, const struct audit_row *row); /* each that fits; NULL: nobody looks */
    void *row_arg;
};

struct audit_verify_result {
    int64_t chains, rows, unsigned_rows, checkpoints, broken;
    struct audit_head newest;
};

/* Reads one state of the database, whoever writes meanwhile. ERR_OK also when something is broken:
 * ret->broken counts. ERR_CORRUPT: the file itself is damaged. */
MUST_CHECK enum err_code audit_verify_db(
    struct db *db, const struct audit_verify_options *opt, struct audit_verify_result *ret, struct err *err);

/* Opens <dir>/control.db for audit_verify_db() and exporting: a copy, also where nothing can be written, or
 * the file of a running server. ERR_NOT_FOUND; ERR_CONFLICT: it has no audit log. */
MUST_CHECK enum err_code audit_open_copy(const char *dir, struct db **ret, struct err *err);

/* The slug of the namespace whose chain that is. ERR_NOT_FOUND. */
MUST_CHECK enum err_code audit_chain_slug(
    struct db *db, struct str chain, char out[SLUG_SIZE], struct err *err);

#endif
