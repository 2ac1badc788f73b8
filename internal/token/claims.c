/* Claims of a token: what the policies of row-level security are told about its bearer. */
#include "token/token_internal.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "json/jsonr.h"
#include "json/jsonw.h"

enum { CLAIM_NAME_MAX = 64 };

/* As it can stand behind ":auth_". */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.len > 0 && s.len <= CLAIM_NAME_MAX;
}

static enum err_code write_claim(struct jsonw *w, const struct jsonr_value *v, struct err *err)
{
    struct str name = jsonr_name(v);
    char pointer[CLAIM_NAME_MAX + 16];
    if (!is_name(name))
        return err_field(err, "/claims", "is named with 1 to 64 letters, digits and underscores each");
    str_print(pointer, sizeof pointer, "/claims/" STR_FMT, STR_ARG(name));
    jsonw_key_str(w, name);
    switch (jsonr_kind(v)) {
    case JSONR_TEXT: jsonw_text(w, jsonr_text(v)); return ERR_OK;
    case JSONR_INT: jsonw_int(w, jsonr_int(v)); return ERR_OK;
    case JSONR_REAL: jsonw_real(w, jsonr_real(v)); return ERR_OK;
    case JSONR_BOOL: jsonw_bool(w, jsonr_bool(v)); return ERR_OK;
    case JSONR_NULL: jsonw_null(w); return ERR_OK;
    default: return err_field(err, pointer, "must be a text, a number, true, false or null");
    }
}

enum err_code token_claims_text(
    struct arena *a, const struct jsonr_value *claims, struct str *ret, struct err *err)
{
    AUTO_STRBUF out;
    struct jsonw w;
    enum err_code code = ERR_OK;
    size_t count = jsonr_count(claims);
    *ret = STR_EMPTY;
    strbuf_init(&out, (size_t)LIMIT_CLAIMS_BYTES);
    if (count > (size_t)LIMIT_CLAIMS)
        return err_field(err, "/claims", "must hold at most %d members", (int)LIMIT_CLAIMS);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    for (const struct jsonr_value *v = jsonr_first(claims); v && !code; v = jsonr_next(v))
        code = write_claim(&w, v, err);
    if (code)
        return code;
    jsonw_object_end(&w);
    if (strbuf_failed(&out))
        return err_field(err, "/claims", "must be at most %d bytes", (int)LIMIT_CLAIMS_BYTES);
    if (count > 0)
        *ret = arena_copy(a, strbuf_str(&out));
    return ret->ptr ? ERR_OK : err_field(err, "/claims", "is too long");
}

enum err_code token_check_claims(struct arena *a, struct str json, struct str *ret, struct err *err)
{
    const struct jsonr_value *root;
    *ret = STR_EMPTY;
    if (!json.len)
        return ERR_OK;
    if (jsonr_parse(a, json, &root, NULL) || jsonr_kind(root) != JSONR_OBJECT)
        return err_field(err, "/claims", "must be a JSON object, like {\"tenant\":\"a\"}");
    return token_claims_text(a, root, ret, err);
}
