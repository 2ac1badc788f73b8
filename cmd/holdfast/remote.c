/* See remote.h. */
#include "remote.h"
#include "base/slug.h"

#define ANSWER_BYTES (16 << 20)
#define PARSED_BYTES (256 << 20)
#define PATH_BYTES   1024

/* Letters, digits and the signs of slugs: nothing that would have to be escaped in a path. */
static bool plain_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-._", name.ptr[i]))
            return false;
    return name.len > 0 && name.ptr[0] != '.';
}

static enum err_code check_database(const char *text, struct err *err)
{
    struct str rest = str_of(text), ns;
    bool two = str_cut(&rest, '/', &ns) && rest.ptr && plain_name(ns) && plain_name(rest);

    return two && strlen(text) <= PATH_BYTES / 4
               ? ERR_OK
               : err_set(err, ERR_INVALID, "--database must look like NAMESPACE/DATABASE: \"acme/main\"");
}

enum err_code remote_open(struct remote *r, const struct remote_options *opt, struct err *err)
{
    struct http_client_options http = {
        .base = str_of(opt->url), .token = str_of(opt->token), .ca_file = opt->ca_file};

    *r = (struct remote){.database = opt->database};
    arena_init(&r->arena, PARSED_BYTES);
    strbuf_init(&r->answer, ANSWER_BYTES);
    enum err_code code = check_database(opt->database, err);
    return code ? code : http_client_new(&http, &r->http, err);
}

void remote_close(struct remote *r)
{
    http_client_free(r->http);
    strbuf_release(&r->answer);
    arena_release(&r->arena);
    *r = (struct remote){.database = NULL};
}

/* What a body in JSON says was wrong, or "". */
static struct str said(const struct jsonr_value *root)
{
    const struct jsonr_value *error =
        jsonr_kind(root) == JSONR_OBJECT ? jsonr_member(root, S("error")) : NULL;

    return error && jsonr_kind(error) == JSONR_TEXT ? jsonr_text(error) : STR_EMPTY;
}

static enum err_code ask(struct remote *r, const char *method, const char *path, struct str body,
    int *ret_status, const struct jsonr_value **ret_root, struct err *err)
{
    strbuf_reset(&r->answer);
    enum err_code code = http_client_send(r->http, method, path, body, &r->answer, ret_status, err);
    if (code)
        return code;
    struct str text = arena_copy(&r->arena, strbuf_str(&r->answer));
    if (!text.ptr || jsonr_parse(&r->arena, text, ret_root, NULL))
        return err_set(err, ERR_INTERNAL,
            "%s %s was answered with the status %d and no JSON: is this a Holdfast?", method, path,
            *ret_status);
    return ERR_OK;
}

static enum err_code refused(int status, struct str said, struct err *err)
{
    if (status == 401)
        return err_set(err, ERR_FORBIDDEN, "the server does not take the token: " STR_FMT, STR_ARG(said));
    return err_set(
        err, status == 404 ? ERR_NOT_FOUND : ERR_CONFLICT, STR_FMT " (status %d)", STR_ARG(said), status);
}

enum err_code remote_do_at(struct remote *r, const char *method, const char *path, struct str body,
    const struct jsonr_value **ret_data, struct err *err)
{
    const struct jsonr_value *root, *data = NULL;
    int status = 0;
    enum err_code code = ask(r, method, path, body, &status, &root, err);

    if (code)
        return code;
    if (jsonr_kind(root) == JSONR_OBJECT)
        data = jsonr_member(root, S("data"));
    if (status != 200 || !data)
        return refused(status, said(root), err);
    if (ret_data)
        *ret_data = data;
    return ERR_OK;
}

enum err_code remote_do(struct remote *r, const char *method, const char *tail, struct str body,
    const struct jsonr_value **ret_data, struct err *err)
{
    char path[PATH_BYTES];

    str_print(path, sizeof path, "/v1/db/%s%s", r->database, tail);
    return remote_do_at(r, method, path, body, ret_data, err);
}
