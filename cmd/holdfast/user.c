/* holdfast user create, list, reset-password, suspend, resume: people who may sign in. Works beside a running
 * server, which sees the change at its next request. */
#include "account/session.h"
#include "oauth/grant.h"
#include "cli.h"
#include "tenant/member.h"
#include <stdio.h>

struct user_options {
    const char *data, *email, *name, *namespace_slug, *role;
    bool json;
};

#define AT(member)       offsetof(struct user_options, member)
#define NAMESPACES_SHOWN 100 /* of one person */
#define PASSWORD_HELP                                                                                        \
    "The password is HOLDFAST_PASSWORD, or the first line of standard input where that is no terminal, or "  \
    "else generated and printed, once. "

static const struct option_spec CREATE_OPTIONS[] = {
    CLI_OPTION_DATA(struct user_options),
    {.name = "email",
        .type = OPTION_TEXT,
        .offset = AT(email),
        .value = "ADDRESS",
        .required = true,
        .help = "What the person signs in with"},
    {.name = "name",
        .type = OPTION_TEXT,
        .offset = AT(name),
        .value = "TEXT",
        .help = "What others see; nothing without it"},
    {.name = "namespace",
        .type = OPTION_TEXT,
        .offset = AT(namespace_slug),
        .value = "SLUG",
        .help = "Makes the person a member of this namespace; without it the first sign-in makes one"},
    {.name = "role",
        .type = OPTION_TEXT,
        .offset = AT(role),
        .value = "ROLE",
        .help = "As what, together with --namespace: viewer, editor, admin or owner"},
    CLI_OPTION_JSON(struct user_options, "Prints one object, for scripts"),
};
static const struct option_command CREATE = {
    .name = "user create",
    .summary = "makes an account for a person",
    .about = "Makes an account for a person, whatever --signup says. " PASSWORD_HELP
             "It works while the server runs.",
    .example =
        "  holdfast user create --data ./data --email lin@example.com --namespace acme --role editor\n",
    .options = CREATE_OPTIONS,
    .option_count = ARRAY_LEN(CREATE_OPTIONS),
};

static const struct option_spec LIST_OPTIONS[] = {
    CLI_OPTION_DATA(struct user_options),
    CLI_OPTION_JSON(struct user_options, "Prints an array of objects, for scripts"),
};
static const struct option_command LIST = {
    .name = "user list",
    .summary = "lists accounts and their namespaces, oldest first",
    .about = "Lists accounts, oldest first, each with its first 100 namespaces.",
    .options = LIST_OPTIONS,
    .option_count = ARRAY_LEN(LIST_OPTIONS),
};

static const struct option_spec ONE_OPTIONS[] = {
    CLI_OPTION_DATA(struct user_options),
    CLI_OPTION_JSON(struct user_options, "Prints one object, for scripts"),
};
static const struct option_command RESET = {
    .name = "user reset-password",
    .summary = "gives an account a new password, ends its sessions and takes back what apps were given",
    .about = "Gives an account a new password and ends all of its sessions, at once. What the "
             "person gave apps is withdrawn: who had the password may have given it. " PASSWORD_HELP,
    .example = "  holdfast user reset-password lin@example.com --data ./data\n",
    .options = ONE_OPTIONS,
    .option_count = ARRAY_LEN(ONE_OPTIONS),
    .operand = "ADDRESS",
    .operand_offset = AT(email),
};
static const struct option_command SUSPEND = {
    .name = "user suspend",
    .summary = "ends an account's sessions and lets nobody sign in to it, at once",
    .about =
        "Ends all sessions of an account and lets nobody sign in to it. A running server refuses it from its "
        "next "
        "request on. API tokens belong to their namespace and stay; end them with `holdfast token revoke`.",
    .example = "  holdfast user suspend lin@example.com --data ./data\n",
    .options = ONE_OPTIONS,
    .option_count = ARRAY_LEN(ONE_OPTIONS),
    .operand = "ADDRESS",
    .operand_offset = AT(email),
};
static const struct option_command RESUME = {
    .name = "user resume",
    .summary = "lets a suspended account sign in again",
    .example = "  holdfast user resume lin@example.com --data ./data\n",
    .options = ONE_OPTIONS,
    .option_count = ARRAY_LEN(ONE_OPTIONS),
    .operand = "ADDRESS",
    .operand_offset = AT(email),
};

/* What one command has at hand. */
struct job {
    const struct user_options *o;
    const char *command;
    const struct actor *by;
    struct db *db;
    const char *hash; /* of the password, where it takes one */
    struct account account;
};

/* Opens, runs `work` in one transaction, closes. */
static enum err_code run_in_tx(
    struct job *j, enum err_code (*work)(struct job *j, struct err *err), struct err *err)
{
    struct cli_actor room;
    struct control control;
    enum err_code code = cli_open(j->o->data, DB_WRITE, &control, &j->db, err);

    if (code)
        return code;
    j->by = cli_actor(j->command, &room);
    code = tx_begin_write(j->db, err);
    if (!code)
        code = tx_end(j->db, work(j, err), err);
    cli_close(&control, j->db);
    return code;
}

/* --- Passwords --- */

static enum err_code read_or_make(
    struct str email, struct secret *ret, bool *ret_made, char *ret_hash, struct err *err)
{
    enum err_code code = cli_password_if_given(ret, err);

    *ret_made = !code && ret->len == 0;
    if (*ret_made)
        password_generate(ret);
    if (!code)
        code = password_check(secret_reveal(ret), email, "/password", err);
    return code ? code : password_hash(secret_reveal(ret), ret_hash, err);
}

/* Says what was done; `password` NULL when the person knows it. */
static int report(const struct job *j, const struct secret *password, const char *sentence)
{
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    jsonw_init(&w, &out);
    if (j->o->json) {
        jsonw_object(&w);
        JSONW_TEXT(&w, "id", id_str(&j->account.id));
        JSONW_CSTR(&w, "email", j->account.email);
        if (password)
            JSONW_TEXT(&w, "password", secret_reveal(password));
        jsonw_object_end(&w);
    } else {
        strbuf_addf(&out, "%s %s.", j->account.email, sentence);
        if (password)
            strbuf_addf(
                &out, "\n\n  password   " STR_FMT "   (not shown again)\n", STR_ARG(secret_reveal(password)));
    }
    strbuf_add_char(&out, '\n');
    return cli_print(j->command, &out);
}

static int run_with_password(
    struct job *j, enum err_code (*work)(struct job *j, struct err *err), const char *sentence)
{
    AUTO_SECRET password = SECRET_INIT;
    char hash[PASSWORD_HASH_MAX];
    struct err err = ERR_INIT;
    bool made = false;
    enum err_code code = account_check_email(str_of(j->o->email), &err);

    if (!code)
        code = read_or_make(str_of(j->o->email), &password, &made, hash, &err);
    if (!code) {
        j->hash = hash;
        code = run_in_tx(j, work, &err);
    }
    return code ? cli_fail(j->command, &err) : report(j, made ? &password : NULL, sentence);
}

/* --- create --- */

static enum err_code join(struct job *j, struct err *err)
{
    enum member_role role;
    struct tenant tenant;

    if (!j->o->namespace_slug)
        return ERR_OK;
    if (!member_role_parse(str_of(j->o->role), &role))
        return err_set(
            err, ERR_INVALID, "--role must be viewer, editor, admin or owner, not \"%s\"", j->o->role);
    enum err_code code = tenant_get(j->db, str_of(j->o->namespace_slug), &tenant, err);
    return code ? code : member_add(j->db, j->by, &tenant.id, &j->account.id, role, err);
}

static enum err_code create(struct job *j, struct err *err)
{
    struct account_new in = {str_of(j->o->email), str_of(j->o->name), j->hash};
    enum err_code code = account_create(j->db, j->by, &in, &j->account, err);

    return code ? code : join(j, err);
}

static int run_create(const void *values)
{
    const struct user_options *o = values;
    struct job j = {.o = o, .command = CREATE.name};
    struct err err = ERR_INIT;

    if (!o->namespace_slug != !o->role) {
        err_set(&err, ERR_INVALID, "--namespace and --role belong together; one of them is missing");
        return cli_fail(CREATE.name, &err);
    }
    return run_with_password(&j, create, "may sign in");
}

/* --- list --- */

static enum err_code write_one(
    struct db *db, struct arena *a, const struct account *user, struct jsonw *w, struct err *err)
{
    struct membership *in;
    size_t count;
    enum err_code code = member_list_of(db, a, &user->id, STR_EMPTY, NAMESPACES_SHOWN, &in, &count, err);

    if (code)
        return code;
    jsonw_object(w);
    JSONW_TEXT(w, "id", id_str(&user->id));
    JSONW_CSTR(w, "email", user->email);
    JSONW_CSTR(w, "name", user->name);
    cli_json_time(w, "createdAt", user->created_at);
    cli_json_time(w, "firstSignInAt", user->first_sign_in_at);
    cli_json_time(w, "suspendedAt", user->suspended_at);
    jsonw_key(w, "namespaces");
    jsonw_array(w);
    for (size_t i = 0; i < count; i++) {
        jsonw_object(w);
        JSONW_CSTR(w, "slug", in[i].tenant.slug);
        JSONW_CSTR(w, "role", member_role_name(in[i].role));
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
    return ERR_OK;
}

static enum err_code write_line(
    struct db *db, struct arena *a, const struct account *user, struct strbuf *out, struct err *err)
{
    struct membership *in;
    size_t count;
    enum err_code code = member_list_of(db, a, &user->id, STR_EMPTY, NAMESPACES_SHOWN, &in, &count, err);

    if (code)
        return code;
    strbuf_addf(
        out, "%-30s  %-9s  %s", user->id.text, user->suspended_at ? "suspended" : "active", user->email);
    for (size_t i = 0; i < count; i++)
        strbuf_addf(out, "%s%s (%s)", i ? ", " : "  ", in[i].tenant.slug, member_role_name(in[i].role));
    strbuf_add_char(out, '\n');
    return ERR_OK;
}

static enum err_code write_all(
    struct db *db, struct arena *a, const struct user_options *o, struct strbuf *out, struct err *err)
{
    struct account *rows;
    struct jsonw w;
    size_t count;
    enum err_code code = account_list(db, a, &rows, &count, err);

    jsonw_init(&w, out);
    if (code)
        return code;
    if (o->json)
        jsonw_array(&w);
    for (size_t i = 0; !code && i < count; i++)
        code = o->json ? write_one(db, a, &rows[i], &w, err) : write_line(db, a, &rows[i], out, err);
    if (!code && o->json) {
        jsonw_array_end(&w);
        strbuf_add_char(out, '\n');
    }
    return code;
}

static int run_list(const void *values)
{
    const struct user_options *o = values;
    AUTO_ARENA arena;
    AUTO_STRBUF out;
    struct control control;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = cli_open(o->data, DB_READ, &control, &db, &err);

    arena_init(&arena, CLI_OUTPUT_BYTES);
    strbuf_init(&out, CLI_OUTPUT_BYTES);
    if (code)
        return cli_fail(LIST.name, &err);
    code = write_all(db, &arena, o, &out, &err);
    cli_close(&control, db);
    return code ? cli_fail(LIST.name, &err) : cli_print(LIST.name, &out);
}

/* --- reset-password, suspend, resume --- */

static enum err_code reset(struct job *j, struct err *err)
{
    enum err_code code = account_get(j->db, str_of(j->o->email), &j->account, err);

    if (!code)
        code = account_set_hash(j->db, j->by, &j->account.id, j->hash, true, err);
    if (!code)
        code = session_end_all(j->db, j->by, &j->account.id, NULL, err);
    return code ? code : grant_withdraw_all(j->db, j->by, &j->account.id, NULL, err);
}

static int run_reset(const void *values)
{
    struct job j = {.o = values, .command = RESET.name};

    return run_with_password(&j, reset, "has a new password, and no session and no connected app any more");
}

static enum err_code suspend(struct job *j, struct err *err)
{
    enum err_code code = account_get(j->db, str_of(j->o->email), &j->account, err);

    return code ? code : account_suspend(j->db, j->by, &j->account.id, true, err);
}

static enum err_code resume(struct job *j, struct err *err)
{
    enum err_code code = account_get(j->db, str_of(j->o->email), &j->account, err);

    return code ? code : account_suspend(j->db, j->by, &j->account.id, false, err);
}

static int run_suspend(const void *values)
{
    struct job j = {.o = values, .command = SUSPEND.name};
    struct err err = ERR_INIT;
    enum err_code code = run_in_tx(&j, suspend, &err);

    return code ? cli_fail(SUSPEND.name, &err) : report(&j, NULL, "is suspended");
}

static int run_resume(const void *values)
{
    struct job j = {.o = values, .command = RESUME.name};
    struct err err = ERR_INIT;
    enum err_code code = run_in_tx(&j, resume, &err);

    return code ? cli_fail(RESUME.name, &err) : report(&j, NULL, "may sign in again");
}

const struct cli_command CLI_USER_CREATE = {&CREATE, sizeof(struct user_options), run_create};
const struct cli_command CLI_USER_LIST = {&LIST, sizeof(struct user_options), run_list};
const struct cli_command CLI_USER_RESET = {&RESET, sizeof(struct user_options), run_reset};
const struct cli_command CLI_USER_SUSPEND = {&SUSPEND, sizeof(struct user_options), run_suspend};
const struct cli_command CLI_USER_RESUME = {&RESUME, sizeof(struct user_options), run_resume};
