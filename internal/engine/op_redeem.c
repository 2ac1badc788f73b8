/* REDEEM {"hash", "takesBack"?}, id = a held proposal: does what people have approved, which the front knows;
 * that it is this hash and happens once is for here. data: the answer of the query or batch. 404 when it does
 * not wait for this bearer, 409 naming its state when it is decided. When it would do something else by now:
 * 409 with head.held, the held reply of a fresh proposal with "drift":{"rows", "truncated"} beside it. */
#include "base/enc.h"
#include "base/limits.h"
#include "engine/applying.h"
#include "engine/change_diff.h"
#include "engine/engine_state.h"
#include "engine/proposing.h"
#include "engine/rule.h"
#include "json/jsonr.h"

enum { DRIFT_BYTES_MAX = 8 << 20 };

struct asked {
    struct str hash;
    bool takes_back; /* nobody confirmed what it takes back: rules of by now do not keep that */
};

static enum err_code read_asked(struct op *op, struct asked *ret, struct err *err)
{
    static const struct jsonr_field FIELDS[] = {
        {"hash", JF_TEXT, offsetof(struct asked, hash), JF_REQUIRED, 1, 100},
        {"takesBack", JF_BOOL, offsetof(struct asked, takes_back), 0, 0, 0},
    };
    const struct jsonr_value *root;
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    return code ? code : jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, ret, err);
}

static bool is_hash_of(const struct proposal *p, struct str hash)
{
    AUTO_STRBUF text;
    strbuf_init(&text, 100);
    strbuf_add_cstr(&text, "sha256:");
    enc_hex(&text, p->hash);
    return str_eq(strbuf_str(&text), hash);
}

/* --- Drift --- */

static enum err_code write_drift(
    struct op *op, struct jsonw *w, const struct proposal *p, const struct rehearsal *r, struct err *err)
{
    AUTO_STRBUF approved;
    struct change_view v = proposal_rows(op, p);
    strbuf_init(&approved, (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = proposal_set(op, p, &approved, err);
    jsonw_key(w, "drift");
    jsonw_object(w);
    if (!code)
        code = change_diff_write(&v, strbuf_str(&approved), strbuf_str(&r->set), w, err);
    jsonw_object_end(w);
    return code;
}

static enum err_code tell(struct op *op, const struct proposal *p, const struct proposal *fresh,
    const struct rehearsal *r, struct err *err)
{
    AUTO_STRBUF out;
    struct jsonw w;
    strbuf_init(&out, DRIFT_BYTES_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    held_write(op, &w, fresh);
    enum err_code code = write_drift(op, &w, p, r, err);
    jsonw_object_end(&w);
    if (code)
        return code;
    op->plain = strbuf_failed(&out) ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&out));
    if (!op->plain.ptr)
        return err_set(err, ERR_TOO_LARGE, "the differences are too large to be told");
    op->head.status = 409;
    op->head.code = ERR_CONFLICT;
    op->head.held = 1;
    op->head.rows_written = 0;
    return ERR_OK;
}

enum err_code redeem_drifted(
    struct op *op, const struct proposal *p, const struct proposing *in, struct rehearsal *r, struct err *err)
{
    struct proposal fresh;
    if (in->verdict.action == RULE_DENY || in->verdict.wants_reason)
        return rules_refuse(op, &in->verdict, err);
    enum err_code code = proposal_decide(op, p, "drifted", err);
    if (!code)
        code = propose_store_held(op, in, r, &in->verdict, &fresh, err);
    return code ? code : tell(op, p, &fresh, r, err);
}

/* --- --- */

enum err_code op_run_REDEEM(struct op *op, struct err *err)
{
    struct proposal p;
    struct asked asked = {.takes_back = false};
    struct str id = wire_arg(&op->call, "id");
    bool found = false;
    enum err_code code = read_asked(op, &asked, err);
    if (!code && id.ptr)
        code = proposal_by_id(op, id, &found, &p, err);
    if (code)
        return code;
    if (!found || !str_eq(p.bearer, op->call.token_id))
        return err_set(err, ERR_NOT_FOUND, "What was approved does not wait in this database any more");
    if (!proposal_waits(&p) && str_eq(p.state, S("applied")))
        return err_set(err, ERR_NOT_FOUND, "What was approved is done already");
    if (!proposal_waits(&p))
        return err_set(err, ERR_CONFLICT, "What was approved is %s by now", proposal_state(&p));
    if (!is_hash_of(&p, asked.hash))
        return err_set(err, ERR_CONFLICT, "What was approved is something else than what waits");
    op->takes_back = asked.takes_back && p.undo_of.ptr;
    return proposal_apply(op, &p, err);
}
