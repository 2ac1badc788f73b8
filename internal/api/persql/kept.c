/* See kept.h. */
#include "api/persql/kept.h"
#include "base/enc.h"

enum err_code kept_check_caller(const struct identity *who, const char *what, struct err *err)
{
    if (!who->has_table_scope && !who->claims.len)
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN,
        "%s is the whole database: this needs a token without a table scope and without claims", what);
}

enum err_code kept_read_body(struct api_request *r, const struct jsonr_field *fields, size_t count,
    const char *empty, void *out, struct err *err)
{
    const struct jsonr_value *root;
    struct str body = http_body(r->http);
    enum err_code rc = request_check_json(r, err);
    if (!rc && empty && !body.len)
        rc = err_field(err, "", "%s", empty);
    if (rc || !body.len)
        return rc;
    rc = jsonr_parse(&r->arena, body, &root, err);
    return rc ? rc : jsonr_fields(root, "", fields, count, JSONR_UNKNOWN_REFUSE, out, err);
}

enum err_code kept_check_label(struct str s, struct err *err)
{
    bool good = utf8_valid(s);
    size_t chars = 0;
    for (size_t i = 0; i < s.len; i++) {
        good = good && (unsigned char)s.ptr[i] >= ' ' && s.ptr[i] != 0x7f;
        chars += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    }
    return good && chars <= 80
               ? ERR_OK
               : err_field(err, "/label", "must be 1 to 80 characters without control characters");
}
