/* holdfast policy test: what the files' rules decide about the writes of fixtures, asked of a throw-away
 * server whose engines judge as any other's.
 *
 *   { "schema": ["CREATE TABLE …"], "data": ["INSERT …"],
 *     "cases": [ { "name": "…", "write": {"sql", "params"} or {"statements"}, "reason", "tokenId", "at",
 *                  "decision": "allow", "rule": "100-many-rows" } ] }
 *
 * Each fixture has a database of its own, which no case changes. */
#include "bootstrap/bootstrap.h"
#include "base/fs.h"
#include "json/rewrite.h"
#include "policy.h"
#include "scratch.h"

#define BODY_BYTES (16 << 20)
#define BATCH_MAX  100 /* statements of one request */

struct test_options {
    const char *dir, *fixtures;
    bool json;
};

#define AT(member) offsetof(struct test_options, member)

static const struct option_spec OPTIONS[] = {
    POLICY_DIR_OPTION(struct test_options, "The directory with rules/ and invariants/"),
    {.name = "fixtures",
        .type = OPTION_TEXT,
        .offset = AT(fixtures),
        .value = "DIR",
        .help = "The directory of the fixtures; without it DIR/fixtures"},
    CLI_OPTION_JSON(struct test_options, "Prints one object with an array of cases, for scripts"),
};
static const struct option_command TEST = {
    .name = "policy test",
    .summary = "runs fixtures against the rules in files",
    .about =
        "Starts a server of its own for as long as it takes, gives it the tables and rows of each fixture "
        "and "
        "the rules of DIR, and compares what is decided about the fixture's writes with what it expects. A "
        "fixture is a JSON file: \"schema\" and \"data\" (arrays of statements) and \"cases\", each with "
        "\"name\", \"write\" ({\"sql\",\"params\"} or {\"statements\"}), \"decision\" (allow, "
        "require_reason, "
        "require_approval, deny, or invariant where one would not hold) and, if need be, \"rule\" (the file "
        "that decides, without .json, or the invariant), "
        "\"reason\", "
        "\"tokenId\" and \"role\" (whose write it is), "
        "\"agent\", \"model\", \"ticket\" and \"at\" (the time it is done, in ISO form). Exit status 0: all "
        "as expected.",
    .example = "  holdfast policy test --dir policy\n",
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
};

struct fixture {
    const struct jsonr_value *schema, *data, *cases;
};

static const struct jsonr_field FIXTURE_FIELDS[] = {
    {"schema", JF_ARRAY, offsetof(struct fixture, schema), 0, 0, 0},
    {"data", JF_ARRAY, offsetof(struct fixture, data), 0, 0, 0},
    {"cases", JF_ARRAY, offsetof(struct fixture, cases), JF_REQUIRED, 1, 10000},
};

struct fixture_case {
    struct str name, decision, rule, reason, token_id, role, agent, model, ticket, at; /* ptr NULL: none */
    const struct jsonr_value *write;
};

static const struct jsonr_field CASE_FIELDS[] = {
    {"name", JF_TEXT, offsetof(struct fixture_case, name), JF_REQUIRED, 1, 500},
    {"decision", JF_TEXT, offsetof(struct fixture_case, decision), JF_REQUIRED, 1, 50},
    {"rule", JF_TEXT, offsetof(struct fixture_case, rule), JF_NULL_OK, 1, 300},
    {"reason", JF_TEXT, offsetof(struct fixture_case, reason), JF_NULL_OK, 0, 0},
    {"tokenId", JF_TEXT, offsetof(struct fixture_case, token_id), JF_NULL_OK, 0, 0},
    {"role", JF_TEXT, offsetof(struct fixture_case, role), JF_NULL_OK, 0, 0},
    {"agent", JF_TEXT, offsetof(struct fixture_case, agent), JF_NULL_OK, 0, 0},
    {"model", JF_TEXT, offsetof(struct fixture_case, model), JF_NULL_OK, 0, 0},
    {"ticket", JF_TEXT, offsetof(struct fixture_case, ticket), JF_NULL_OK, 0, 0},
    {"at", JF_TEXT, offsetof(struct fixture_case, at), JF_NULL_OK, 0, 0},
    {"write", JF_OBJECT, offsetof(struct fixture_case, write), JF_REQUIRED, 0, 0},
};

struct testing {
    const struct test_options *o;
    struct remote *remote;
    struct arena *a;
    struct policy policy;
    struct strbuf *out;
    struct jsonw json;
    unsigned passed, failed;
};

/* --- Requests --- */

static enum err_code send(struct testing *t, const char *method, const char *tail, const struct strbuf *body,
    const struct jsonr_value **ret, struct err *err)
{
    if (strbuf_failed(body))
        return err_set(err, ERR_TOO_LARGE, "the fixture is too large");
    return remote_do(t->remote, method, tail, strbuf_str(body), ret, err);
}

/* The next hundred statements of *list as one transaction. */
static enum err_code send_statements(struct testing *t, const struct jsonr_value **list, struct err *err)
{
    AUTO_STRBUF body;
    struct jsonw w;

    strbuf_init(&body, BODY_BYTES);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    JSONW_BOOL(&w, "transaction", true);
    jsonw_key(&w, "statements");
    jsonw_array(&w);
    for (int i = 0; *list && i < BATCH_MAX; i++, *list = jsonr_next(*list)) {
        if (jsonr_kind(*list) != JSONR_TEXT)
            return err_set(err, ERR_INVALID, "schema and data are arrays of statements");
        jsonw_object(&w);
        JSONW_TEXT(&w, "sql", jsonr_text(*list));
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w);
    jsonw_object_end(&w);
    return send(t, "POST", "/batch", &body, NULL, err);
}

static enum err_code run_statements(struct testing *t, const struct jsonr_value *list, struct err *err)
{
    const struct jsonr_value *at = list ? jsonr_first(list) : NULL;
    enum err_code code = ERR_OK;

    while (at && !code)
        code = send_statements(t, &at, err);
    return code;
}

/* Invariants stand in the database; rules of the files are given with each case, under the names of their
 * files. */
static enum err_code set_invariants(struct testing *t, struct err *err)
{
    enum err_code code = ERR_OK;

    for (const struct policy_invariant *i = t->policy.invariants; i && !code; i = i->next) {
        code = policy_send_invariant(t->remote, i, err);
        if (code && strstr(err->message, "no such table")) /* the fixture leaves it out */
            code = ERR_OK;
    }
    return code;
}

static enum err_code make_database(struct testing *t, unsigned number, struct err *err)
{
    AUTO_STRBUF body;
    struct jsonw w;

    strbuf_init(&body, BODY_BYTES);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    JSONW_TEXT(&w, "slug", arena_printf(t->a, "fixture-%u", number));
    JSONW_TEXT(&w, "name", arena_printf(t->a, "Fixture %u", number));
    jsonw_object_end(&w);
    t->remote->database = arena_printf(t->a, SCRATCH_NAMESPACE "/fixture-%u", number).ptr;
    return remote_do_at(t->remote, "POST", "/v1/databases", strbuf_str(&body), NULL, err);
}

/* --- One case --- */

static void put_text(struct jsonw *w, const char *key, struct str text)
{
    if (text.ptr)
        JSONW_TEXT(w, key, text);
}

static enum err_code ask(
    struct testing *t, const struct fixture_case *c, const struct jsonr_value **ret, struct err *err)
{
    AUTO_STRBUF body;
    struct jsonw w;

    strbuf_init(&body, BODY_BYTES);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    policy_put_rules(&w, t->policy.rules);
    jsonw_key(&w, "write");
    jsonw_value(&w, c->write, NULL);
    put_text(&w, "reason", c->reason);
    put_text(&w, "tokenId", c->token_id);
    put_text(&w, "role", c->role);
    put_text(&w, "agent", c->agent);
    put_text(&w, "model", c->model);
    put_text(&w, "ticket", c->ticket);
    put_text(&w, "at", c->at);
    jsonw_object_end(&w);
    return send(t, "POST", "/approval-rules/test", &body, ret, err);
}

static void tell(struct testing *t, struct str file, struct str name, bool passed, struct str what)
{
    if (passed)
        t->passed++;
    else
        t->failed++;
    if (!t->o->json) {
        strbuf_addf(
            t->out, "%s " STR_FMT ": " STR_FMT, passed ? "ok  " : "FAIL", STR_ARG(file), STR_ARG(name));
        strbuf_addf(t->out, what.len ? "\n     " STR_FMT "\n" : "\n", STR_ARG(what));
        return;
    }
    jsonw_object(&t->json);
    JSONW_TEXT(&t->json, "fixture", file);
    JSONW_TEXT(&t->json, "name", name);
    JSONW_BOOL(&t->json, "passed", passed);
    JSONW_TEXT(&t->json, "seen", what);
    jsonw_object_end(&t->json);
}

static enum err_code run_case(
    struct testing *t, struct str file, const struct jsonr_value *value, struct err *err)
{
    struct fixture_case c = {.name = {NULL, 0}};
    struct policy_decision d;
    const struct jsonr_value *data;
    struct err why = ERR_INIT;
    enum err_code code =
        jsonr_fields(value, "", CASE_FIELDS, ARRAY_LEN(CASE_FIELDS), JSONR_UNKNOWN_REFUSE, &c, err);

    if (code)
        return code;
    code = ask(t, &c, &data, &why);
    if (!code)
        code = policy_read_decision(data, &d, &why);
    if (code) {
        tell(t, file, c.name, false, arena_copy(t->a, str_of(why.message)));
        return ERR_OK;
    }
    bool passed = str_eq(d.decision, c.decision) && (!c.rule.ptr || policy_hit_by(&d, c.rule));
    struct str seen = policy_tell_decision(t->a, &d);
    if (!passed)
        seen = arena_printf(t->a, "decided: " STR_FMT "; expected: " STR_FMT "%s" STR_FMT, STR_ARG(seen),
            STR_ARG(c.decision), c.rule.ptr ? " by " : "", STR_ARG(c.rule.ptr ? c.rule : STR_EMPTY));
    tell(t, file, c.name, passed, t->o->json || !passed ? seen : STR_EMPTY);
    return ERR_OK;
}

/* --- All of them --- */

static enum err_code run_fixture(
    struct testing *t, struct str file, const struct fixture *f, unsigned number, struct err *err)
{
    enum err_code code = make_database(t, number, err);

    if (!code)
        code = run_statements(t, f->schema, err);
    if (!code)
        code = run_statements(t, f->data, err);
    if (!code)
        code = set_invariants(t, err);
    for (const struct jsonr_value *c = jsonr_first(f->cases); c && !code; c = jsonr_next(c))
        code = run_case(t, file, c, err);
    return code;
}

static enum err_code run_file(
    struct testing *t, const char *dir, struct str file, unsigned number, struct err *err)
{
    const struct jsonr_value *root;
    struct fixture f = {.schema = NULL};
    struct err why = ERR_INIT;
    enum err_code code = policy_read_json(t->a, dir, file, &root, err);

    if (code)
        return code;
    code = jsonr_fields(root, "", FIXTURE_FIELDS, ARRAY_LEN(FIXTURE_FIELDS), JSONR_UNKNOWN_REFUSE, &f, &why);
    if (!code)
        code = run_fixture(t, file, &f, number, &why);
    return code ? err_set(err, code, STR_FMT ": %s", STR_ARG(file), why.message) : ERR_OK;
}

static enum err_code run_files(struct testing *t, struct err *err)
{
    char room[FS_PATH_MAX];
    const char *dir = t->o->fixtures;
    struct policy_file *f = NULL;
    unsigned number = 0;

    fs_join(room, t->o->dir, POLICY_FIXTURES_DIR);
    enum err_code code = policy_read_dir(t->a, t->o->dir, &t->policy, err);
    policy_name_by_file(&t->policy);
    if (!code)
        code = policy_list_files(t->a, dir ? dir : room, &f, err);
    if (!code && !f)
        code = err_set(err, ERR_NOT_FOUND, "there are no fixtures in %s", dir ? dir : room);
    for (; !code && f; f = f->next)
        code = run_file(t, dir ? dir : room, f->name, ++number, err);
    return code;
}

static enum err_code test(struct testing *t, struct scratch *s, struct err *err)
{
    struct remote remote;
    enum err_code code = scratch_start(s, err);
    if (code)
        return code;
    struct remote_options opt = {.url = s->url,
        .token = secret_reveal(&s->token).ptr,
        .database = SCRATCH_NAMESPACE "/" BOOTSTRAP_DATABASE};
    code = remote_open(&remote, &opt, err);
    t->remote = &remote;
    t->a = &remote.arena;
    if (!code)
        code = run_files(t, err);
    t->remote = NULL;
    t->a = NULL;
    remote_close(&remote);
    return code;
}

static void begin(struct testing *t)
{
    jsonw_init(&t->json, t->out);
    if (!t->o->json)
        return;
    jsonw_object(&t->json);
    jsonw_key(&t->json, "cases");
    jsonw_array(&t->json);
}

static void end(struct testing *t)
{
    if (!t->o->json) {
        strbuf_addf(t->out, "%u passed, %u failed\n", t->passed, t->failed);
        return;
    }
    jsonw_array_end(&t->json);
    JSONW_INT(&t->json, "passed", t->passed);
    JSONW_INT(&t->json, "failed", t->failed);
    jsonw_object_end(&t->json);
    strbuf_add_char(t->out, '\n');
}

static int run_test(const void *values)
{
    AUTO_STRBUF out;
    struct scratch scratch;
    struct testing t = {.o = values, .out = &out};
    struct err err = ERR_INIT;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    begin(&t);
    enum err_code code = test(&t, &scratch, &err);
    scratch_stop(&scratch);
    if (code)
        return cli_fail(TEST.name, &err);
    end(&t);
    int status = cli_print(TEST.name, &out);
    return t.failed && status == CLI_OK ? CLI_FAILED : status;
}

const struct cli_command CLI_POLICY_TEST = {&TEST, sizeof(struct test_options), run_test};
