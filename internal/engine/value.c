/* Values between SQLite and JSON: one form each way. Integers are exact, blobs are {"$blob":"base64"},
 * booleans go in as 1 and 0. Parameters also take the other tagged values; results, which every JSON client
 * reads, show infinity as null and bytes that are no UTF-8 as U+FFFD. */
#include "base/limits.h"
#include "engine/column.h"
#include "engine/engine_state.h"
#include "engine/sqlerr.h"
#include "engine/tagged.h"

void op_write_column(struct jsonw *w, sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER: jsonw_int(w, sqlite3_column_int64(stmt, column)); break;
    case SQLITE_FLOAT: jsonw_real(w, sqlite3_column_double(stmt, column)); break;
    case SQLITE_TEXT: jsonw_text(w, column_bytes(stmt, column)); break;
    case SQLITE_BLOB: jsonw_blob(w, column_bytes(stmt, column)); break;
    default: jsonw_null(w);
    }
}

/* Where parameters stand, "/params" or "/statements/3/params". It is printed for an error alone: for each
 * value of a batch it would cost as much as binding it. */
struct place {
    int statement; /* of a batch; -1 none */
    char text[ERR_POINTER_MAX];
};

static const char *place_of_all(struct place *p)
{
    if (p->statement < 0)
        str_print(p->text, sizeof p->text, "/params");
    else
        str_print(p->text, sizeof p->text, "/statements/%d/params", p->statement);
    return p->text;
}

static enum err_code within(struct place *p, enum err_code code, struct err *err)
{
    return code == ERR_INVALID ? err_within(err, code, place_of_all(p)) : code;
}

static enum err_code within_index(struct place *p, size_t index, enum err_code code, struct err *err)
{
    char at[24];
    if (code != ERR_INVALID)
        return code;
    str_print(at, sizeof at, "/%zu", index);
    return within(p, err_within(err, code, at), err);
}

static enum err_code within_name(struct place *p, struct str name, enum err_code code, struct err *err)
{
    char at[64];
    if (code != ERR_INVALID)
        return code;
    str_print_cut(at, sizeof at, "/" STR_FMT, STR_ARG(str_slice(name, 0, 60)));
    return within(p, err_within(err, code, at), err);
}

static enum err_code bind_tagged(
    struct op *op, sqlite3_stmt *stmt, int index, const struct jsonr_value *v, struct err *err)
{
    AUTO_STRBUF bytes;
    strbuf_init(&bytes, LIMIT_BODY_BYTES);
    struct tagged t = tagged_of_json(v, &bytes);
    if (t.kind == TAGGED_NONE || t.kind == TAGGED_BAD)
        return err_field(err, "", "an object as a parameter must be %s, with padded base64", TAGGED_FORMS);
    int rc = tagged_bind(stmt, index, &t);
    return rc == SQLITE_OK ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

static enum err_code bind_one(
    struct op *op, sqlite3_stmt *stmt, int index, const struct jsonr_value *v, struct err *err)
{
    int rc = SQLITE_OK;
    switch (jsonr_kind(v)) {
    case JSONR_NULL: rc = sqlite3_bind_null(stmt, index); break;
    case JSONR_BOOL: rc = sqlite3_bind_int(stmt, index, jsonr_bool(v)); break;
    case JSONR_INT: rc = sqlite3_bind_int64(stmt, index, jsonr_int(v)); break;
    case JSONR_REAL: rc = sqlite3_bind_double(stmt, index, jsonr_real(v)); break;
    case JSONR_TEXT:
        /* Static: the JSON tree lives in the call's arena until the statement was reset. */
        rc = sqlite3_bind_text64(
            stmt, index, jsonr_text(v).ptr, jsonr_text(v).len, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case JSONR_OBJECT: return bind_tagged(op, stmt, index, v, err);
    case JSONR_ARRAY:
        return err_field(
            err, "", "an array cannot be a parameter; send JSON as text and read it with json_each(?)");
    }
    return rc == SQLITE_OK ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

static enum err_code wrong_count(
    struct op *op, const char *kind, struct err *err, const char *at, const char *fmt, ...) PRINTF_LIKE(5, 6);
static enum err_code wrong_count(
    struct op *op, const char *kind, struct err *err, const char *at, const char *fmt, ...)
{
    char text[ERR_MESSAGE_MAX], message[ERR_MESSAGE_MAX + ERR_POINTER_MAX];
    va_list ap;
    va_start(ap, fmt);
    str_vprint_cut(text, sizeof text, fmt, ap);
    va_end(ap);
    str_print_cut(message, sizeof message, "%s: %s", at, text);
    struct sqlerr_detail d = {.kind = kind, .position = -1, .hint = "send one value for each parameter"};
    return sqlerr_set(op, ERR_SQL, &d, message, err);
}

static enum err_code bind_array(
    struct op *op, sqlite3_stmt *stmt, const struct jsonr_value *params, struct place *p, struct err *err)
{
    size_t given = params ? jsonr_count(params) : 0;
    size_t wanted = (size_t)sqlite3_bind_parameter_count(stmt);
    if (given != wanted)
        return wrong_count(op, given > wanted ? "too_many_params" : "unknown", err, place_of_all(p),
            "the statement has %zu parameter%s, %zu given", wanted, wanted == 1 ? "" : "s", given);
    int index = 1;
    for (const struct jsonr_value *v = params ? jsonr_first(params) : NULL; v; v = jsonr_next(v), index++) {
        enum err_code rc = bind_one(op, stmt, index, v, err);
        if (rc != ERR_OK)
            return within_index(p, (size_t)index - 1, rc, err);
    }
    return ERR_OK;
}

/* The member for a parameter ":name": under its full spelling or without the mark. */
static const struct jsonr_value *member_for(const struct jsonr_value *params, const char *parameter)
{
    const struct jsonr_value *v = jsonr_member(params, str_of(parameter));
    return v || parameter[0] == '?' ? v : jsonr_member(params, str_of(parameter + 1));
}

static enum err_code bind_object(
    struct op *op, sqlite3_stmt *stmt, const struct jsonr_value *params, struct place *p, struct err *err)
{
    int wanted = sqlite3_bind_parameter_count(stmt);
    size_t used = 0;
    for (int i = 1; i <= wanted; i++) {
        const char *name = sqlite3_bind_parameter_name(stmt, i);
        if (!name)
            return wrong_count(op, "unknown", err, place_of_all(p),
                "the statement has positional parameters (?): send an array");
        const struct jsonr_value *v = member_for(params, name);
        if (!v)
            return wrong_count(op, "unknown", err, place_of_all(p), "the parameter %s is missing", name);
        enum err_code rc = bind_one(op, stmt, i, v, err);
        if (rc != ERR_OK)
            return within_name(p, str_of(name + 1), rc, err);
        used++;
    }
    if (jsonr_count(params) > used)
        return wrong_count(op, "too_many_params", err, place_of_all(p),
            "the statement has %zu named parameter%s, %zu given", used, used == 1 ? "" : "s",
            jsonr_count(params));
    return ERR_OK;
}

enum err_code op_bind_params(
    struct op *op, sqlite3_stmt *stmt, const struct jsonr_value *params, int statement, struct err *err)
{
    struct place p = {.statement = statement};
    if (!params || jsonr_kind(params) == JSONR_NULL)
        return bind_array(op, stmt, NULL, &p, err);
    if (jsonr_kind(params) == JSONR_ARRAY)
        return bind_array(op, stmt, params, &p, err);
    if (jsonr_kind(params) == JSONR_OBJECT)
        return bind_object(op, stmt, params, &p, err);
    return err_field(err, place_of_all(&p), "must be an array, or an object for named parameters, not %s",
        jsonr_kind_name(jsonr_kind(params)));
}
