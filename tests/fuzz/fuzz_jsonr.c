/* The JSON reader on any bytes. What it accepts is valid UTF-8 and, written and read again, the same tree;
 * what it refuses has an error fit to be sent. */
#include "base/check.h"
#include "base/enc.h"
#include "json/jsonr.h"
#include "json/jsonw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct body {
    struct str sql;
    const struct jsonr_value *params;
    int64_t limit;
};

static const struct jsonr_field FIELDS[] = {
    {"sql", JF_TEXT, offsetof(struct body, sql), JF_REQUIRED, 1, 100},
    {"params", JF_ARRAY, offsetof(struct body, params), JF_NULL_OK, 0, 4},
    {"limit", JF_INT, offsetof(struct body, limit), 0, 1, 100},
};

static void check_error(enum err_code rc, const struct err *err)
{
    CHECK(rc == ERR_INVALID || rc == ERR_TOO_LARGE);
    CHECK(err->code == rc && err->message[0]);
    CHECK(utf8_valid(str_of(err->message)) && utf8_valid(str_of(err->pointer)));
    CHECK(str_starts(str_of(err->message), str_of(err->pointer)));
    CHECK(!str_eq(str_of(err->message), S("the body is not valid JSON"))); /* scan and cJSON would disagree */
}

static void write_value(struct jsonw *w, const struct jsonr_value *v);

static void write_members(struct jsonw *w, const struct jsonr_value *v, bool named)
{
    for (const struct jsonr_value *m = jsonr_first(v); m; m = jsonr_next(m)) {
        if (named)
            jsonw_key_str(w, jsonr_name(m));
        write_value(w, m);
    }
}

static void write_value(struct jsonw *w, const struct jsonr_value *v)
{
    switch (jsonr_kind(v)) {
    case JSONR_NULL: jsonw_null(w); break;
    case JSONR_BOOL: jsonw_bool(w, jsonr_bool(v)); break;
    case JSONR_INT: jsonw_int(w, jsonr_int(v)); break;
    case JSONR_REAL: jsonw_real(w, jsonr_real(v)); break;
    case JSONR_TEXT: jsonw_text(w, jsonr_text(v)); break;
    case JSONR_ARRAY:
        jsonw_array(w);
        write_members(w, v, false);
        jsonw_array_end(w);
        break;
    case JSONR_OBJECT:
        jsonw_object(w);
        write_members(w, v, true);
        jsonw_object_end(w);
        break;
    }
}

/* The text of a tree is the same after one more round: nothing is lost or changed by writing it. */
static void check_round_trip(struct arena *a, const struct jsonr_value *root)
{
    AUTO_STRBUF first, second;
    struct jsonw w;
    const struct jsonr_value *again;
    strbuf_init(&first, 16 << 20);
    strbuf_init(&second, 16 << 20);
    jsonw_init(&w, &first);
    write_value(&w, root);
    CHECK(jsonw_done(&w) && !strbuf_failed(&first) && utf8_valid(strbuf_str(&first)));
    CHECK(jsonr_parse(a, strbuf_str(&first), &again, NULL) == ERR_OK);
    jsonw_init(&w, &second);
    write_value(&w, again);
    CHECK(str_eq(strbuf_str(&first), strbuf_str(&second)));
}

static void check_fields(const struct jsonr_value *root)
{
    struct body body = {.limit = 7};
    struct err err = ERR_INIT;
    enum err_code rc = jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, &body, &err);
    if (rc)
        check_error(rc, &err);
    else
        CHECK(body.sql.len >= 1 && body.sql.len <= 100 && body.limit >= 1 && body.limit <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a;
    struct err err = ERR_INIT;
    const struct jsonr_value *root = NULL;
    arena_init(&a, 16 << 20);
    enum err_code rc = jsonr_parse(&a, str_make(data, size), &root, &err);
    if (rc) {
        check_error(rc, &err);
        CHECK(root == NULL);
        return 0;
    }
    CHECK(utf8_valid(str_make(data, size)));
    check_fields(root);
    check_round_trip(&a, root);
    return 0;
}
