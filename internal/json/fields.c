/* Field tables: checks every member against its row first, then fills the struct, so that a refused body
 * leaves it untouched. */
#include "base/check.h"
#include "json/jsonr.h"
#include "json/pointer.h"

static const struct jsonr_value *field_value(const struct jsonr_value *root, const struct jsonr_field *f)
{
    const struct jsonr_value *v = jsonr_member(root, str_of(f->name));
    bool absent = v && (f->flags & JF_NULL_OK) && jsonr_kind(v) == JSONR_NULL;
    return absent ? NULL : v;
}

static void add_range(struct strbuf *out, const struct jsonr_field *f, const char *of, const char *unit)
{
    long long min = f->min, max = f->max;
    if (min == 0 && max == 0)
        return;
    strbuf_add_char(out, ' ');
    if (max == INT64_MAX)
        strbuf_addf(out, "%sat least %lld%s", of, min, unit);
    else if (min == (f->type == JF_INT ? INT64_MIN : 0))
        strbuf_addf(out, "%sat most %lld%s", of, max, unit);
    else
        strbuf_addf(out, "%s%lld to %lld%s", *of ? of : "from ", min, max, unit);
}

/* What would pass, in words. */
static void add_expected(struct strbuf *out, const struct jsonr_field *f)
{
    static const char *const WORDS[] = {
        [JF_TEXT] = "text",
        [JF_INT] = "an integer",
        [JF_BOOL] = "true or false",
        [JF_ARRAY] = "an array",
        [JF_OBJECT] = "an object",
        [JF_ANY] = "any value",
    };
    strbuf_add_cstr(out, WORDS[f->type]);
    if (f->type == JF_TEXT)
        add_range(out, f, "of ", " bytes");
    if (f->type == JF_INT)
        add_range(out, f, "", "");
    if (f->type == JF_ARRAY)
        add_range(out, f, "of ", " elements");
    if (f->flags & JF_NULL_OK)
        strbuf_add_cstr(out, " or null");
}

static bool kind_fits(enum jsonr_type type, enum jsonr_kind kind)
{
    static const enum jsonr_kind KINDS[] = {[JF_TEXT] = JSONR_TEXT,
        [JF_INT] = JSONR_INT,
        [JF_BOOL] = JSONR_BOOL,
        [JF_ARRAY] = JSONR_ARRAY,
        [JF_OBJECT] = JSONR_OBJECT};
    return type == JF_ANY || KINDS[type] == kind;
}

/* The number that min and max bound. */
static int64_t field_measure(const struct jsonr_field *f, const struct jsonr_value *v)
{
    switch (f->type) {
    case JF_TEXT: return (int64_t)jsonr_text(v).len;
    case JF_INT: return jsonr_int(v);
    case JF_ARRAY: return (int64_t)jsonr_count(v);
    default: return f->min;
    }
}

static void add_got(struct strbuf *out, const struct jsonr_field *f, const struct jsonr_value *v)
{
    static const char *const UNITS[] = {
        [JF_TEXT] = " bytes", [JF_INT] = "", [JF_BOOL] = "", [JF_ARRAY] = " elements"};
    if (!kind_fits(f->type, jsonr_kind(v))) {
        strbuf_addf(out, "; got %s", jsonr_kind_name(jsonr_kind(v)));
    } else {
        CHECK(f->type <= JF_ARRAY); /* only these have bounds */
        strbuf_addf(out, "; got %lld%s", (long long)field_measure(f, v), UNITS[f->type]);
    }
}

/* `v` is NULL when a required member is missing. */
static enum err_code field_refuse(
    const char *at, const struct jsonr_field *f, const struct jsonr_value *v, struct err *err)
{
    AUTO_STRBUF pointer, message;
    strbuf_init(&pointer, POINTER_TEXT_MAX);
    strbuf_init(&message, ERR_MESSAGE_MAX);
    strbuf_add_cstr(&pointer, at);
    pointer_add_key(&pointer, str_of(f->name));
    strbuf_add_cstr(&message, v ? "must be " : "is required: ");
    add_expected(&message, f);
    if (v)
        add_got(&message, f, v);
    return err_field(err, strbuf_cstr(&pointer), "%s", strbuf_cstr(&message));
}

static enum err_code field_check(
    const char *at, const struct jsonr_field *f, const struct jsonr_value *v, struct err *err)
{
    if (!v)
        return f->flags & JF_REQUIRED ? field_refuse(at, f, v, err) : ERR_OK;
    if (!kind_fits(f->type, jsonr_kind(v)))
        return field_refuse(at, f, v, err);
    if (f->min == 0 && f->max == 0)
        return ERR_OK;
    int64_t measure = field_measure(f, v);
    return measure < f->min || measure > f->max ? field_refuse(at, f, v, err) : ERR_OK;
}

static void field_store(const struct jsonr_field *f, const struct jsonr_value *v, void *out)
{
    void *member = (char *)out + f->offset;
    switch (f->type) {
    case JF_TEXT: *(struct str *)member = jsonr_text(v); break;
    case JF_INT: *(int64_t *)member = jsonr_int(v); break;
    case JF_BOOL: *(bool *)member = jsonr_bool(v); break;
    case JF_ARRAY:
    case JF_OBJECT:
    case JF_ANY: *(const struct jsonr_value **)member = v; break;
    }
}

/* The known name that `name` was perhaps meant to be, or NULL. */
static const char *nearest_field(struct str name, const struct jsonr_field *fields, size_t field_count)
{
    const char *best = NULL;
    unsigned best_distance = 3; /* more than two slips is another word */
    for (size_t i = 0; i < field_count; i++) {
        unsigned distance = str_distance(name, str_of(fields[i].name));
        if (distance < best_distance && (size_t)distance * 2 <= name.len) {
            best_distance = distance;
            best = fields[i].name;
        }
    }
    return best;
}

enum err_code jsonr_check_names(const struct jsonr_value *root, const char *at,
    const struct jsonr_field *fields, size_t field_count, struct err *err)
{
    for (const struct jsonr_value *v = jsonr_first(root); v; v = jsonr_next(v)) {
        size_t i = 0;
        while (i < field_count && !str_eq(jsonr_name(v), str_of(fields[i].name)))
            i++;
        if (i < field_count)
            continue;
        AUTO_STRBUF pointer;
        strbuf_init(&pointer, POINTER_TEXT_MAX);
        strbuf_add_cstr(&pointer, at);
        pointer_add_key(&pointer, jsonr_name(v));
        const char *near = nearest_field(jsonr_name(v), fields, field_count);
        return err_field(err, strbuf_cstr(&pointer), "is not a known member%s%s%s",
            near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    return ERR_OK;
}

enum err_code jsonr_fields(const struct jsonr_value *root, const char *at, const struct jsonr_field *fields,
    size_t field_count, enum jsonr_unknown unknown, void *out, struct err *err)
{
    if (jsonr_kind(root) != JSONR_OBJECT)
        return err_field(err, at, "%s be an object; got %s", *at ? "must" : "the body must",
            jsonr_kind_name(jsonr_kind(root)));
    bool refuse = unknown == JSONR_UNKNOWN_REFUSE;
    enum err_code rc = refuse ? jsonr_check_names(root, at, fields, field_count, err) : ERR_OK;
    for (size_t i = 0; !rc && i < field_count; i++)
        rc = field_check(at, &fields[i], field_value(root, &fields[i]), err);
    for (size_t i = 0; !rc && i < field_count; i++) {
        const struct jsonr_value *v = field_value(root, &fields[i]);
        if (v)
            field_store(&fields[i], v, out);
    }
    return rc;
}
