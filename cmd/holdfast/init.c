/* holdfast init: a data directory with its owner, before the first start. */
#include "bootstrap/bootstrap.h"
#include "cli.h"
#include <unistd.h>

struct init_options {
    const char *data, *email, *namespace_slug, *public_url;
    bool json;
};

#define AT(member) offsetof(struct init_options, member)
static const struct option_spec OPTIONS[] = {
    {.name = "data",
        .type = OPTION_TEXT,
        .offset = AT(data),
        .value = "DIR",
        .required = true,
        .help = "The data directory. It is made when it does not exist, and must be empty when it does"},
    {.name = "email",
        .type = OPTION_TEXT,
        .offset = AT(email),
        .value = "ADDRESS",
        .required = true,
        .help = "The owner's address: who may sign in and owns the namespace"},
    {.name = "namespace",
        .type = OPTION_TEXT,
        .offset = AT(namespace_slug),
        .value = "SLUG",
        .required = true,
        .help = "The namespace, first part of every database's address: a-z, 0-9 and hyphens"},
    {.name = "public-url",
        .type = OPTION_TEXT,
        .offset = AT(public_url),
        .value = "URL",
        .fallback = CLI_DEFAULT_URL,
        .help = "Where clients will reach the server; only printed, as part of the database's address"},
    CLI_OPTION_JSON(
        struct init_options, "Prints one object with namespace, database, token and url, for scripts"),
};
static const struct option_command DESCRIBE = {
    .name = "init",
    .summary = "makes a data directory: owner, namespace, database `main`, admin token",
    .about = "Makes a data directory with an owner account, a namespace, a database `main` and an admin "
             "token, which is shown "
             "once. The owner's password (15 characters or more) is read from HOLDFAST_PASSWORD or from the "
             "first line of standard "
             "input; on a terminal "
             "it is asked for. A directory that is in use is left as it is. `holdfast serve` does the same "
             "by itself when it "
             "meets an empty directory.",
    .example =
        "  holdfast init --data ./data --email ada@example.com --namespace acme\n"
        "  holdfast init --data ./data --email ada@example.com --namespace acme --json <password.txt\n",
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
};

static void add_url(const struct init_options *o, const char *namespace_slug, struct strbuf *out)
{
    struct str base = str_of(o->public_url);

    while (base.len && base.ptr[base.len - 1] == '/')
        base.len--;
    strbuf_add_str(out, base);
    strbuf_addf(out, "/v1/db/%s/" BOOTSTRAP_DATABASE, namespace_slug);
}

static void write_json(const struct bootstrap_result *made, struct str url, struct strbuf *out)
{
    struct jsonw w;

    jsonw_init(&w, out);
    jsonw_object(&w);
    JSONW_CSTR(&w, "namespace", made->namespace_slug);
    JSONW_CSTR(&w, "database", BOOTSTRAP_DATABASE);
    JSONW_TEXT(&w, "token", secret_reveal(&made->token));
    JSONW_TEXT(&w, "url", url);
    jsonw_object_end(&w);
    strbuf_add_char(out, '\n');
}

static void write_text(
    const struct init_options *o, const struct bootstrap_result *made, struct str url, struct strbuf *out)
{
    strbuf_addf(out, "%s is ready.\n\n", o->data);
    strbuf_addf(out, "  owner      %s\n", o->email);
    strbuf_addf(out, "  namespace  %s\n", made->namespace_slug);
    strbuf_addf(out, "  database   " BOOTSTRAP_DATABASE "   " STR_FMT "\n", STR_ARG(url));
    strbuf_addf(
        out, "  token      " STR_FMT "   (admin; not shown again)\n\n", STR_ARG(secret_reveal(&made->token)));
    strbuf_addf(out, "Start the server:\n\n  holdfast serve --data %s\n", o->data);
}

static int report(const struct init_options *o, const struct bootstrap_result *made)
{
    AUTO_STRBUF out, url;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    strbuf_init(&url, CLI_OUTPUT_BYTES);
    add_url(o, made->namespace_slug, &url);
    if (o->json)
        write_json(made, strbuf_str(&url), &out);
    else
        write_text(o, made, strbuf_str(&url), &out);
    return cli_print(DESCRIBE.name, &out);
}

/* Before the password is asked for and before anything is touched. */
static enum err_code require_empty(const char *data_dir, struct err *err)
{
    enum bootstrap_state state;
    enum err_code code = bootstrap_look(data_dir, &state, err);

    if (code || state == BOOTSTRAP_EMPTY)
        return code;
    return err_set(err, ERR_CONFLICT, "%s is in use already (%s); nothing was changed", data_dir,
        state == BOOTSTRAP_READY ? "it holds Holdfast's data" : "it holds other files");
}

static enum err_code make(const struct bootstrap_new *in, struct bootstrap_result *made, struct err *err)
{
    AUTO_FD lock = -1;
    enum err_code code = bootstrap_check(in, err);

    if (!code)
        code = bootstrap_lock(in->data_dir, &lock, err);
    return code ? code : bootstrap_run(in, made, err);
}

static int run(const void *values)
{
    const struct init_options *o = values;
    AUTO_SECRET password = SECRET_INIT;
    struct bootstrap_result made = {.token = SECRET_INIT};
    struct cli_actor actor;
    struct err err = ERR_INIT;
    enum err_code code = require_empty(o->data, &err);

    if (!code)
        code = cli_read_password(&password, &err);
    if (!code) {
        struct bootstrap_new in = {.by = cli_actor(DESCRIBE.name, &actor),
            .data_dir = o->data,
            .email = str_of(o->email),
            .password = secret_reveal(&password),
            .namespace_slug = str_of(o->namespace_slug)};
        code = make(&in, &made, &err);
    }
    int status = code ? cli_fail(DESCRIBE.name, &err) : report(o, &made);
    secret_release(&made.token);
    return status;
}

const struct cli_command CLI_INIT = {&DESCRIBE, sizeof(struct init_options), run};
