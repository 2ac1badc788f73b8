/* The first start: an owner with a generated password, a namespace, a database and a token, shown once on
 * standard output. */
#include "base/check.h"
#include "base/mem.h"
#include "cli.h"
#include "crypto/password.h"
#include "json/jsonw.h"
#include "serve.h"

#include <stdio.h>
#include <stdlib.h>

#define WELCOME_MAX (64 << 10)

enum err_code server_first_start(struct server *s, struct err *err)
{
    const char *given = getenv("HOLDFAST_PASSWORD");
    struct str password = str_of(given);
    if (password.len == 0) {
        password_generate(&s->password);
        password = secret_reveal(&s->password);
    }
    struct cli_actor actor;
    struct bootstrap_new in = {.by = cli_actor("serve", &actor),
        .data_dir = s->data_dir,
        .email = str_of(s->opt->email),
        .password = password,
        .namespace_slug = str_of(s->opt->namespace_slug)};
    enum err_code rc = bootstrap_run(&in, &s->made, err);
    s->first_start = rc == ERR_OK;
    return rc;
}

/* The body of the line to paste. */
static void add_try_body(struct strbuf *out)
{
    struct jsonw w;
    jsonw_init(&w, out);
    jsonw_object(&w);
    JSONW_CSTR(&w, "sql", "SELECT sqlite_version()");
    jsonw_object_end(&w);
}

static void add_welcome(const struct server *s, struct strbuf *out)
{
    const char *token = secret_reveal(&s->made.token).ptr, *url = strbuf_cstr(&s->url);
    strbuf_addf(out, "\nWelcome to Holdfast. This is shown once:\n\n  URL        %s\n  owner      %s\n", url,
        s->opt->email);
    strbuf_addf(out, "  password   %s\n",
        s->password.len ? secret_reveal(&s->password).ptr : "(the one in HOLDFAST_PASSWORD)");
    strbuf_addf(out, "  namespace  %s\n  database   %s\n  token      %s\n\nTry it:\n\n",
        s->made.namespace_slug, BOOTSTRAP_DATABASE, token);
    strbuf_addf(out, "  curl -sS %s/v1/db/%s/%s/query -H 'Authorization: Bearer %s' ", url,
        s->made.namespace_slug, BOOTSTRAP_DATABASE, token);
    strbuf_add_cstr(out, "-H 'Content-Type: application/json' -d '");
    add_try_body(out);
    strbuf_add_cstr(out, "'\n\n");
}

void server_welcome(struct server *s)
{
    struct strbuf text;
    if (!s->first_start)
        return;
    strbuf_init(&text, WELCOME_MAX);
    add_welcome(s, &text);
    CHECK(!strbuf_failed(&text));
    (void)fputs(strbuf_cstr(&text), stdout);
    (void)fflush(stdout); /* whoever reads it may be gone; the server serves all the same */
    mem_wipe(text.buf, text.len);
    strbuf_release(&text);
    secret_release(&s->made.token);
    secret_release(&s->password);
}
