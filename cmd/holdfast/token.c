/* holdfast token create, list, rotate, revoke: works beside a running server, which sees the change at its
 * next request. */
#include "token/token.h"
#include "api/console/views.h"
#include "base/clock.h"
#include "cli.h"
#include "oauth/access.h"
#include "registry/registry.h"
#include "tenant/tenant.h"
#include <stdio.h>

struct token_options {
    const char *data, *namespace_slug, *role, *database, *branch, *kind, *name, *claims, *id;
    struct option_list tables, addresses;
    int64_t expires_in_s, overlap_s;
    bool json, all;
};

#define AT(member) offsetof(struct token_options, member)

static const struct option_spec CREATE_OPTIONS[] = {
    CLI_OPTION_DATA(struct token_options),
    {.name = "namespace",
        .type = OPTION_TEXT,
        .offset = AT(namespace_slug),
        .value = "SLUG",
        .required = true,
        .help = "The namespace whose databases the token opens"},
    {.name = "role",
        .type = OPTION_TEXT,
        .offset = AT(role),
        .value = "ROLE",
        .required = true,
        .help =
            "readonly reads; readwrite also changes rows; admin also changes schemas and makes databases"},
    {.name = "database",
        .type = OPTION_TEXT,
        .offset = AT(database),
        .value = "SLUG",
        .help = "Binds the token to one database; without it every database of the namespace is open"},
    {.name = "branch",
        .type = OPTION_TEXT,
        .offset = AT(branch),
        .value = "REF",
        .help = "Binds the token to this branch of the database alone; it ends with the branch"},
    {.name = "kind",
        .type = OPTION_TEXT,
        .offset = AT(kind),
        .value = "KIND",
        .fallback = "live",
        .help = "live, or test: a psql_test_ token acts on branches and on no other database"},
    {.name = "tables",
        .type = OPTION_LIST,
        .offset = AT(tables),
        .value = "A,B",
        .help = "Binds the token to these tables, whatever the role"},
    {.name = "claims",
        .type = OPTION_TEXT,
        .offset = AT(claims),
        .value = "JSON",
        .help =
            "What row-level security is told of the bearer: {\"tenant\":\"a\"} is :auth_tenant in a policy"},
    {.name = "expires-in",
        .type = OPTION_DURATION,
        .offset = AT(expires_in_s),
        .value = "TIME",
        .min = 1,
        .max = 315360000,
        .help = "How long the token lives: 90s, 15m, 12h, 30d, 2w; without it until it is revoked"},
    {.name = "allow-address",
        .type = OPTION_LIST,
        .offset = AT(addresses),
        .value = "A,B",
        .help =
            "Where the token may be used from: addresses or networks like 10.0.0.0/8,2001:db8::/32; without "
            "it from everywhere"},
    {.name = "name",
        .type = OPTION_TEXT,
        .offset = AT(name),
        .value = "TEXT",
        .help = "A label for lists; the token's id without it"},
    CLI_OPTION_JSON(struct token_options, "Prints one object with the token and its id, for scripts"),
};
static const struct option_command CREATE = {
    .name = "token create",
    .summary = "makes an API token and prints it, once",
    .about = "Makes an API token and prints it. It is stored as a digest and cannot be shown again. It works "
             "while the server runs "
             "and holds from its next request on.",
    .example = "  holdfast token create --data ./data --namespace acme --role readonly --tables "
               "orders,customers --expires-in 30d\n",
    .options = CREATE_OPTIONS,
    .option_count = ARRAY_LEN(CREATE_OPTIONS),
};

static const struct option_spec LIST_OPTIONS[] = {
    CLI_OPTION_DATA(struct token_options),
    {.name = "namespace",
        .type = OPTION_TEXT,
        .offset = AT(namespace_slug),
        .value = "SLUG",
        .help = "Only tokens of this namespace; without it all"},
    {.name = "all", .type = OPTION_FLAG, .offset = AT(all), .help = "Also those that are revoked"},
    CLI_OPTION_JSON(struct token_options, "Prints an array of objects, for scripts"),
};
static const struct option_command LIST = {
    .name = "token list",
    .summary = "lists API tokens, masked, newest first",
    .options = LIST_OPTIONS,
    .option_count = ARRAY_LEN(LIST_OPTIONS),
};

static const struct option_spec ROTATE_OPTIONS[] = {
    CLI_OPTION_DATA(struct token_options),
    {.name = "overlap",
        .type = OPTION_DURATION,
        .offset = AT(overlap_s),
        .value = "TIME",
        .fallback = "1h",
        .min = 0,
        .max = 604800,
        .help = "How long the old secret stays good: 90s, 15m, 12h, 7d; 0 ends it at once"},
    CLI_OPTION_JSON(struct token_options, "Prints one object with the token and its id, for scripts"),
};
static const struct option_command ROTATE = {
    .name = "token rotate",
    .summary = "gives an API token a new secret and prints it, once",
    .about =
        "Gives an API token a new secret and prints it. Id, role, limits and expiry stay. The old secret "
        "stays good for a while, so that it can be replaced everywhere without a gap; one that was rotated "
        "out before ends at once.",
    .example = "  holdfast token rotate tok_01k4w8c0v3e7q2m9x5n6r1t0zp --data ./data --overlap 15m\n",
    .options = ROTATE_OPTIONS,
    .option_count = ARRAY_LEN(ROTATE_OPTIONS),
    .operand = "ID",
    .operand_offset = AT(id),
};

static const struct option_spec REVOKE_OPTIONS[] = {
    CLI_OPTION_DATA(struct token_options),
    CLI_OPTION_JSON(struct token_options, "Prints one object with the id, for scripts"),
};
static const struct option_command REVOKE = {
    .name = "token revoke",
    .summary = "ends an API token, at once",
    .about = "Ends an API token. A running server refuses it from its next request on. ID is what `token "
             "create --json` and `token "
             "list` print. Revoking a second time changes nothing.",
    .example = "  holdfast token revoke tok_01k4w8c0v3e7q2m9x5n6r1t0zp --data ./data\n",
    .options = REVOKE_OPTIONS,
    .option_count = ARRAY_LEN(REVOKE_OPTIONS),
    .operand = "ID",
    .operand_offset = AT(id),
};

/* --- create --- */

static enum err_code find_branch(
    struct db *db, const struct token_options *o, struct registry_entry *database, struct err *err)
{
    struct registry_entry parent = *database;

    if (!o->database)
        return err_set(err, ERR_INVALID, "--branch needs --database, which it is a branch of");
    return registry_get_branch(db, &parent.id, str_of(o->branch), database, err);
}

static enum err_code read_wish(
    struct db *db, const struct token_options *o, struct token_new *in, struct err *err)
{
    struct tenant tenant;
    struct registry_entry database;
    enum err_code code;

    if (!token_role_parse(str_of(o->role), &in->role))
        return err_set(err, ERR_INVALID, "--role must be admin, readwrite or readonly, not \"%s\"", o->role);
    code = tenant_get(db, str_of(o->namespace_slug), &tenant, err);
    if (!code && o->database)
        code = registry_get(db, &tenant.id, str_of(o->database), &database, err);
    if (!code && o->branch)
        code = find_branch(db, o, &database, err);
    if (!code)
        code = token_kind_parse(str_of(o->kind), &in->branches_only, err);
    if (code)
        return code;
    in->namespace_id = tenant.id;
    in->database_id = o->database ? database.id : (struct id){.text = ""};
    in->name = str_of(o->name);
    in->claims = str_of(o->claims);
    in->has_table_scope = o->tables.given;
    in->tables = o->tables.items;
    in->table_count = o->tables.count;
    in->expires_in_s = o->expires_in_s;
    in->addresses = o->addresses.items;
    in->address_count = o->addresses.count;
    return ERR_OK;
}

static enum err_code create_in_tx(struct db *db, struct arena *a, const struct token_options *o,
    struct token *row, struct secret *secret, struct err *err)
{
    struct cli_actor actor;
    struct token_new in = {.name = STR_EMPTY};
    enum err_code code = read_wish(db, o, &in, err);

    return code ? code : token_create(db, cli_actor(CREATE.name, &actor), a, &in, row, secret, err);
}

/* Hints go to standard error, so that the secret alone is on standard output. */
static int report_secret(
    const char *command, const struct token_options *o, const struct token *row, const struct secret *secret)
{
    AUTO_STRBUF out;
    struct jsonw w;
    char until[CLOCK_ISO_MAX];

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    if (o->json) {
        jsonw_init(&w, &out);
        view_token(&w, row, secret);
        strbuf_add_char(&out, '\n');
    } else {
        strbuf_addf(&out, STR_FMT "\n", STR_ARG(secret_reveal(secret)));
        (void)fprintf(stderr, "It is not shown again. To end it: holdfast token revoke %s --data %s\n",
            row->id.text, o->data);
        if (row->overlap_ends_at) {
            clock_iso(row->overlap_ends_at, until);
            (void)fprintf(stderr, "The old secret is good until %s.\n", until);
        }
    }
    return cli_print(command, &out);
}

static enum err_code rotate_in_tx(struct db *db, struct arena *a, const struct token_options *o,
    struct token *row, struct secret *secret, struct err *err)
{
    struct cli_actor actor;

    return token_rotate(
        db, cli_actor(ROTATE.name, &actor), a, NULL, str_of(o->id), o->overlap_s, row, secret, err);
}

typedef enum err_code secret_fn(struct db *db, struct arena *a, const struct token_options *o,
    struct token *row, struct secret *secret, struct err *err);

/* `work` runs in a transaction of its own and gives the secret that is printed. */
static int run_for_secret(const char *command, const struct token_options *o, secret_fn *work)
{
    AUTO_ARENA arena;
    AUTO_SECRET secret = SECRET_INIT;
    struct control control;
    struct token row;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = cli_open(o->data, DB_WRITE, &control, &db, &err);

    arena_init(&arena, CLI_OUTPUT_BYTES);
    if (code)
        return cli_fail(command, &err);
    code = tx_begin_write(db, &err);
    if (!code)
        code = tx_end(db, work(db, &arena, o, &row, &secret, &err), &err);
    cli_close(&control, db);
    return code ? cli_fail(command, &err) : report_secret(command, o, &row, &secret);
}

static int run_create(const void *values)
{
    return run_for_secret(CREATE.name, values, create_in_tx);
}

static int run_rotate(const void *values)
{
    return run_for_secret(ROTATE.name, values, rotate_in_tx);
}

/* --- list --- */

static const char *state_of(const struct token *t)
{
    if (t->revoked_at)
        return "revoked";
    return t->expires_at && t->expires_at <= clock_wall_ms() ? "expired" : "active";
}

static void write_line(const struct token *t, struct strbuf *out)
{
    char used[CLOCK_ISO_MAX] = "never used";

    if (t->last_used_at)
        clock_iso(t->last_used_at, used);
    strbuf_addf(out, "%-30s  %-24s  %-9s  %-7s  %-24s  %s/%s%s%s  %s\n", t->id.text, t->preview,
        token_role_name(t->role), state_of(t), used, t->namespace_slug,
        t->database_slug[0] ? t->database_slug : "*", t->has_table_scope ? " (tables)" : "",
        t->claims.len ? " (claims)" : "", t->name);
}

static void write_list(
    const struct token_options *o, const struct token *rows, size_t count, struct strbuf *out)
{
    struct jsonw w;

    jsonw_init(&w, out);
    if (o->json)
        jsonw_array(&w);
    for (size_t i = 0; i < count; i++) {
        if (o->json)
            view_token(&w, &rows[i], NULL);
        else
            write_line(&rows[i], out);
    }
    if (o->json) {
        jsonw_array_end(&w);
        strbuf_add_char(out, '\n');
    }
}

static enum err_code read_list(struct db *db, struct arena *a, const struct token_options *o,
    struct token **rows, size_t *count, struct err *err)
{
    struct tenant tenant;
    enum err_code code = o->namespace_slug ? tenant_get(db, str_of(o->namespace_slug), &tenant, err) : ERR_OK;

    return code ? code : token_list(db, a, str_of(o->namespace_slug), o->all, rows, count, err);
}

static int run_list(const void *values)
{
    const struct token_options *o = values;
    AUTO_ARENA arena;
    AUTO_STRBUF out;
    struct control control;
    struct token *rows = NULL;
    size_t count = 0;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = cli_open(o->data, DB_READ, &control, &db, &err);

    arena_init(&arena, CLI_OUTPUT_BYTES);
    strbuf_init(&out, CLI_OUTPUT_BYTES);
    if (code)
        return cli_fail(LIST.name, &err);
    code = read_list(db, &arena, o, &rows, &count, &err);
    cli_close(&control, db);
    if (code)
        return cli_fail(LIST.name, &err);
    write_list(o, rows, count, &out);
    return cli_print(LIST.name, &out);
}

/* --- revoke --- */

static int run_revoke(const void *values)
{
    const struct token_options *o = values;
    struct cli_actor actor;
    struct control control;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = cli_open(o->data, DB_WRITE, &control, &db, &err);

    if (code)
        return cli_fail(REVOKE.name, &err);
    code = tx_begin_write(db, &err);
    if (!code)
        code = tx_end(
            db, access_revoke_token(db, cli_actor(REVOKE.name, &actor), NULL, str_of(o->id), &err), &err);
    cli_close(&control, db);
    return code ? cli_fail(REVOKE.name, &err) : cli_print_done(REVOKE.name, o->json, o->id, "revoked");
}

const struct cli_command CLI_TOKEN_CREATE = {&CREATE, sizeof(struct token_options), run_create};
const struct cli_command CLI_TOKEN_LIST = {&LIST, sizeof(struct token_options), run_list};
const struct cli_command CLI_TOKEN_ROTATE = {&ROTATE, sizeof(struct token_options), run_rotate};
const struct cli_command CLI_TOKEN_REVOKE = {&REVOKE, sizeof(struct token_options), run_revoke};
