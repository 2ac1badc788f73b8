/* Proving an export. */
#include "audit/ndjson.h"

#include "audit/audit_internal.h"
#include "base/enc.h"
#include "json/jsonr.h"

/* The members of every kind of line; which ones are there tells the kind. */
struct line {
    struct audit_row row;
    struct audit_checkpoint checkpoint;
    struct str hash, before, signature;
    int64_t version, end_seq;
    struct str chain, end_hash;
};

#define AT(member) offsetof(struct line, member)
#define FIELD(name, kind, member)                                                                            \
    {                                                                                                        \
        name, kind, AT(member), JF_NULL_OK, 0, 0                                                             \
    }
#define KIND_TEXT JF_TEXT
#define KIND_INT  JF_INT

static const struct jsonr_field BEGIN[] = {
    FIELD("holdfastAudit", JF_INT, version),
    FIELD("chain", JF_TEXT, chain),
};
static const struct jsonr_field ROW[] = {
#define COLUMN(member, kind, name) FIELD(name, KIND_##kind, row.member),
    AUDIT_COLUMNS(COLUMN)
#undef COLUMN
        FIELD("hash", JF_TEXT, hash),
};
static const struct jsonr_field CHECKPOINT[] = {
#define COLUMN(member, kind, name) FIELD(name, KIND_##kind, checkpoint.member),
    AUDIT_CHECKPOINT_COLUMNS(COLUMN)
#undef COLUMN
        FIELD("before", JF_TEXT, before),
    FIELD("hash", JF_TEXT, hash),
    FIELD("signature", JF_TEXT, signature),
};
static const struct jsonr_field END[] = {
    FIELD("chain", JF_TEXT, chain),
    FIELD("endSeq", JF_INT, end_seq),
    FIELD("endHash", JF_TEXT, end_hash),
};

void audit_import_init(
    struct audit_import *in, const struct audit_verify_options *opt, struct audit_verify_result *ret)
{
    *in = (struct audit_import){.opt = opt, .ret = ret, .seen_known = opt->known.number == 0};
    *ret = (struct audit_verify_result){.chains = 0};
}

static enum err_code refuse(const struct audit_import *in, const char *why, struct err *err)
{
    return err_set(err, ERR_INVALID, "line %lld: %s", (long long)in->line, why);
}

/* A hash that is none becomes zeros, which fit nothing. */
static struct digest hash_of(struct str hex)
{
    struct digest d;

    return audit_from_hex(hex, &d) ? d : (struct digest){{0}};
}

static enum err_code begin(struct audit_import *in, const struct line *l, struct err *err)
{
    if (in->in_chain)
        return refuse(in, "a chain begins inside of another", err);
    if (l->version != 1)
        return refuse(in, "the export has a form that this Holdfast does not know", err);
    audit_verifier_init(&in->v, in->opt->keys, l->chain);
    in->v.on_row = in->opt->on_row;
    in->v.row_arg = in->opt->row_arg;
    in->in_chain = true;
    return ERR_OK;
}

static enum err_code row(struct audit_import *in, struct line *l, struct err *err)
{
    if (!in->in_chain)
        return refuse(in, "a row outside of any chain", err);
    l->row.hash = hash_of(l->hash);
    (void)audit_verifier_row(&in->v, &l->row); /* v remembers */
    return ERR_OK;
}

static enum err_code checkpoint(struct audit_import *in, struct line *l, struct err *err)
{
    struct audit_checkpoint *c = &l->checkpoint;
    const struct digest before = hash_of(l->before);
    size_t len;

    if (!in->in_chain)
        return refuse(in, "a checkpoint outside of any chain", err);
    c->hash = hash_of(l->hash);
    if (!dec_hex(l->signature, c->signature.bytes, SIGNATURE_BYTES, &len) || len != SIGNATURE_BYTES)
        c->signature = (struct signature){{0}};
    in->ret->checkpoints++;
    if (c->number == in->opt->known.number && digest_eq(&c->hash, &in->opt->known.hash))
        in->seen_known = true;
    if (c->number > in->ret->newest.number)
        in->ret->newest = (struct audit_head){.number = c->number, .hash = c->hash};
    if (!str_eq(c->chain, str_of(in->v.chain)))
        (void)audit_verifier_fail(
            &in->v, "a checkpoint of another chain stands among its rows"); /* v remembers */
    if (audit_verifier_signature(&in->v, c, &before))
        (void)audit_verifier_checkpoint(&in->v, c); /* as above */
    return ERR_OK;
}

static void report(struct audit_import *in)
{
    struct audit_chain_report out = {.rows = in->v.seq,
        .signed_seq = in->v.signed_seq,
        .checkpoint = in->v.checkpoint,
        .finding = in->v.broken ? &in->v.finding : NULL};

    memcpy(out.chain, in->v.chain, sizeof out.chain);
    in->ret->chains++;
    in->ret->rows += in->v.seq;
    in->ret->unsigned_rows += in->v.seq - in->v.signed_seq;
    in->ret->broken += in->v.broken;
    in->opt->on_chain(in->opt->arg, &out);
}

static enum err_code end(struct audit_import *in, const struct line *l, struct err *err)
{
    const struct digest hash = hash_of(l->end_hash);

    if (!in->in_chain || !str_eq(l->chain, str_of(in->v.chain)))
        return refuse(in, "the end of a chain that did not begin", err);
    (void)audit_verifier_end(&in->v, l->end_seq, &hash); /* v remembers */
    in->in_chain = false;
    report(in);
    return ERR_OK;
}

#define READ(fields) jsonr_fields(root, "", fields, ARRAY_LEN(fields), JSONR_UNKNOWN_REFUSE, &l, err)

static enum err_code read_line(struct audit_import *in, const struct jsonr_value *root, struct err *err)
{
    struct line l = {.version = 0};
    enum err_code code;

    if (jsonr_kind(root) != JSONR_OBJECT)
        return refuse(in, "not an object", err);
    if (jsonr_member(root, S("holdfastAudit"))) {
        code = READ(BEGIN);
        return code ? code : begin(in, &l, err);
    }
    if (jsonr_member(root, S("checkpoint"))) {
        code = READ(CHECKPOINT);
        return code ? code : checkpoint(in, &l, err);
    }
    if (jsonr_member(root, S("endSeq"))) {
        code = READ(END);
        return code ? code : end(in, &l, err);
    }
    code = READ(ROW);
    return code ? code : row(in, &l, err);
}

enum err_code audit_import_line(struct audit_import *in, struct str line, struct err *err)
{
    AUTO_ARENA arena;
    struct err why = ERR_INIT;
    const struct jsonr_value *root;

    in->line++;
    arena_init(&arena, (size_t)8 * AUDIT_LINE_MAX);
    enum err_code code = jsonr_parse(&arena, line, &root, &why);
    if (!code)
        code = read_line(in, root, &why);
    if (!code || str_starts(str_of(why.message), S("line ")))
        return code ? err_set(err, code, "%s", why.message) : code;
    return refuse(in, why.message, err);
}

enum err_code audit_import_end(struct audit_import *in, struct err *err)
{
    if (in->in_chain)
        return refuse(in, "the file ends in the middle of a chain", err);
    if (!in->ret->chains)
        return err_set(err, ERR_INVALID, "the file holds no chain: is it an export of the audit log?");
    if (in->seen_known)
        return ERR_OK;
    audit_verifier_init(&in->v, in->opt->keys, STR_EMPTY);
    (void)audit_verifier_fail(&in->v, AUDIT_NOT_HERE); /* reported below */
    report(in);
    in->ret->chains--;
    return ERR_OK;
}
