/* Masks of columns, of files and of a server. */
#include "base/fs.h"
#include "policy.h"

#define BODY_BYTES (16 << 20)

struct wish {
    struct str table, column, kind;
    const struct jsonr_value *options;
};

static const struct jsonr_field FIELDS[] = {
    {"table", JF_TEXT, offsetof(struct wish, table), JF_REQUIRED, 1, 1000},
    {"column", JF_TEXT, offsetof(struct wish, column), JF_REQUIRED, 1, 1000},
    {"kind", JF_TEXT, offsetof(struct wish, kind), JF_REQUIRED, 1, 1000},
    {"options", JF_OBJECT, offsetof(struct wish, options), JF_NULL_OK, 0, 0},
};

static enum err_code read_one(struct arena *a, const struct jsonr_value *v, struct policy_mask ***tail,
    struct policy_mask **ret, struct err *err)
{
    struct wish in = {.options = NULL};
    struct policy_mask *m = *ret = ARENA_NEW(a, struct policy_mask);
    enum err_code code = jsonr_fields(v, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, &in, err);

    if (!code)
        code = mask_read(in.kind, in.options, "", &m->mask, err);
    m->table = in.table;
    m->column = in.column;
    **tail = m;
    *tail = &m->next;
    return code;
}

struct policy_mask *policy_mask_of(const struct policy *in, const struct policy_mask *like)
{
    struct policy_mask *m = in->masks;

    while (m && !(str_eq_nocase(m->table, like->table) && str_eq_nocase(m->column, like->column)))
        m = m->next;
    return m;
}

enum err_code policy_read_masks_dir(struct arena *a, const char *dir, struct policy *ret, struct err *err)
{
    struct policy_file *f;
    struct policy_mask **tail = &ret->masks, *m;
    const struct jsonr_value *root;
    struct err why = ERR_INIT;
    enum err_code code = policy_list_files(a, dir, &f, err);

    ret->says_masks = fs_exists(dir);
    for (; f && !code; f = f->next) {
        code = policy_read_json(a, dir, f->name, &root, err);
        if (code)
            return code;
        code = read_one(a, root, &tail, &m, &why);
        if (code)
            return err_set(err, code, STR_FMT ": %s", STR_ARG(f->name), why.message);
        m->file = f->name;
        if (policy_mask_of(ret, m) != m)
            code = err_set(err, ERR_INVALID, STR_FMT ": " STR_FMT " masks that column, too", STR_ARG(f->name),
                STR_ARG(policy_mask_of(ret, m)->file));
    }
    return code;
}

enum err_code policy_read_masks_server(struct remote *r, struct policy *ret, struct err *err)
{
    const struct jsonr_value *data, *list = NULL;
    struct policy_mask **tail = &ret->masks, *m;
    enum err_code code = remote_do(r, "GET", "/masks", STR_EMPTY, &data, err);

    if (!code && jsonr_kind(data) == JSONR_OBJECT)
        list = jsonr_member(data, S("masks"));
    if (!code && (!list || jsonr_kind(list) != JSONR_ARRAY))
        return err_set(err, ERR_INTERNAL, "the server answered with no list of masks");
    for (const struct jsonr_value *v = code ? NULL : jsonr_first(list); v && !code; v = jsonr_next(v))
        code = read_one(&r->arena, v, &tail, &m, err);
    const struct jsonr_value *problem = code ? NULL : jsonr_member(data, S("problem"));
    if (problem && jsonr_kind(problem) == JSONR_TEXT)
        ret->mask_problem = jsonr_text(problem);
    return code;
}

static void put_mask(struct jsonw *w, const struct policy_mask *m)
{
    jsonw_object(w);
    JSONW_TEXT(w, "table", m->table);
    JSONW_TEXT(w, "column", m->column);
    JSONW_CSTR(w, "kind", mask_kind_name(m->mask.kind));
    jsonw_key(w, "options");
    mask_write_options(w, &m->mask);
    jsonw_object_end(w);
}

void policy_write_mask(struct strbuf *out, const struct policy_mask *m)
{
    struct jsonw w;

    jsonw_init(&w, out);
    put_mask(&w, m);
    strbuf_add_char(out, '\n');
}

enum err_code policy_send_masks(struct remote *r, const struct policy *files, struct err *err)
{
    AUTO_STRBUF body;
    struct jsonw w;

    strbuf_init(&body, BODY_BYTES);
    jsonw_init(&w, &body);
    jsonw_object(&w);
    jsonw_key(&w, "masks");
    jsonw_array(&w);
    for (const struct policy_mask *m = files->masks; m; m = m->next)
        put_mask(&w, m);
    jsonw_array_end(&w);
    jsonw_object_end(&w);
    if (strbuf_failed(&body))
        return err_set(err, ERR_TOO_LARGE, "the files are too large");
    return remote_do(r, "PUT", "/masks", strbuf_str(&body), NULL, err);
}

struct str policy_mask_name(struct arena *a, const struct policy_mask *m)
{
    return arena_printf(a, STR_FMT "." STR_FMT, STR_ARG(m->table), STR_ARG(m->column));
}

struct str policy_mask_title(struct arena *a, const struct policy_mask *m)
{
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, BODY_BYTES);
    strbuf_addf(&out, "%s ", mask_kind_name(m->mask.kind));
    jsonw_init(&w, &out);
    mask_write_options(&w, &m->mask);
    return arena_copy(a, strbuf_str(&out));
}
