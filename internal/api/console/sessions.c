/* /api/auth: who is signed in, and where else. Worker thread. */
#include "api/call.h"
#include "api/console/views.h"

route_worker_fn console_session_get, console_session_list, console_session_end, console_session_end_others;

enum err_code console_session_get(struct api_call *c)
{
    view_signed_in(c->out, c->person, c->csrf);
    return ERR_OK;
}

enum err_code console_session_list(struct api_call *c)
{
    struct session *rows;
    size_t count;
    enum err_code rc = session_list(c->db, c->arena, &c->person->account.id, &rows, &count, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view_session_row(c->out, &rows[i], str_eq(id_str(&rows[i].id), id_str(&c->person->session_id)));
    jsonw_array_end(c->out);
    return ERR_OK;
}

struct session_choice {
    struct str id;
};

static const struct jsonr_field end_fields[] = {
    {"id", JF_TEXT, offsetof(struct session_choice, id), JF_REQUIRED, 1, ID_MAX - 1},
};

enum err_code console_session_end(struct api_call *c)
{
    struct session_choice in = {STR_EMPTY};
    enum err_code rc = call_read_body(c, end_fields, ARRAY_LEN(end_fields), &in);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, session_end(c->db, c->by, &c->person->account.id, in.id, c->err), c->err);
    if (rc)
        return rc;
    c->cookie->clear = str_eq(in.id, id_str(&c->person->session_id));
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "id", in.id);
    jsonw_object_end(c->out);
    return ERR_OK;
}

enum err_code console_session_end_others(struct api_call *c)
{
    enum err_code rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db,
            session_end_all(c->db, c->by, &c->person->account.id, &c->person->session_id, c->err), c->err);
    if (!rc)
        view_done(c->out);
    return rc;
}
