/* What must hold of rows and checkpoints, each with its sentence. */
#include "audit/verify.h"

#include "base/clock.h"
#include "base/limits.h"
#include <stdarg.h>

static void copy(char *out, size_t size, struct str text)
{
    str_print_cut(out, size, STR_FMT, STR_ARG(str_slice(text, 0, size)));
}

/* A time that can be written; whoever changed the row may have chosen it. */
static int64_t believable(int64_t at_ms)
{
    return at_ms > 0 && at_ms < CLOCK_WALL_MS_END ? at_ms : 0;
}

/* Keeps the first; returns false, so that a check can end with it. */
static bool broken(struct audit_verifier *v, int64_t seq, int64_t at_ms, int64_t checkpoint, const char *fmt,
    ...) PRINTF_LIKE(5, 6);
static bool broken(
    struct audit_verifier *v, int64_t seq, int64_t at_ms, int64_t checkpoint, const char *fmt, ...)
{
    va_list ap;

    if (v->broken)
        return false;
    v->broken = true;
    v->finding = (struct audit_finding){.seq = seq, .at_ms = believable(at_ms), .checkpoint = checkpoint};
    copy(v->finding.chain, sizeof v->finding.chain, str_of(v->chain));
    va_start(ap, fmt);
    str_vprint_cut(v->finding.what, sizeof v->finding.what, fmt, ap);
    va_end(ap);
    return false;
}

void audit_verifier_init(struct audit_verifier *v, const struct audit_keys *keys, struct str chain)
{
    *v = (struct audit_verifier){.keys = keys};
    copy(v->chain, sizeof v->chain, chain);
}

static bool missing(struct audit_verifier *v, int64_t last)
{
    int64_t first = v->seq + 1;

    if (first == last)
        return broken(v, first, v->created_at, 0, "the row is missing");
    return broken(
        v, first, v->created_at, 0, "rows %lld to %lld are missing", (long long)first, (long long)last);
}

bool audit_verifier_row(struct audit_verifier *v, const struct audit_row *row)
{
    if (v->broken)
        return false;
    if (!str_eq(row->chain, str_of(v->chain)))
        return broken(v, v->seq + 1, row->created_at, 0, "a row of another chain stands in its place");
    if (row->seq > v->seq + 1)
        return missing(v, row->seq - 1);
    if (row->seq <= v->seq)
        return broken(
            v, row->seq, row->created_at, 0, "the row does not come after row %lld", (long long)v->seq);
    struct digest digest = audit_row_digest(&v->hash, row);
    if (!digest_eq(&digest, &row->hash))
        return broken(v, row->seq, row->created_at, 0,
            "the row does not fit its hash: it was changed, or what stood before it was");
    if (row->created_at <= v->created_at)
        return broken(v, row->seq, row->created_at, 0, "the row is not later than the one before it");
    v->seq = row->seq;
    v->created_at = row->created_at;
    v->hash = digest;
    if (v->on_row)
        v->on_row(v->row_arg, row);
    return true;
}

bool audit_verifier_signature(
    struct audit_verifier *v, const struct audit_checkpoint *c, const struct digest *before)
{
    struct digest digest = audit_checkpoint_digest(before, c);

    if (v->broken)
        return false;
    if (!digest_eq(&digest, &c->hash))
        return broken(v, 0, c->created_at, c->number,
            "checkpoint %lld does not fit its hash: it was changed, or the one before it was or is missing",
            (long long)c->number);
    const struct sign_key *key = audit_keys_find(v->keys, c->key_id);
    if (!key)
        return broken(v, 0, c->created_at, c->number,
            "checkpoint %lld is signed by a key (" STR_FMT ") that is not among the public keys given",
            (long long)c->number, STR_ARG(str_slice(c->key_id, 0, AUDIT_KEY_ID_SIZE)));
    if (!sign_check(key, digest_str(&c->hash), &c->signature))
        return broken(
            v, 0, c->created_at, c->number, "checkpoint %lld has a forged signature", (long long)c->number);
    return true;
}

bool audit_verifier_checkpoint(struct audit_verifier *v, const struct audit_checkpoint *c)
{
    char hex[AUDIT_HEX_SIZE];

    if (v->broken)
        return false;
    if (c->seq > v->seq)
        return broken(v, v->seq + 1, v->created_at, c->number,
            "the chain ends with row %lld, but checkpoint %lld signed row %lld", (long long)v->seq,
            (long long)c->number, (long long)c->seq);
    audit_hex(&v->hash, hex);
    if (c->seq < v->seq || c->seq <= v->signed_seq || !str_eq(c->row_hash, str_of(hex)))
        return broken(v, v->signed_seq + 1, v->created_at, c->number,
            "one of the rows %lld to %lld is not what checkpoint %lld signed", (long long)v->signed_seq + 1,
            (long long)v->seq, (long long)c->number);
    v->signed_seq = c->seq;
    v->checkpoint = c->number;
    return true;
}

bool audit_verifier_number(struct audit_verifier *v, const struct audit_checkpoint *c)
{
    int64_t expected = v->checkpoint < INT64_MAX ? v->checkpoint + 1 : 0;

    v->checkpoint = c->number;
    if (c->number == expected)
        return !v->broken;
    return broken(v, 0, c->created_at, expected, "checkpoint %lld is missing", (long long)expected);
}

bool audit_verifier_fail(struct audit_verifier *v, const char *what)
{
    return broken(v, 0, v->created_at, 0, "%s", what);
}

bool audit_verifier_end(struct audit_verifier *v, int64_t end_seq, const struct digest *end_hash)
{
    if (v->broken)
        return false;
    if (end_seq > v->seq)
        return missing(v, end_seq);
    if (end_seq < v->seq || !digest_eq(end_hash, &v->hash))
        return broken(v, end_seq + (end_seq < v->seq), v->created_at, 0,
            "the chain was noted to end with another row %lld: rows were added or changed behind it",
            (long long)end_seq);
    if (v->seq - v->signed_seq >= LIMIT_AUDIT_CHECKPOINT_ROWS)
        return broken(v, v->signed_seq + 1, v->created_at, 0,
            "%lld rows follow the last checkpoint, which must come after %lld: checkpoints were removed, or "
            "could not be signed",
            (long long)(v->seq - v->signed_seq), (long long)LIMIT_AUDIT_CHECKPOINT_ROWS);
    return true;
}
