/* See template.h. */
#include "api/persql/template.h"

#include "base/clock.h"
#include "base/limits.h"

#define PARSED_MAX  (64 << 20)
#define BATCH_BYTES (256 << 10) /* a batch ends behind the statement that passes this */

struct batch {
    struct api_call *c;
    int64_t deadline_us;
    const struct id *to;
    struct strbuf body;
    struct jsonw w;
    int64_t count;
};

static enum err_code ask(struct api_call *c, const struct id *db, enum wire_op op, const struct wire_arg *arg,
    struct str body, int64_t deadline_us, struct strbuf *out)
{
    struct wire_reply_head head;
    struct wire_call call = {.op = op,
        .role = WIRE_ROLE_ADMIN,
        .deadline_us = deadline_us,
        .request_id = c->by->request_id,
        .token_id = id_str(&c->who->token_id),
        .idempotency_key = STR_EMPTY,
        .plan_key = STR_EMPTY,
        .plan_step = STR_EMPTY,
        .body = body};
    if (arg)
        call.args[call.arg_count++] = *arg;
    enum err_code rc = supervise_call_sync(c->opt->supervisor, id_str(db), &call, &head, out, c->err);
    if (rc || head.status == 200)
        return rc;
    return err_set(c->err, head.status >= 500 ? (enum err_code)head.code : ERR_CONFLICT,
        "The schema of the template cannot be copied");
}

/* The object under "data". */
static enum err_code read_data(
    struct api_call *c, struct arena *a, struct str answer, const struct jsonr_value **ret)
{
    const struct jsonr_value *root;
    enum err_code rc = jsonr_parse(a, answer, &root, c->err);
    *ret = !rc && jsonr_kind(root) == JSONR_OBJECT ? jsonr_member(root, S("data")) : NULL;
    if (!rc && (!*ret || jsonr_kind(*ret) != JSONR_OBJECT))
        rc = err_set(c->err, ERR_CONFLICT, "The schema of the template cannot be copied");
    return rc;
}

enum err_code schema_ask(struct api_call *c, struct arena *a, const struct id *db, bool with_base,
    int64_t deadline_us, const struct jsonr_value **ret)
{
    static const struct wire_arg base = {{".base", 5}, {"1", 1}};
    AUTO_STRBUF out;
    strbuf_init(&out, LIMIT_RESULT_BYTES);
    enum err_code rc = ask(c, db, WIRE_OP_SCHEMA, with_base ? &base : NULL, STR_EMPTY, deadline_us, &out);
    if (!rc)
        rc = read_data(c, a, strbuf_str(&out), ret);
    return rc == ERR_CONFLICT ? err_set(c->err, rc, "The schema cannot be read") : rc;
}

static void begin(struct batch *b)
{
    strbuf_reset(&b->body);
    jsonw_init(&b->w, &b->body);
    jsonw_object(&b->w);
    JSONW_BOOL(&b->w, "transaction", true);
    jsonw_key(&b->w, "statements");
    jsonw_array(&b->w);
    b->count = 0;
}

static enum err_code send(struct batch *b)
{
    AUTO_STRBUF out;
    strbuf_init(&out, LIMIT_RESULT_BYTES);
    jsonw_array_end(&b->w);
    jsonw_object_end(&b->w);
    enum err_code rc =
        b->count ? ask(b->c, b->to, WIRE_OP_BATCH, NULL, strbuf_str(&b->body), b->deadline_us, &out) : ERR_OK;
    begin(b);
    return rc;
}

static enum err_code add_all(struct batch *b, const struct jsonr_value *data, struct str kind)
{
    enum err_code rc = ERR_OK;
    const struct jsonr_value *list = jsonr_member(data, kind);
    bool given = list && jsonr_kind(list) == JSONR_ARRAY;
    for (const struct jsonr_value *v = given ? jsonr_first(list) : NULL; v && !rc; v = jsonr_next(v)) {
        const struct jsonr_value *sql = jsonr_kind(v) == JSONR_OBJECT ? jsonr_member(v, S("sql")) : NULL;
        if (!sql || jsonr_kind(sql) != JSONR_TEXT)
            return err_set(b->c->err, ERR_CONFLICT, "The schema of the template cannot be copied");
        jsonw_object(&b->w);
        JSONW_TEXT(&b->w, "sql", jsonr_text(sql));
        jsonw_object_end(&b->w);
        if (++b->count == LIMIT_BATCH_STATEMENTS || strbuf_str(&b->body).len > BATCH_BYTES)
            rc = send(b);
    }
    return rc;
}

static enum err_code copy_all(
    struct api_call *c, const struct jsonr_value *data, const struct id *to, int64_t deadline_us)
{
    static const struct str kinds[] = {{"tables", 6}, {"views", 5}, {"indexes", 7}, {"triggers", 8}};
    struct batch b = {.c = c, .deadline_us = deadline_us, .to = to};
    enum err_code rc = ERR_OK;
    strbuf_init(&b.body, LIMIT_BODY_BYTES);
    begin(&b);
    for (size_t i = 0; !rc && i < ARRAY_LEN(kinds); i++)
        rc = add_all(&b, data, kinds[i]);
    if (!rc)
        rc = send(&b);
    strbuf_release(&b.body);
    return rc;
}

/* Last, for they speak of tables. All of them are stored as they stand, in one transaction. */
static enum err_code copy_policies(
    struct api_call *c, const struct id *from, const struct id *to, int64_t deadline_us)
{
    static const struct wire_arg form = {{"form", 4}, {"script", 6}};
    AUTO_ARENA arena;
    AUTO_STRBUF out, done;
    const struct jsonr_value *data = NULL;
    arena_init(&arena, PARSED_MAX);
    strbuf_init(&out, LIMIT_RESULT_BYTES);
    strbuf_init(&done, LIMIT_RESULT_BYTES);
    enum err_code rc = ask(c, from, WIRE_OP_POLICY_LIST, &form, STR_EMPTY, deadline_us, &out);
    if (!rc)
        rc = read_data(c, &arena, strbuf_str(&out), &data);
    const struct jsonr_value *script = rc ? NULL : jsonr_member(data, S("script"));
    if (!rc && (!script || jsonr_kind(script) != JSONR_TEXT))
        rc = err_set(c->err, ERR_CONFLICT, "The schema of the template cannot be copied");
    if (!rc && jsonr_text(script).len)
        rc = ask(c, to, WIRE_OP_IMPORT, NULL, jsonr_text(script), deadline_us, &done);
    return rc;
}

enum err_code template_copy(struct api_call *c, const struct id *from, const struct id *to)
{
    AUTO_ARENA arena;
    AUTO_STRBUF out;
    const struct jsonr_value *data = NULL;
    int64_t deadline_us = clock_mono_us() + LIMIT_TEMPLATE_MS * 1000;
    arena_init(&arena, PARSED_MAX);
    strbuf_init(&out, LIMIT_RESULT_BYTES);
    enum err_code rc = ask(c, from, WIRE_OP_SCHEMA, NULL, STR_EMPTY, deadline_us, &out);
    if (!rc)
        rc = read_data(c, &arena, strbuf_str(&out), &data);
    if (!rc)
        rc = copy_all(c, data, to, deadline_us);
    return rc ? rc : copy_policies(c, from, to, deadline_us);
}
