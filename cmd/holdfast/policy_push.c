/* holdfast policy push: a database gets the rules, invariants and masks of the files. Rules are exchanged in
 * one transaction, and so are masks; invariants, which know no order, one by one. */
#include "base/check.h"
#include "policy.h"

#define BODY_BYTES (16 << 20)

struct push_options {
    struct remote_options remote;
    const char *dir;
    bool yes, json;
};

#define AT(member) offsetof(struct push_options, member)

static const struct option_spec OPTIONS[] = {
    REMOTE_OPTIONS(struct push_options),
    POLICY_DIR_OPTION(struct push_options, "The directory of the files"),
    {.name = "yes",
        .type = OPTION_FLAG,
        .offset = AT(yes),
        .help = "Does it; without, the difference is only shown"},
    CLI_OPTION_JSON(struct push_options, "Prints one object with the differences, for scripts"),
};
static const struct option_command PUSH = {
    .name = "policy push",
    .summary = "makes a database's rules, invariants and masks what the files say",
    .about =
        "Shows how the rules, invariants and masks of the database differ from the files, and with --yes "
        "makes "
        "them the same; without a directory of masks these stay as they are. Rules are exchanged in one "
        "transaction: there is no moment with half of them. Exit "
        "status 0: they are the same now; 1: they differ and nothing was changed, or it failed. A proposal "
        "that was shown under other rules is 409 drift when it is applied, with a fresh one.",
    .example = "  holdfast policy push --database acme/main\n"
               "  holdfast policy push --database acme/main --yes\n",
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
};

enum difference { ADDED, CHANGED, REMOVED };
static const char *const WORDS[] = {[ADDED] = "add", [CHANGED] = "change", [REMOVED] = "remove"};
static const char SIGNS[] = {[ADDED] = '+', [CHANGED] = '~', [REMOVED] = '-'};

struct pushing {
    const struct push_options *o;
    struct arena *a;
    struct strbuf *out;
    struct jsonw json;
    unsigned differences;
};

static void tell(struct pushing *p, enum difference kind, const char *what, struct str name, struct str title)
{
    p->differences++;
    if (!p->o->json) {
        strbuf_addf(
            p->out, "%c %s " STR_FMT "  " STR_FMT "\n", SIGNS[kind], what, STR_ARG(name), STR_ARG(title));
        return;
    }
    jsonw_object(&p->json);
    JSONW_CSTR(&p->json, "change", WORDS[kind]);
    JSONW_CSTR(&p->json, "what", what);
    JSONW_TEXT(&p->json, "name", name);
    JSONW_TEXT(&p->json, "title", title);
    jsonw_object_end(&p->json);
}

/* --- Which rule is which: by their order, those that are the same first --- */

static void match_rules(struct policy *files, struct policy *server, bool exactly)
{
    for (struct policy_rule *f = files->rules; f; f = f->next) {
        for (struct policy_rule *r = f->id.ptr ? NULL : server->rules; r && !f->id.ptr; r = r->next) {
            if (r->file.ptr || r->order != f->order || (exactly && !policy_same_rule(f, r)))
                continue;
            f->id = r->id;
            r->file = f->file;
        }
    }
}

static const struct policy_rule *rule_of(const struct policy *server, struct str id)
{
    const struct policy_rule *r = server->rules;

    while (r && !str_eq(r->id, id))
        r = r->next;
    CHECK(r);
    return r;
}

static struct str server_name(struct pushing *p, const struct policy_rule *r)
{
    return arena_printf(p->a, "%lld (" STR_FMT ")", (long long)r->order, STR_ARG(r->id));
}

static void compare_rules(struct pushing *p, struct policy *files, struct policy *server)
{
    match_rules(files, server, true);
    match_rules(files, server, false);
    for (const struct policy_rule *f = files->rules; f; f = f->next) {
        bool known = f->id.ptr != NULL;
        if (!known || !policy_same_rule(f, rule_of(server, f->id)))
            tell(p, known ? CHANGED : ADDED, "rule", f->file, policy_rule_title(p->a, f));
    }
    for (const struct policy_rule *r = server->rules; r; r = r->next)
        if (!r->file.ptr)
            tell(p, REMOVED, "rule", server_name(p, r), policy_rule_title(p->a, r));
}

static const struct policy_invariant *named(const struct policy *in, struct str name)
{
    const struct policy_invariant *i = in->invariants;

    while (i && !str_eq_nocase(i->name, name))
        i = i->next;
    return i;
}

static void compare_invariants(struct pushing *p, const struct policy *files, const struct policy *server)
{
    for (const struct policy_invariant *f = files->invariants; f; f = f->next) {
        const struct policy_invariant *known = named(server, f->name);
        if (!known || !policy_same_invariant(f, known))
            tell(p, known ? CHANGED : ADDED, "invariant", f->name, f->query);
    }
    for (const struct policy_invariant *i = server->invariants; i; i = i->next)
        if (!named(files, i->name))
            tell(p, REMOVED, "invariant", i->name, i->query);
}

/* Whether one differs. */
static bool compare_masks(struct pushing *p, const struct policy *files, const struct policy *server)
{
    unsigned before = p->differences;

    for (const struct policy_mask *f = files->masks; f; f = f->next) {
        const struct policy_mask *known = policy_mask_of(server, f);
        if (!known || !mask_eq(&f->mask, &known->mask))
            tell(p, known ? CHANGED : ADDED, "mask", policy_mask_name(p->a, f), policy_mask_title(p->a, f));
    }
    for (const struct policy_mask *m = files->says_masks ? server->masks : NULL; m; m = m->next)
        if (!policy_mask_of(files, m))
            tell(p, REMOVED, "mask", policy_mask_name(p->a, m), policy_mask_title(p->a, m));
    return p->differences != before;
}

/* That masks are the same does not say that they are enough: somebody has to look at what is new. */
static void tell_problem(struct pushing *p, const struct policy *server)
{
    if (server->mask_problem.ptr && !p->o->json)
        strbuf_addf(
            p->out, "! masks  no masked branch can be made: " STR_FMT "\n", STR_ARG(server->mask_problem));
}

/* --- --- */

static enum err_code send_rules(struct remote *r, const struct policy *files, struct err *err)
{
    AUTO_STRBUF body;
    struct jsonw w;

    strbuf_init(&body, BODY_BYTES);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    policy_put_rules(&w, files->rules);
    jsonw_object_end(&w);
    if (strbuf_failed(&body))
        return err_set(err, ERR_TOO_LARGE, "the files are too large");
    return remote_do(r, "PUT", "/approval-rules", strbuf_str(&body), NULL, err);
}

/* New ones first: nothing that holds in both is ever without its invariant. One that says something else
 * under the same name has to go before. */
static enum err_code send_invariants(
    struct remote *r, const struct policy *files, const struct policy *server, struct err *err)
{
    enum err_code code = ERR_OK;

    for (const struct policy_invariant *f = files->invariants; f && !code; f = f->next) {
        const struct policy_invariant *known = named(server, f->name);
        if (known && policy_same_invariant(f, known))
            continue;
        if (known)
            code = policy_drop_invariant(r, known, err);
        if (!code)
            code = policy_send_invariant(r, f, err);
    }
    for (const struct policy_invariant *i = server->invariants; i && !code; i = i->next)
        if (!named(files, i->name))
            code = policy_drop_invariant(r, i, err);
    return code;
}

static enum err_code send(
    struct remote *r, const struct policy *files, const struct policy *server, bool masks, struct err *err)
{
    enum err_code code = masks ? policy_send_masks(r, files, err) : ERR_OK;

    if (!code)
        code = send_invariants(r, files, server, err); /* which are refused where they do not hold */
    return code ? code : send_rules(r, files, err);
}

static enum err_code push(struct pushing *p, struct remote *r, struct err *err)
{
    struct policy files, server;
    enum err_code code = policy_read_dir(p->a, p->o->dir, &files, err);

    if (!code)
        code = policy_read_server(r, &server, err);
    if (code)
        return code;
    compare_rules(p, &files, &server);
    compare_invariants(p, &files, &server);
    bool masks = compare_masks(p, &files, &server);
    if (files.says_masks && !masks)
        tell_problem(p, &server);
    return p->o->yes && p->differences ? send(r, &files, &server, masks, err) : ERR_OK;
}

static void end_text(struct pushing *p)
{
    if (!p->differences)
        strbuf_addf(p->out, "%s has what %s says.\n", p->o->remote.database, p->o->dir);
    else if (p->o->yes)
        strbuf_add_cstr(p->out, "Done.\n");
    else
        strbuf_addf(p->out, "Nothing was changed; --yes makes %s so.\n", p->o->remote.database);
}

static void end_json(struct pushing *p)
{
    jsonw_array_end(&p->json);
    JSONW_BOOL(&p->json, "changed", p->o->yes && p->differences);
    jsonw_object_end(&p->json);
    strbuf_add_char(p->out, '\n');
}

static int run_push(const void *values)
{
    AUTO_STRBUF out;
    struct remote remote;
    struct pushing p = {.o = values, .out = &out};
    struct err err = ERR_INIT;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    jsonw_init(&p.json, &out);
    if (p.o->json) {
        jsonw_object(&p.json);
        jsonw_key(&p.json, "changes");
        jsonw_array(&p.json);
    }
    enum err_code code = remote_open(&remote, &p.o->remote, &err);
    p.a = &remote.arena;
    if (!code)
        code = push(&p, &remote, &err);
    remote_close(&remote);
    if (code)
        return cli_fail(PUSH.name, &err);
    (p.o->json ? end_json : end_text)(&p);
    int status = cli_print(PUSH.name, &out);
    return status == CLI_OK && p.differences && !p.o->yes ? CLI_FAILED : status;
}

const struct cli_command CLI_POLICY_PUSH = {&PUSH, sizeof(struct push_options), run_push};
