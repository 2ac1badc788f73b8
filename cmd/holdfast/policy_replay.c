/* holdfast policy replay: which decisions about the writes of the last days the files' rules would change. */
#include "base/clock.h"
#include "policy.h"

#define BODY_BYTES (16 << 20)

struct replay_options {
    struct remote_options remote;
    const char *dir;
    int64_t since_s;
    bool json;
};

#define AT(member) offsetof(struct replay_options, member)

static const struct option_spec OPTIONS[] = {
    REMOTE_OPTIONS(struct replay_options),
    POLICY_DIR_OPTION(struct replay_options, "The directory of the files"),
    {.name = "since",
        .type = OPTION_DURATION,
        .offset = AT(since_s),
        .value = "TIME",
        .fallback = "7d",
        .min = 1,
        .max = 7 * INT64_C(86400),
        .help = "How far back: 90m, 12h, 7d. Proposals are kept for seven days"},
    CLI_OPTION_JSON(struct replay_options, "Prints one object with an array of proposals, for scripts"),
};
static const struct option_command REPLAY = {
    .name = "policy replay",
    .summary = "shows which decisions of the last days other rules would change",
    .about =
        "Asks the server to judge the proposals that the database still keeps, and the writes that were "
        "held or applied as such, by the rules it has and by those of the files, and prints where they "
        "differ. What was written is judged as it was recorded; shares of tables are those of today, and "
        "a proposal that changed no row is judged as touching nothing. Nothing is changed.",
    .example = "  holdfast policy replay --database acme/main --since 2d\n",
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
};

struct replaying {
    const struct replay_options *o;
    struct remote *remote;
    struct arena *a;
    struct policy policy;
    struct strbuf *out;
    struct jsonw json;
    int64_t judged, skipped, changed;
};

struct page {
    const struct jsonr_value *proposals;
    int64_t judged, skipped;
    struct str next; /* ptr NULL: that was the last */
};

static const struct jsonr_field PAGE_FIELDS[] = {
    {"proposals", JF_ARRAY, offsetof(struct page, proposals), JF_REQUIRED, 0, 0},
    {"judged", JF_INT, offsetof(struct page, judged), JF_REQUIRED, 0, 0},
    {"skipped", JF_INT, offsetof(struct page, skipped), JF_REQUIRED, 0, 0},
    {"nextCursor", JF_TEXT, offsetof(struct page, next), JF_NULL_OK, 0, 0},
};

struct replayed {
    struct str id, at, sql;
    const struct jsonr_value *before, *after;
};

static const struct jsonr_field REPLAYED_FIELDS[] = {
    {"proposalId", JF_TEXT, offsetof(struct replayed, id), JF_REQUIRED, 0, 0},
    {"createdAt", JF_TEXT, offsetof(struct replayed, at), JF_REQUIRED, 0, 0},
    {"sql", JF_TEXT, offsetof(struct replayed, sql), JF_NULL_OK, 0, 0},
    {"before", JF_OBJECT, offsetof(struct replayed, before), JF_REQUIRED, 0, 0},
    {"after", JF_OBJECT, offsetof(struct replayed, after), JF_REQUIRED, 0, 0},
};

static void tell(struct replaying *p, const struct replayed *r, const struct policy_decision *before,
    const struct policy_decision *after)
{
    struct str was = policy_tell_decision(p->a, before), is = policy_tell_decision(p->a, after);

    if (!p->o->json) {
        strbuf_addf(p->out, STR_FMT "  " STR_FMT "\n    was " STR_FMT "\n    now " STR_FMT "\n",
            STR_ARG(r->id), STR_ARG(r->at), STR_ARG(was), STR_ARG(is));
        if (r->sql.ptr)
            strbuf_addf(p->out, "    " STR_FMT "\n", STR_ARG(str_slice(r->sql, 0, 200)));
        return;
    }
    jsonw_object(&p->json);
    JSONW_TEXT(&p->json, "proposalId", r->id);
    JSONW_TEXT(&p->json, "createdAt", r->at);
    JSONW_TEXT_OR_NULL(&p->json, "sql", r->sql);
    JSONW_TEXT(&p->json, "before", was);
    JSONW_TEXT(&p->json, "after", is);
    jsonw_object_end(&p->json);
}

static enum err_code take(struct replaying *p, const struct jsonr_value *value, struct err *err)
{
    struct replayed r = {.sql = {NULL, 0}};
    struct policy_decision before, after;
    enum err_code code =
        jsonr_fields(value, "", REPLAYED_FIELDS, ARRAY_LEN(REPLAYED_FIELDS), JSONR_UNKNOWN_IGNORE, &r, err);

    if (!code)
        code = policy_read_decision(r.before, &before, err);
    if (!code)
        code = policy_read_decision(r.after, &after, err);
    if (!code) {
        p->changed++;
        tell(p, &r, &before, &after);
    }
    return code;
}

static enum err_code ask(
    struct replaying *p, int64_t since_ms, struct str cursor, struct page *ret, struct err *err)
{
    AUTO_STRBUF body;
    struct jsonw w;
    const struct jsonr_value *data;

    strbuf_init(&body, BODY_BYTES);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    JSONW_INT(&w, "sinceMs", since_ms);
    JSONW_TEXT_OR_NULL(&w, "cursor", cursor);
    policy_put_rules(&w, p->policy.rules);
    jsonw_object_end(&w);
    if (strbuf_failed(&body))
        return err_set(err, ERR_TOO_LARGE, "the files are too large");
    *ret = (struct page){.next = {NULL, 0}};
    enum err_code code =
        remote_do(p->remote, "POST", "/approval-rules/replay", strbuf_str(&body), &data, err);
    return code ? code
                : jsonr_fields(data, "", PAGE_FIELDS, ARRAY_LEN(PAGE_FIELDS), JSONR_UNKNOWN_IGNORE, ret, err);
}

static enum err_code replay(struct replaying *p, struct err *err)
{
    struct page page = {.next = {NULL, 0}};
    int64_t since_ms = clock_wall_ms() - p->o->since_s * 1000;
    enum err_code code = policy_read_dir(p->a, p->o->dir, &p->policy, err);

    policy_name_by_file(&p->policy);
    do {
        struct str cursor = page.next;
        if (!code)
            code = ask(p, since_ms, cursor, &page, err);
        if (code)
            return code;
        p->judged += page.judged;
        p->skipped += page.skipped;
        for (const struct jsonr_value *v = jsonr_first(page.proposals); v && !code; v = jsonr_next(v))
            code = take(p, v, err);
    } while (!code && page.next.ptr);
    return code;
}

static void begin(struct replaying *p)
{
    jsonw_init(&p->json, p->out);
    if (!p->o->json)
        return;
    jsonw_object(&p->json);
    jsonw_key(&p->json, "changed");
    jsonw_array(&p->json);
}

static void end(struct replaying *p)
{
    if (!p->o->json) {
        strbuf_addf(
            p->out, "%lld of %lld decisions would change", (long long)p->changed, (long long)p->judged);
        if (p->skipped)
            strbuf_addf(p->out, "; %lld could not be judged any more", (long long)p->skipped);
        strbuf_add_cstr(p->out, ".\n");
        return;
    }
    jsonw_array_end(&p->json);
    JSONW_INT(&p->json, "judged", p->judged);
    JSONW_INT(&p->json, "skipped", p->skipped);
    jsonw_object_end(&p->json);
    strbuf_add_char(p->out, '\n');
}

static int run_replay(const void *values)
{
    AUTO_STRBUF out;
    struct remote remote;
    struct replaying p = {.o = values, .out = &out, .remote = &remote};
    struct err err = ERR_INIT;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    begin(&p);
    enum err_code code = remote_open(&remote, &p.o->remote, &err);
    p.a = &remote.arena;
    if (!code)
        code = replay(&p, &err);
    remote_close(&remote);
    if (code)
        return cli_fail(REPLAY.name, &err);
    end(&p);
    return cli_print(REPLAY.name, &out);
}

const struct cli_command CLI_POLICY_REPLAY = {&REPLAY, sizeof(struct replay_options), run_replay};
