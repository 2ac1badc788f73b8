/* The first start: an owner with a generated password, a namespace, a database and a token, shown once on
 * standard output. */
#include "base/mem.h"
#include "base/rand.h"
#include "serve.h"

#include <stdio.h>
#include <stdlib.h>

#define PASSWORD_LEN 20

/* 20 of 56 letters and digits that cannot be mistaken for each other: 116 bits. */
static void generate_password(char out[PASSWORD_LEN + 1])
{
    static const char alphabet[] = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
    for (unsigned i = 0; i < PASSWORD_LEN; i++)
        out[i] = alphabet[rand_below(sizeof(alphabet) - 1)];
    out[PASSWORD_LEN] = 0;
}

enum err_code server_first_start(struct server *s, struct err *err)
{
    const char *given = getenv("HOLDFAST_PASSWORD");
    if (!given || !given[0]) {
        generate_password(s->password);
        given = s->password;
    }
    struct bootstrap_new in = {.data_dir = s->data_dir,
        .email = str_of(s->opt->email),
        .password = str_of(given),
        .namespace_slug = str_of(s->opt->namespace_slug)};
    enum err_code rc = bootstrap_run(&in, &s->made, err);
    s->first_start = rc == ERR_OK;
    return rc;
}

void server_welcome(struct server *s)
{
    if (!s->first_start)
        return;
    const char *token = secret_reveal(&s->made.token).ptr;
    (void)printf("\nWelcome to Holdfast. This is shown once:\n\n  URL        %s\n  owner      %s\n", s->url,
        s->opt->email);
    (void)printf("  password   %s\n", s->password[0] ? s->password : "(the one in HOLDFAST_PASSWORD)");
    (void)printf("  namespace  %s\n  database   %s\n  token      %s\n\nTry it:\n\n", s->made.namespace_slug,
        BOOTSTRAP_DATABASE, token);
    (void)printf(
        "  curl -sS %s/v1/db/%s/%s/query -H 'Authorization: Bearer %s' -H 'Content-Type: application/json'"
        " -d '{\"sql\":\"SELECT sqlite_version()\"}'\n\n",
        s->url, s->made.namespace_slug, BOOTSTRAP_DATABASE, token);
    (void)fflush(stdout); /* whoever reads it may be gone; the server serves all the same */
    secret_release(&s->made.token);
    mem_wipe(s->password, sizeof(s->password));
}
