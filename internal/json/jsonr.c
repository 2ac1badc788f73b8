/* The tree of a body. After the strict scan cJSON parses a text in which the literals it would change are
 * marked: written as strings that begin with the byte 0xFF, which no valid text contains. \u0000, where it is
 * accepted, becomes the byte 0xFE. settle() then turns them into what they stand for, and refuses duplicate
 * names. The look-ups here compare names exactly;
 * cJSON's own ignore case in places. */
#include "json/jsonr.h"
#include "base/check.h"
#include "base/map.h"
#include "json/pointer.h"
#include "json/scan.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#define MARK     '\xff'
#define NUL_MARK '\xfe'

enum {
    TYPE_REAL = 1 << 16, /* the literal had a fraction or an exponent */
    TYPE_NUL = 1 << 17   /* a text with NUL bytes: its length is `valuedouble` */
};                       /* beside cJSON's own bits in `type` */

/* Where cJSON's allocations of this thread go. cJSON takes hooks only for the whole process. */
static _Thread_local struct arena *t_arena;

static void *hook_malloc(size_t size)
{
    return arena_alloc(t_arena, size);
}

static void hook_free(void *p)
{
    (void)p; /* the arena's release frees it */
}

static void hooks_install(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = hook_malloc, .free_fn = hook_free});
}

static const cJSON *node(const struct jsonr_value *v)
{
    CHECK(v != NULL);
    return (const cJSON *)(const void *)v;
}

static const struct jsonr_value *value(const cJSON *n)
{
    return (const struct jsonr_value *)(const void *)n;
}

static bool is_marked(const cJSON *n)
{
    return cJSON_IsString(n) && n->valuestring[0] == MARK;
}

/* Copies `text` with its changed numbers and NULs marked; ptr NULL past the arena's cap. */
static struct str mark(struct arena *a, struct str text, const struct scan_found *found)
{
    enum { MARK_BYTES = 3 };
    const struct str nul = S("\\u0000");
    size_t len = text.len + found->marks * MARK_BYTES - found->nuls * (nul.len - 1);
    char *out = arena_alloc(a, len);
    if (!out)
        return (struct str){NULL, 0};
    char *p = out;
    bool in_text = false;
    for (size_t i = 0, n; i < text.len; i += n) {
        struct str rest = str_slice(text, i, text.len);
        size_t number = in_text ? 0 : scan_number_length(rest);
        bool marked = number && scan_must_mark(str_slice(rest, 0, number));
        if (in_text && str_starts(rest, nul)) {
            *p++ = NUL_MARK;
            n = nul.len;
            continue;
        }
        n = number ? number : in_text && rest.ptr[0] == '\\' ? 2 : 1;
        in_text ^= rest.ptr[0] == '"';
        if (marked) {
            *p++ = '"';
            *p++ = MARK;
        }
        memcpy(p, rest.ptr, n);
        p += n;
        if (marked)
            *p++ = '"';
    }
    CHECK(p == out + len);
    return str_make(out, len);
}

/* The way from the root to a value. */
struct place {
    const struct place *up;
    const cJSON *n;
    size_t index;
};

static void place_pointer(struct strbuf *out, const struct place *at)
{
    if (!at->up)
        return;
    place_pointer(out, at->up);
    if (at->n->string)
        pointer_add_key(out, str_of(at->n->string));
    else
        pointer_add_index(out, at->index);
}

static enum err_code place_error(const struct place *at, const char *message, struct err *err)
{
    AUTO_STRBUF pointer;
    strbuf_init(&pointer, POINTER_TEXT_MAX);
    place_pointer(&pointer, at);
    return err_field(err, strbuf_cstr(&pointer), "%s", message);
}

/* The first member whose name came before, or NULL. Few names are compared in pairs; many go through a keyed
 * hash. */
static const cJSON *find_duplicate(const cJSON *object)
{
    enum { PAIRS_MAX = 12 };
    struct map seen;
    size_t count = 0;
    map_init(&seen);
    const cJSON *n;
    for (n = object->child; n; n = n->next) {
        if (count++ >= PAIRS_MAX)
            break;
        for (const cJSON *before = object->child; before != n; before = before->next)
            if (strcmp(before->string, n->string) == 0)
                return n;
    }
    if (!n)
        return NULL;
    for (n = object->child; n; n = n->next)
        if (map_put(&seen, str_of(n->string), &seen))
            break;
    map_release(&seen);
    return n;
}

static enum err_code settle_number(cJSON *n, const struct place *at, struct err *err)
{
    struct str number = str_of(n->valuestring + 1);
    if (!scan_is_real(number))
        return ERR_OK;
    double v = strtod(number.ptr, NULL);
    if (!isfinite(v))
        return place_error(at, "number is too large for a double; pass it as a string", err);
    n->type = cJSON_Number | TYPE_REAL;
    n->valuedouble = v;
    return ERR_OK;
}

static void settle_nul(cJSON *n)
{
    size_t len = strlen(n->valuestring);
    bool any = false;
    for (size_t i = 0; i < len; i++) {
        if (n->valuestring[i] != NUL_MARK)
            continue;
        n->valuestring[i] = '\0';
        any = true;
    }
    if (!any)
        return;
    n->type |= TYPE_NUL;
    n->valuedouble = (double)len;
}

/* Visits every value once; as deep as the scan allows. */
static enum err_code settle(const struct place *at, bool nuls, struct err *err)
{
    struct place below = {.up = at};
    if (cJSON_IsObject(at->n) && (below.n = find_duplicate(at->n)) != NULL)
        return place_error(&below, "is given twice", err);
    for (cJSON *n = at->n->child; n; n = n->next, below.index++) {
        enum err_code rc = ERR_OK;
        below.n = n;
        if (is_marked(n))
            rc = settle_number(n, &below, err);
        else if (n->child)
            rc = settle(&below, nuls, err);
        else if (nuls && cJSON_IsString(n))
            settle_nul(n);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static cJSON *build(struct arena *a, struct str text, const struct scan_found *found)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, hooks_install) == 0);
    if (found->marks || found->nuls)
        text = mark(a, text, found);
    if (!text.ptr)
        return NULL;
    t_arena = a;
    cJSON *root = cJSON_ParseWithLength(text.ptr, text.len);
    t_arena = NULL;
    return root;
}

static enum err_code parse(
    struct arena *a, struct str text, bool nul_ok, const struct jsonr_value **ret_root, struct err *err)
{
    struct scan_found found;
    enum err_code rc = scan_check(text, nul_ok, &found, err);
    if (rc)
        return rc;
    cJSON *root = build(a, text, &found);
    if (!root && arena_failed(a))
        return err_set(err, ERR_TOO_LARGE, "the JSON body has too many values; send it in smaller parts");
    if (!root)
        return err_set(err, ERR_INVALID, "the body is not valid JSON");
    const struct place top = {.n = root};
    if (cJSON_IsString(root) && !is_marked(root))
        settle_nul(root);
    else
        rc = is_marked(root) ? settle_number(root, &top, err) : settle(&top, found.nuls > 0, err);
    if (!rc)
        *ret_root = value(root);
    return rc;
}

enum err_code jsonr_parse(
    struct arena *a, struct str text, const struct jsonr_value **ret_root, struct err *err)
{
    return parse(a, text, false, ret_root, err);
}

enum err_code jsonr_parse_with_nul(
    struct arena *a, struct str text, const struct jsonr_value **ret_root, struct err *err)
{
    return parse(a, text, true, ret_root, err);
}

enum jsonr_kind jsonr_kind(const struct jsonr_value *v)
{
    const cJSON *n = node(v);
    switch (n->type & 0xff) {
    case cJSON_NULL: return JSONR_NULL;
    case cJSON_False:
    case cJSON_True: return JSONR_BOOL;
    case cJSON_Number: return n->type & TYPE_REAL ? JSONR_REAL : JSONR_INT;
    case cJSON_String: return is_marked(n) ? JSONR_INT : JSONR_TEXT;
    case cJSON_Array: return JSONR_ARRAY;
    case cJSON_Object: return JSONR_OBJECT;
    default: UNREACHABLE("cJSON makes no other type when it parses");
    }
}

const char *jsonr_kind_name(enum jsonr_kind kind)
{
    static const char *const NAMES[] = {
        [JSONR_NULL] = "null",
        [JSONR_BOOL] = "boolean",
        [JSONR_INT] = "integer",
        [JSONR_REAL] = "real number",
        [JSONR_TEXT] = "text",
        [JSONR_ARRAY] = "array",
        [JSONR_OBJECT] = "object",
    };
    CHECK(kind <= JSONR_OBJECT);
    return NAMES[kind];
}

bool jsonr_bool(const struct jsonr_value *v)
{
    CHECK(jsonr_kind(v) == JSONR_BOOL);
    return cJSON_IsTrue(node(v));
}

int64_t jsonr_int(const struct jsonr_value *v)
{
    const cJSON *n = node(v);
    CHECK(jsonr_kind(v) == JSONR_INT);
    if (!is_marked(n))
        return (int64_t)n->valuedouble;
    int64_t number;
    CHECK(str_to_i64(str_of(n->valuestring + 1), INT64_MIN, INT64_MAX, &number));
    return number;
}

double jsonr_real(const struct jsonr_value *v)
{
    if (jsonr_kind(v) == JSONR_INT)
        return (double)jsonr_int(v);
    CHECK(jsonr_kind(v) == JSONR_REAL);
    return node(v)->valuedouble;
}

struct str jsonr_text(const struct jsonr_value *v)
{
    CHECK(jsonr_kind(v) == JSONR_TEXT);
    const cJSON *n = node(v);
    return n->type & TYPE_NUL ? str_make(n->valuestring, (size_t)n->valuedouble) : str_of(n->valuestring);
}

const struct jsonr_value *jsonr_first(const struct jsonr_value *v)
{
    CHECK(jsonr_kind(v) >= JSONR_ARRAY);
    return value(node(v)->child);
}

const struct jsonr_value *jsonr_next(const struct jsonr_value *v)
{
    return value(node(v)->next);
}

size_t jsonr_count(const struct jsonr_value *v)
{
    size_t count = 0;
    for (const struct jsonr_value *n = jsonr_first(v); n; n = jsonr_next(n))
        count++;
    return count;
}

struct str jsonr_name(const struct jsonr_value *v)
{
    CHECK(node(v)->string != NULL);
    return str_of(node(v)->string);
}

const struct jsonr_value *jsonr_member(const struct jsonr_value *v, struct str name)
{
    CHECK(jsonr_kind(v) == JSONR_OBJECT);
    const struct jsonr_value *n = jsonr_first(v);
    while (n && !str_eq(jsonr_name(n), name))
        n = jsonr_next(n);
    return n;
}
