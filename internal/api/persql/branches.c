/* Branches of a database: list and delete on a worker. PUT, claim_branch and fork are flows: a worker looks
 * up what is to be copied (and lays out a snapshot's files), the engine of that database writes the files, a
 * worker puts them in their place.
 *
 *   read ─► prepare (worker) ─► copy (engine) ─► put (worker, the lane that writes) ─► answer
 *
 * Meanwhile nothing waits: neither the loop nor a worker, and no other change of the control database. */
#include "api/call.h"
#include "api/persql/views.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "branch/branch.h"
#include "branch/snapshot.h"

route_worker_fn persql_branch_list, persql_branch_delete;
route_loop_fn persql_branch_put, persql_branch_claim, persql_database_fork;

#define CLAIM_TTL_S   3600
#define PURPOSE_BYTES 200
#define THE_PARENT    "main" /* fromRef, as a repository's first branch */

/* --- List, delete --- */

enum err_code persql_branch_list(struct api_call *c)
{
    struct registry_entry parent, *rows;
    size_t count;
    int64_t limit;
    struct str after;
    enum err_code rc = call_page_of(c, CAP_BRANCH_LIST, &parent, &after, &limit);
    if (!rc)
        rc = registry_list_branches(c->db, c->arena, &parent.id, after, limit, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view_database(c, &rows[i]);
    jsonw_array_end(c->out);
    return ERR_OK;
}

static enum err_code check_caller(const struct identity *who, struct err *err)
{
    if (!who->has_table_scope)
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN,
        "A branch has all tables of its parent: this needs a token without a table scope");
}

enum err_code persql_branch_delete(struct api_call *c)
{
    struct registry_entry parent, branch, gone;
    enum err_code rc = check_caller(c->who, c->err);
    if (!rc)
        rc = branch_check_ref(c->item, "/ref", c->err);
    if (!rc)
        rc = call_database(c, CAP_BRANCH, &parent);
    if (!rc)
        rc = registry_get_branch(c->db, &parent.id, c->item, &branch, c->err);
    if (!rc)
        rc = registry_delete(c->db, c->disk, c->by, &branch.namespace_id, str_of(branch.slug), &gone, c->err);
    if (!rc)
        view_database(c, &gone);
    return rc;
}

/* --- The body --- */

struct wish {
    struct str ref, name, slug, region, purpose, role, from_ref, from_snapshot, data;
    struct branch_ttl ttl;
    int64_t sample_rows, seed; /* -1 not said */
    bool masked;
};

/* What of the rows goes along. */
enum branch_data { DATA_SCHEMA, DATA_FULL, DATA_SAMPLE, DATA_MASKED, DATA_COUNT };
static const char *const DATA_NAMES[DATA_COUNT] = {"schema", "full", "sample", "masked"};

enum branch_kind { MADE_PUT, MADE_CLAIM, MADE_FORK };

struct branch_flow {
    struct wish wish;
    struct branch_wish put;
    struct token_new token;
    enum branch_kind kind;
    enum branch_data data;
    bool laid_out; /* a snapshot's files wait in out/ */
    struct err failed;
};

#define FROM(member) offsetof(struct wish, member)
#define TTL_FIELDS                                                                                           \
    {"ttlDays", JF_INT, FROM(ttl.days), JF_NULL_OK, 1, 30},                                                  \
        {"ttlSec", JF_INT, FROM(ttl.seconds), JF_NULL_OK, 0, 2592000},                                       \
        {"expiresAt", JF_TEXT, FROM(ttl.at), JF_NULL_OK, 1, 40},                                             \
        {"fromSnapshot", JF_TEXT, FROM(from_snapshot), JF_NULL_OK, 1, 64},                                   \
        {"sampleRows", JF_INT, FROM(sample_rows), JF_NULL_OK, 1, LIMIT_SAMPLE_ROWS},                         \
        {"seed", JF_INT, FROM(seed), JF_NULL_OK, 0, INT64_MAX / 16},                                         \
        {"masked", JF_BOOL, FROM(masked), JF_NULL_OK, 0, 0},                                                 \
    {                                                                                                        \
        "data", JF_TEXT, FROM(data), JF_NULL_OK, 1, 20                                                       \
    }

static const struct jsonr_field put_fields[] = {
    {"name", JF_TEXT, FROM(name), JF_NULL_OK, 1, 200},
    {"region", JF_TEXT, FROM(region), JF_NULL_OK, 1, 20},
    {"fromRef", JF_TEXT, FROM(from_ref), JF_NULL_OK, 1, 64},
    TTL_FIELDS,
};
static const struct jsonr_field claim_fields[] = {
    {"ref", JF_TEXT, FROM(ref), JF_NULL_OK, 1, 64},
    {"purpose", JF_TEXT, FROM(purpose), JF_NULL_OK, 0, PURPOSE_BYTES},
    {"role", JF_TEXT, FROM(role), JF_NULL_OK, 1, 20},
    {"fromRef", JF_TEXT, FROM(from_ref), JF_NULL_OK, 1, 64},
    TTL_FIELDS,
};

static const struct jsonr_field fork_fields[] = {
    {"name", JF_TEXT, FROM(name), JF_NULL_OK, 1, 200},
    {"slug", JF_TEXT, FROM(slug), JF_NULL_OK, 1, 63},
    {"region", JF_TEXT, FROM(region), JF_NULL_OK, 1, 20},
    TTL_FIELDS,
};
static const struct {
    const struct jsonr_field *fields;
    size_t count;
    enum jsonr_unknown unknown; /* clients of PerSQL may send PUT more than we know of */
} bodies[] = {
    [MADE_PUT] = {put_fields, ARRAY_LEN(put_fields), JSONR_UNKNOWN_IGNORE},
    [MADE_CLAIM] = {claim_fields, ARRAY_LEN(claim_fields), JSONR_UNKNOWN_REFUSE},
    [MADE_FORK] = {fork_fields, ARRAY_LEN(fork_fields), JSONR_UNKNOWN_REFUSE},
};

/* A body may be missing: all of it may be left out. */
static enum err_code read_body(struct api_request *r, struct branch_flow *f, struct err *err)
{
    const struct jsonr_value *root;
    struct str body = http_body(r->http);
    enum err_code rc = request_check_json(r, err);
    if (rc || !body.len)
        return rc;
    rc = jsonr_parse(&r->arena, body, &root, err);
    return rc ? rc
              : jsonr_fields(root, "", bodies[f->kind].fields, bodies[f->kind].count, bodies[f->kind].unknown,
                    &f->wish, err);
}

static enum err_code check_purpose(struct str s, struct err *err)
{
    bool good = utf8_valid(s);
    for (size_t i = 0; i < s.len; i++)
        good = good && (unsigned char)s.ptr[i] >= ' ' && s.ptr[i] != 0x7f;
    return good ? ERR_OK : err_field(err, "/purpose", "must be text without control characters");
}

/* As much of it as a token's name holds, cut between two characters. */
static struct str token_name(struct arena *a, struct str purpose)
{
    size_t len = purpose.len < (size_t)LIMIT_TOKEN_NAME_BYTES ? purpose.len : (size_t)LIMIT_TOKEN_NAME_BYTES;
    while (len < purpose.len && len && ((unsigned char)purpose.ptr[len] & 0xc0) == 0x80)
        len--;
    return arena_copy(a, str_slice(purpose, 0, len));
}

static enum err_code read_claim(struct api_request *r, struct branch_flow *f, struct err *err)
{
    struct wish *in = &f->wish;
    enum err_code rc = check_purpose(in->purpose, err);
    if (!rc && !token_role_parse(in->role, &f->token.role))
        rc = err_field(err, "/role", "must be read, write or admin");
    if (rc)
        return rc;
    if (!in->ref.len)
        in->ref = branch_invent_ref(&r->arena, in->purpose);
    f->token.name = in->purpose.len ? token_name(&r->arena, in->purpose)
                                    : arena_printf(&r->arena, "branch " STR_FMT, STR_ARG(in->ref));
    f->token.branches_only = r->who->id->branches_only;
    f->token.expires_in_s = identity_left_s(r->who->id, clock_wall_ms()); /* no later than the one who asks */
    f->put.token = &f->token;
    return in->ref.ptr && f->token.name.ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "The body is too large");
}

static enum err_code read_fork(struct api_request *r, struct branch_flow *f, struct err *err)
{
    struct wish *in = &f->wish;
    if (!in->name.len && !in->slug.len)
        return err_field(err, "/slug", "Send a slug, or a name to make one from");
    if (!in->slug.len)
        in->slug = slug_from_text(&r->arena, in->name, SLUG_SIZE - 1);
    return in->slug.len ? ERR_OK : err_field(err, "/slug", "cannot be made from this name: send one");
}

static enum err_code check_data(const struct wish *in, struct branch_flow *f, struct err *err)
{
    bool sample = f->data == DATA_SAMPLE;
    if (in->masked && f->data == DATA_SCHEMA)
        return err_field(
            err, "/masked", "is for data with rows: sample, or full, which masked is another name of");
    if (!sample && in->sample_rows >= 0)
        return err_field(err, "/sampleRows", "is for data \"sample\"");
    if (!sample && in->seed >= 0)
        return err_field(err, "/seed", "is for data \"sample\"");
    if (in->from_ref.ptr && in->from_snapshot.ptr)
        return err_field(err, "/fromSnapshot", "is of the database itself: send it or fromRef");
    if ((in->masked || f->data == DATA_MASKED) && in->from_ref.ptr && !str_eq(in->from_ref, S(THE_PARENT)))
        return err_field(err, "/fromRef",
            "has masks of its own, which its users can change: masked copies are "
            "made of the database itself");
    return ERR_OK;
}

/* Rows are for those alone who may read them all, and masks for them to judge. */
static enum err_code read_data(const struct identity *who, struct branch_flow *f, struct err *err)
{
    int data = 0;
    while (data < DATA_COUNT && !str_eq(f->wish.data, str_of(DATA_NAMES[data])))
        data++;
    if (data == DATA_COUNT)
        return err_field(err, "/data", "must be schema, full, sample or masked");
    f->data = (enum branch_data)data;
    f->put.with_rows = f->data != DATA_SCHEMA;
    enum err_code rc = check_data(&f->wish, f, err);
    if (f->data == DATA_FULL && f->wish.masked)
        f->data = DATA_MASKED;
    if (rc || f->data == DATA_SCHEMA || (!who->claims.len && !who->branches_only))
        return rc;
    return err_set(err, ERR_FORBIDDEN,
        "A full copy, or what is made of one, takes all rows: this needs a psql_live_ token without claims, "
        "or "
        "data \"schema\"");
}

static enum err_code read_wish(struct api_request *r, struct branch_flow *f, struct err *err)
{
    struct wish *in = &f->wish;
    enum err_code rc = check_caller(r->who->id, err);
    if (!rc)
        rc = read_body(r, f, err);
    if (!rc && f->kind == MADE_CLAIM)
        rc = read_claim(r, f, err);
    if (!rc && f->kind == MADE_FORK)
        rc = read_fork(r, f, err);
    if (!rc && f->kind != MADE_FORK)
        rc = branch_check_ref(in->ref, "/ref", err);
    if (!rc && in->from_ref.ptr)
        rc = branch_check_ref(in->from_ref, "/fromRef", err);
    if (!rc)
        rc = read_data(r->who->id, f, err);
    if (!rc && f->kind == MADE_CLAIM && in->ttl.days < 0 && in->ttl.seconds < 0 && !in->ttl.at.ptr)
        in->ttl.seconds = CLAIM_TTL_S;
    if (!rc)
        rc = branch_read_ttl(&in->ttl, clock_wall_ms(), &f->put.expires_at, err);
    f->put.ref = in->ref;
    f->put.name = in->name;
    f->put.region = in->region;
    return rc;
}

/* --- The steps --- */

/* Its files are copied to where the engine finds them. */
static enum err_code lay_out_snapshot(struct api_call *c)
{
    struct branch_flow *f = c->flow;
    struct snapshot s;
    enum err_code rc = snapshot_get(c->db, &f->put.parent.id, f->wish.from_snapshot, &s, c->err);
    if (rc == ERR_NOT_FOUND)
        return err_field(c->err, "/fromSnapshot", "is no snapshot of this database");
    if (!rc)
        rc = registry_snapshot_lay_out(
            c->disk->data_dir, id_str(&s.id), id_str(&f->put.source_id), id_str(&f->put.copy_id), c->err);
    f->laid_out = rc == ERR_OK;
    return rc;
}

static enum err_code find_sibling(struct api_call *c)
{
    struct branch_flow *f = c->flow;
    struct registry_entry from;
    enum err_code rc = registry_get_branch(c->db, &f->put.parent.id, f->wish.from_ref, &from, c->err);
    if (rc == ERR_NOT_FOUND)
        return err_field(c->err, "/fromRef", "is no branch of this database");
    if (!rc)
        f->put.source_id = from.id;
    return rc;
}

/* Reading lane: whose files are to be copied? */
static enum err_code prepare(struct api_call *c)
{
    struct branch_flow *f = c->flow;
    struct branch_wish *put = &f->put;
    char slug[SLUG_SIZE];
    enum err_code rc = call_database(c, CAP_BRANCH, &put->parent);
    put->source_id = put->parent.id;
    put->copy_id = id_new("db");
    if (!rc && f->kind != MADE_FORK && put->parent.ref[0])
        return err_set(c->err, ERR_CONFLICT,
            "\"%s\" is a branch itself: make this one of the database it belongs to, with fromRef \"%s\"",
            put->parent.slug, put->parent.ref);
    if (!rc && f->kind != MADE_FORK)
        rc = branch_slug(str_of(put->parent.slug), put->ref, slug, c->err);
    if (!rc && f->wish.from_snapshot.ptr)
        return lay_out_snapshot(c);
    if (rc || f->kind == MADE_FORK || !f->wish.from_ref.ptr || str_eq(f->wish.from_ref, S(THE_PARENT)))
        return rc;
    return find_sibling(c);
}

static void view_claim(struct api_call *c, const struct branch_made *made)
{
    struct jsonw *w = c->out;
    jsonw_object(w);
    JSONW_CSTR(w, "branchRef", made->entry.ref);
    JSONW_CSTR(w, "databaseSlug", made->entry.slug);
    JSONW_CSTR(w, "namespaceSlug", made->entry.namespace_slug);
    JSONW_TEXT(w, "token", secret_reveal(&made->secret));
    JSONW_CSTR(w, "role", view_role(made->token.role));
    view_time(w, "expiresAt", made->token.expires_at);
    JSONW_CSTR(w, "outcome", made->created ? "created" : "reset");
    jsonw_object_end(w);
}

static enum err_code put_fork(struct api_call *c, const struct branch_flow *f)
{
    struct registry_entry made;
    enum err_code rc = branch_fork(c->db, c->disk, c->by, &f->put, f->wish.slug, &made, c->err);
    return rc ? rc : view_database_whole(c, &made);
}

/* Writing lane: the files are in out/. */
static enum err_code put(struct api_call *c)
{
    struct branch_flow *f = c->flow;
    struct branch_made made;
    enum err_code rc = ERR_OK;
    if (f->laid_out && f->data == DATA_FULL)
        rc = registry_snapshot_use(
            c->disk->data_dir, id_str(&f->put.source_id), id_str(&f->put.copy_id), c->err);
    if (rc)
        return rc;
    if (f->kind == MADE_FORK)
        return put_fork(c, f);
    rc = branch_put(c->db, c->disk, c->by, c->arena, &f->put, &made, c->err);
    if (!rc && f->kind == MADE_PUT)
        rc = view_branch(c, &made.entry, made.created);
    if (!rc && f->kind == MADE_CLAIM)
        view_claim(c, &made);
    secret_release(&made.secret);
    return rc;
}

/* The engine was killed, for whoever asked left, or never came to it. */
static enum err_code put_away(struct api_call *c)
{
    const struct branch_flow *f = c->flow;
    registry_copy_drop(c->disk->data_dir, id_str(&f->put.source_id), id_str(&f->put.copy_id));
    *c->err = f->failed;
    return f->failed.code;
}

static void fail(struct api_request *r, const struct err *failed)
{
    struct branch_flow *f = r->flow;
    struct err err = ERR_INIT;
    f->failed = *failed;
    if (request_run_step(r, WORKQ_READ, put_away, NULL, &err))
        request_flow_fail(r, failed);
}

static void on_copied(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    if (!failed) {
        request_flow_next(call, NULL, put);
        return;
    }
    r->calling = false;
    fail(r, failed);
}

static void add_arg(struct wire_call *call, const char *name, struct str value)
{
    call->args[call->arg_count++] = (struct wire_arg){str_of(name), value};
}

static void add_number(struct api_request *r, const char *name, int64_t n)
{
    if (n >= 0)
        add_arg(&r->call.req, name, arena_printf(&r->arena, "%lld", (long long)n));
}

static void add_args(struct api_request *r)
{
    struct branch_flow *f = r->flow;
    struct wire_call *call = &r->call.req;
    call->arg_count = 0;
    add_arg(call, "copy", id_str(&f->put.copy_id));
    if (call->op != WIRE_OP_COPY)
        return;
    add_arg(call, "data", str_of(DATA_NAMES[f->data]));
    add_number(r, "rows", f->wish.sample_rows);
    add_number(r, "seed", f->wish.seed);
    if (f->wish.masked)
        add_arg(call, "masked", S("1"));
    if (f->laid_out)
        add_arg(call, "snapshot", S("1"));
}

static enum err_code ask_engine(struct api_request *r, struct err *err)
{
    struct branch_flow *f = r->flow;
    struct wire_call *call = &r->call.req;
    bool rows = f->data != DATA_SCHEMA || f->laid_out;
    enum err_code rc = request_fill_call(r, (rows ? LIMIT_COPY_MS : LIMIT_COPY_SCHEMA_MS) * 1000, err);
    if (rc)
        return rc;
    if (rows) {
        call->op = WIRE_OP_COPY;
        r->call.place = ENGINE_STREAM;
    }
    r->call.db_id = id_str(&f->put.source_id);
    call->role = WIRE_ROLE_ADMIN; /* the capability was checked; what is copied is all there is */
    call->claims = STR_EMPTY;
    add_args(r);
    strbuf_reset(&r->body);
    r->call.on_data = request_gather;
    r->call.on_done = on_copied;
    return request_submit(r, err);
}

static void on_prepared(struct api_request *r)
{
    struct err err = ERR_INIT;
    if (ask_engine(r, &err))
        fail(r, &err);
}

static void start(struct api_request *r, enum branch_kind kind)
{
    struct err err = ERR_INIT;
    struct branch_flow *f = ARENA_NEW(&r->arena, struct branch_flow);
    f->kind = kind;
    f->wish = (struct wish){.ref = kind == MADE_PUT ? r->item : STR_EMPTY,
        .role = S("write"),
        .from_ref = {NULL, 0},
        .from_snapshot = {NULL, 0},
        .data = S("schema"),
        .sample_rows = -1,
        .seed = -1,
        .ttl = BRANCH_TTL_INIT};
    r->flow = f;
    enum err_code rc = read_wish(r, f, &err);
    if (!rc)
        rc = request_run_step(r, WORKQ_READ, prepare, on_prepared, &err);
    if (rc)
        request_flow_fail(r, &err);
}

void persql_branch_put(struct api_request *r)
{
    start(r, MADE_PUT);
}

void persql_branch_claim(struct api_request *r)
{
    start(r, MADE_CLAIM);
}

void persql_database_fork(struct api_request *r)
{
    start(r, MADE_FORK);
}
