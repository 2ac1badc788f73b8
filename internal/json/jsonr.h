/* Reading JSON that strangers send. cJSON builds the tree; a strict scan before it refuses what cJSON would
 * let through: invalid UTF-8, bad grammar, trailing text, raw control characters, \u0000, lone surrogates,
 * duplicate keys, more than JSONR_DEPTH_MAX levels. Integers are exact within int64 (cJSON alone would keep a
 * double); a literal with a fraction or an exponent is a real, also when its value is whole. Errors are
 * ERR_INVALID and name the JSON pointer (RFC 6901) of the field. All memory comes from the arena given to
 * jsonr_parse; values stay valid until it is released. Any thread. */
#ifndef JSON_JSONR_H
#define JSON_JSONR_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define JSONR_DEPTH_MAX 32

struct jsonr_value; /* opaque */

enum jsonr_kind { JSONR_NULL, JSONR_BOOL, JSONR_INT, JSONR_REAL, JSONR_TEXT, JSONR_ARRAY, JSONR_OBJECT };

MUST_CHECK enum err_code jsonr_parse(
    struct arena *a, struct str text, const struct jsonr_value **ret_root, struct err *err);
/* For what engines of ours say of their rows: texts in a database may hold a NUL, so \u0000 is a byte like
 * others there. In names it is refused all the same. */
MUST_CHECK enum err_code jsonr_parse_with_nul(
    struct arena *a, struct str text, const struct jsonr_value **ret_root, struct err *err);

enum jsonr_kind jsonr_kind(const struct jsonr_value *v);
/* Each of these asserts the kind. */
bool jsonr_bool(const struct jsonr_value *v);
int64_t jsonr_int(const struct jsonr_value *v);
double jsonr_real(const struct jsonr_value *v);     /* JSONR_INT is converted */
struct str jsonr_text(const struct jsonr_value *v); /* NUL-terminated behind its length */
/* Arrays and objects: first child or NULL, next sibling or NULL, member count, member by exact name or NULL.
 */
const struct jsonr_value *jsonr_first(const struct jsonr_value *v);
const struct jsonr_value *jsonr_next(const struct jsonr_value *v);
size_t jsonr_count(const struct jsonr_value *v);
struct str jsonr_name(const struct jsonr_value *v); /* member name of a child of an object */
const struct jsonr_value *jsonr_member(const struct jsonr_value *v, struct str name);

/* Field tables: a struct is filled from an object, one row a member. */
enum jsonr_type {
    JF_TEXT,   /* struct str                      min..max: length in bytes */
    JF_INT,    /* int64_t                         min..max: value */
    JF_BOOL,   /* bool */
    JF_ARRAY,  /* const struct jsonr_value *      min..max: count */
    JF_OBJECT, /* const struct jsonr_value * */
    JF_ANY,    /* const struct jsonr_value *      any kind, null too */
};

enum jsonr_flags {
    JF_REQUIRED = 1,
    JF_NULL_OK = 2, /* null means the same as absent: the member of the struct is left as it was */
};

struct jsonr_field {
    const char *name;
    enum jsonr_type type;
    size_t offset;
    unsigned flags;
    int64_t min, max; /* both 0: no bound */
};

/* A row of a table whose names alone count. */
#define JSONR_NAME(name)                                                                                     \
    {                                                                                                        \
        (name), JF_ANY, 0, 0, 0, 0                                                                           \
    }

enum jsonr_unknown { JSONR_UNKNOWN_IGNORE, JSONR_UNKNOWN_REFUSE };

/* Fills `out` from `root`, which must be an object. Members that are absent stay as they were, so set
 * defaults first. `at` is the pointer of root itself ("" for a body). The error says which type and range
 * would pass. */
MUST_CHECK enum err_code jsonr_fields(const struct jsonr_value *root, const char *at,
    const struct jsonr_field *fields, size_t field_count, enum jsonr_unknown unknown, void *out,
    struct err *err);

/* Members of `root`, an object, that are none of `fields` (their names alone count) are refused. */
MUST_CHECK enum err_code jsonr_check_names(const struct jsonr_value *root, const char *at,
    const struct jsonr_field *fields, size_t field_count, struct err *err);

const char *jsonr_kind_name(enum jsonr_kind kind); /* "null", "boolean", "integer", … for messages */

#endif
