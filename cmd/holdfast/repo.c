/* holdfast repo bind, list, unbind: works beside a running server, which sees the change at its next request.
 */
#include "federation/repo.h"
#include "api/console/views.h"
#include "base/clock.h"
#include "cli.h"
#include "tenant/tenant.h"

#define LIST_MOST 100000

struct repo_options {
    const char *data, *namespace_slug, *repo, *issuer, *id;
    bool json, move;
};

#define AT(member) offsetof(struct repo_options, member)

static const struct option_spec BIND_OPTIONS[] = {
    CLI_OPTION_DATA(struct repo_options),
    {.name = "namespace",
        .type = OPTION_TEXT,
        .offset = AT(namespace_slug),
        .value = "SLUG",
        .required = true,
        .help = "The namespace in which the repository's pipelines get a database"},
    {.name = "repo",
        .type = OPTION_TEXT,
        .offset = AT(repo),
        .value = "OWNER/NAME",
        .required = true,
        .help = "The repository: owner/name, group/name, or the name that another issuer gives it"},
    {.name = "issuer",
        .type = OPTION_TEXT,
        .offset = AT(issuer),
        .value = "ISSUER",
        .fallback = "github",
        .help = "Who vouches for its pipelines, written as for serve --trust-issuer: github, gitlab, google "
                "or an "
                "address; github=URL where the server trusts that in place of github.com"},
    {.name = "move",
        .type = OPTION_FLAG,
        .offset = AT(move),
        .help = "Takes it away from the namespace it is bound to, whose tokens for it end"},
    CLI_OPTION_JSON(struct repo_options, "Prints one object, for scripts"),
};
static const struct option_command BIND = {
    .name = "repo bind",
    .summary = "lets a repository's pipelines use a database of a namespace",
    .about = "Binds a repository to a namespace. Its pipelines then get a token for a database of their own "
             "there, for an hour and without a stored secret, by POST /v1/actions/connect; the server has to "
             "run with serve --trust-issuer. The repository is pinned when it first comes: another one that "
             "gets its name later is refused, until the name is unbound and bound again.",
    .example = "  holdfast repo bind --data ./data --namespace acme --repo acme/widgets\n",
    .options = BIND_OPTIONS,
    .option_count = ARRAY_LEN(BIND_OPTIONS),
};

static const struct option_spec LIST_OPTIONS[] = {
    CLI_OPTION_DATA(struct repo_options),
    {.name = "namespace",
        .type = OPTION_TEXT,
        .offset = AT(namespace_slug),
        .value = "SLUG",
        .help = "Only repositories of this namespace; without it all"},
    CLI_OPTION_JSON(struct repo_options, "Prints an array of objects, for scripts"),
};
static const struct option_command LIST = {
    .name = "repo list",
    .summary = "lists bound repositories",
    .options = LIST_OPTIONS,
    .option_count = ARRAY_LEN(LIST_OPTIONS),
};

static const struct option_spec UNBIND_OPTIONS[] = {
    CLI_OPTION_DATA(struct repo_options),
    CLI_OPTION_JSON(struct repo_options, "Prints one object with the id, for scripts"),
};
static const struct option_command UNBIND = {
    .name = "repo unbind",
    .summary = "ends what a repository's pipelines may do, at once",
    .about =
        "Unbinds a repository. A running server refuses its tokens from its next request on. Its database "
        "stays, and is found again when that repository is bound again. ID is what `repo list` prints.",
    .example = "  holdfast repo unbind repo_01k4w8c0v3e7q2m9x5n6r1t0zp --data ./data\n",
    .options = UNBIND_OPTIONS,
    .option_count = ARRAY_LEN(UNBIND_OPTIONS),
    .operand = "ID",
    .operand_offset = AT(id),
};

static void write_line(const struct repo_binding *r, struct strbuf *out)
{
    char used[CLOCK_ISO_MAX] = "never used";

    if (r->last_used_at)
        clock_iso(r->last_used_at, used);
    strbuf_addf(out, "%-31s  %-24s  %s  " STR_FMT "  " STR_FMT "%s\n", r->id.text, used, r->namespace_slug,
        STR_ARG(r->name), STR_ARG(r->issuer), r->pinned_at ? "" : "  (has not come yet)");
}

/* --- bind --- */

static enum err_code bind_in_tx(
    struct db *db, struct arena *a, const struct repo_options *o, struct repo_binding *ret, struct err *err)
{
    struct cli_actor actor;
    struct tenant tenant;
    struct issuer_name issuer;
    enum err_code code = issuer_parse(str_of(o->issuer), &issuer, err);

    if (!code)
        code = tenant_get(db, str_of(o->namespace_slug), &tenant, err);
    if (code)
        return code;
    return repo_bind(db, cli_actor(BIND.name, &actor), a,
        &(struct repo_new){
            .namespace_id = tenant.id, .issuer = issuer, .name = str_of(o->repo), .move = o->move},
        ret, err);
}

static int report_bound(const struct repo_options *o, const struct repo_binding *r)
{
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    if (o->json) {
        jsonw_init(&w, &out);
        view_repo(&w, r, NULL);
        strbuf_add_char(&out, '\n');
    } else {
        write_line(r, &out);
    }
    return cli_print(BIND.name, &out);
}

static int run_bind(const void *values)
{
    const struct repo_options *o = values;
    AUTO_ARENA arena;
    struct control control;
    struct repo_binding made = {.id = {""}};
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = cli_open(o->data, DB_WRITE, &control, &db, &err);

    arena_init(&arena, CLI_OUTPUT_BYTES);
    if (code)
        return cli_fail(BIND.name, &err);
    code = tx_begin_write(db, &err);
    if (!code)
        code = tx_end(db, bind_in_tx(db, &arena, o, &made, &err), &err);
    cli_close(&control, db);
    return code ? cli_fail(BIND.name, &err) : report_bound(o, &made);
}

/* --- list --- */

static enum err_code read_list(struct db *db, struct arena *a, const struct repo_options *o,
    struct repo_binding **rows, size_t *count, struct err *err)
{
    struct tenant tenant;
    enum err_code code = o->namespace_slug ? tenant_get(db, str_of(o->namespace_slug), &tenant, err) : ERR_OK;

    return code ? code
                : repo_list(
                      db, a, o->namespace_slug ? &tenant.id : NULL, STR_EMPTY, LIST_MOST, rows, count, err);
}

static int report_list(const struct repo_options *o, const struct repo_binding *rows, size_t count)
{
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    jsonw_init(&w, &out);
    if (o->json)
        jsonw_array(&w);
    for (size_t i = 0; i < count; i++) {
        if (o->json)
            view_repo(&w, &rows[i], NULL);
        else
            write_line(&rows[i], &out);
    }
    if (o->json) {
        jsonw_array_end(&w);
        strbuf_add_char(&out, '\n');
    }
    return cli_print(LIST.name, &out);
}

static int run_list(const void *values)
{
    const struct repo_options *o = values;
    AUTO_ARENA arena;
    struct control control;
    struct repo_binding *rows = NULL;
    size_t count = 0;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = cli_open(o->data, DB_READ, &control, &db, &err);

    arena_init(&arena, CLI_OUTPUT_BYTES);
    if (code)
        return cli_fail(LIST.name, &err);
    code = read_list(db, &arena, o, &rows, &count, &err);
    cli_close(&control, db);
    return code ? cli_fail(LIST.name, &err) : report_list(o, rows, count);
}

/* --- unbind --- */

static int run_unbind(const void *values)
{
    const struct repo_options *o = values;
    AUTO_ARENA arena;
    struct cli_actor actor;
    struct control control;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = cli_open(o->data, DB_WRITE, &control, &db, &err);

    arena_init(&arena, CLI_OUTPUT_BYTES);
    if (code)
        return cli_fail(UNBIND.name, &err);
    code = tx_begin_write(db, &err);
    if (!code)
        code = tx_end(
            db, repo_unbind(db, cli_actor(UNBIND.name, &actor), &arena, NULL, str_of(o->id), &err), &err);
    cli_close(&control, db);
    return code ? cli_fail(UNBIND.name, &err) : cli_print_done(UNBIND.name, o->json, o->id, "unbound");
}

const struct cli_command CLI_REPO_BIND = {&BIND, sizeof(struct repo_options), run_bind};
const struct cli_command CLI_REPO_LIST = {&LIST, sizeof(struct repo_options), run_list};
const struct cli_command CLI_REPO_UNBIND = {&UNBIND, sizeof(struct repo_options), run_unbind};
