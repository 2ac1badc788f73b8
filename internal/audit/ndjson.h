/* Exports: one JSON object a line, enough to prove them without the database (chain.h). For each chain
 *
 *     {"holdfastAudit":1,"chain":"ns_…"}                                     it begins
 *     {"chain":"ns_…","seq":1,…,"after":"{…}","hash":"…"}                    a row: every column that is
 * hashed
 *     {"checkpoint":7,"chain":…,"seq":…,…,"before":…,"hash":…,"signature":…} right after the row it covers
 *     {"chain":"ns_…","endSeq":12,"endHash":"…"}                             it ends
 *
 * `before` and `after` of a row are texts that hold JSON, exactly as they were hashed; `before` of a
 * checkpoint is the hash of the one before it. One thread. */
#ifndef AUDIT_NDJSON_H
#define AUDIT_NDJSON_H

#include "audit/verify.h"
#include "base/strbuf.h"

#define AUDIT_LINE_MAX (1 << 20)

/* Writes one chain, or all of them (""), line by line; `write` is false when it could not. ERR_IO then. */
MUST_CHECK enum err_code audit_export(
    struct db *db, struct str chain, bool (*write)(void *arg, struct str line), void *arg, struct err *err);

/* Proves an export that is shown line by line. */
struct audit_import {
    const struct audit_verify_options
        *opt; /* its chain is not looked at; `known` must be among the checkpoints */
    struct audit_verify_result *ret;
    struct audit_verifier v;
    bool in_chain, seen_known;
    int64_t line;
};

void audit_import_init(
    struct audit_import *in, const struct audit_verify_options *opt, struct audit_verify_result *ret);
/* ERR_INVALID: the line is none of an export. */
MUST_CHECK enum err_code audit_import_line(struct audit_import *in, struct str line, struct err *err);
/* ERR_INVALID: it ends in the middle of a chain, or held none. */
MUST_CHECK enum err_code audit_import_end(struct audit_import *in, struct err *err);

#endif
