/* The kinds of masks and their options. */
#include "engine/mask.h"

static const struct {
    const char *name;
    bool unique, text;
} KINDS[] = {
    [MASK_KEEP] = {"keep", true, false},
    [MASK_NULL] = {"null", false, false},
    [MASK_HASH] = {"hash", true, false},
    [MASK_SHAPE] = {"shape", true, false},
    [MASK_NAME] = {"name", false, true},
    [MASK_EMAIL] = {"email", true, true},
    [MASK_DATE] = {"date", true, false},
};

static const char *const PARTS[] = {"full", "first", "last"};

enum { DOMAIN_MAX = 190, DAYS_MIN = 30, DAYS_MAX = 3650, DAYS_DEFAULT = 365 };

const char *mask_kind_name(enum mask_kind kind)
{
    return KINDS[kind].name;
}

bool mask_is_unique(const struct mask *m)
{
    return KINDS[m->kind].unique;
}

bool mask_makes_text(const struct mask *m)
{
    return KINDS[m->kind].text;
}

bool mask_eq(const struct mask *a, const struct mask *b)
{
    return a->kind == b->kind && a->part == b->part && a->max_days == b->max_days &&
           str_eq(a->domain, b->domain);
}

struct options {
    struct str part, domain;
    int64_t max_days;
};

/* Each kind takes its own. */
static const struct jsonr_field OPTIONS[MASK_KIND_COUNT] = {
    [MASK_NAME] = {"part", JF_TEXT, offsetof(struct options, part), JF_NULL_OK, 1, 10},
    [MASK_EMAIL] = {"domain", JF_TEXT, offsetof(struct options, domain), JF_NULL_OK, 1, DOMAIN_MAX},
    [MASK_DATE] = {"maxDays", JF_INT, offsetof(struct options, max_days), JF_NULL_OK, DAYS_MIN, DAYS_MAX},
};

/* Letters, digits and single hyphens inside, dots between: in lower case, for that is how addresses compare.
 */
static bool is_domain(struct str s)
{
    bool inside = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!word && (!inside || (c != '.' && c != '-')))
            return false;
        inside = word;
    }
    return inside;
}

static enum err_code take(const struct options *in, const char *at, struct mask *ret, struct err *err)
{
    char pointer[80];
    int part = 0;
    while (part < MASK_PART_COUNT && !str_eq(in->part, str_of(PARTS[part])))
        part++;
    str_print_cut(pointer, sizeof pointer, "%s/options/part", at);
    if (part == MASK_PART_COUNT)
        return err_field(err, pointer, "must be full, first or last");
    str_print_cut(pointer, sizeof pointer, "%s/options/domain", at);
    if (in->domain.len && !is_domain(in->domain))
        return err_field(err, pointer, "must be a domain in lower case, example.com for one");
    ret->part = (enum mask_part)part;
    ret->domain = in->domain;
    ret->max_days = in->max_days;
    return ERR_OK;
}

enum err_code mask_read(
    struct str kind, const struct jsonr_value *options, const char *at, struct mask *ret, struct err *err)
{
    char pointer[80];
    int k = 0;
    while (k < MASK_KIND_COUNT && !str_eq(kind, str_of(KINDS[k].name)))
        k++;
    str_print_cut(pointer, sizeof pointer, "%s/kind", at);
    if (k == MASK_KIND_COUNT)
        return err_field(err, pointer, "must be hash, shape, null, name, email, date or keep");
    struct options in = {.part = str_of(PARTS[MASK_FULL]),
        .domain = k == MASK_EMAIL ? S("example.com") : STR_EMPTY,
        .max_days = k == MASK_DATE ? DAYS_DEFAULT : 0};
    str_print_cut(pointer, sizeof pointer, "%s/options", at);
    enum err_code code = ERR_OK;
    if (options)
        code = jsonr_fields(
            options, pointer, &OPTIONS[k], OPTIONS[k].name ? 1 : 0, JSONR_UNKNOWN_REFUSE, &in, err);
    ret->kind = (enum mask_kind)k;
    return code ? code : take(&in, at, ret, err);
}

void mask_write_options(struct jsonw *w, const struct mask *m)
{
    jsonw_object(w);
    if (m->kind == MASK_NAME)
        JSONW_CSTR(w, "part", PARTS[m->part]);
    if (m->kind == MASK_EMAIL)
        JSONW_TEXT(w, "domain", m->domain);
    if (m->kind == MASK_DATE)
        JSONW_INT(w, "maxDays", m->max_days);
    jsonw_object_end(w);
}
