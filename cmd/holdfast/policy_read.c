/* Rules and invariants from files and from a server. */
#include "base/fs.h"
#include "base/list.h"
#include "policy.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#define FILE_BYTES (1 << 20)
#define FILES_MAX  10000
#define ORDER_MAX  INT64_C(999999999)
#define SUFFIX     ".json"

static const struct jsonr_field RULE_FIELDS[] = {
    {"tableGlob", JF_TEXT, offsetof(struct policy_rule, table_glob), JF_NULL_OK, 0, 0},
    {"when", JF_TEXT, offsetof(struct policy_rule, when), JF_NULL_OK, 0, 0},
    {"action", JF_TEXT, offsetof(struct policy_rule, action), JF_REQUIRED, 0, 0},
    {"approvals", JF_INT, offsetof(struct policy_rule, approvals), JF_NULL_OK, 0, 0},
    {"approverRole", JF_TEXT, offsetof(struct policy_rule, approver_role), JF_NULL_OK, 0, 0},
    {"note", JF_TEXT, offsetof(struct policy_rule, note), JF_NULL_OK, 0, 0},
    /* The server's alone. */
    {"id", JF_TEXT, offsetof(struct policy_rule, id), JF_REQUIRED, 0, 0},
    {"order", JF_INT, offsetof(struct policy_rule, order), JF_REQUIRED, 0, 0},
};
enum { RULE_FILE_FIELDS = ARRAY_LEN(RULE_FIELDS) - 2 };

static const struct jsonr_field INVARIANT_FIELDS[] = {
    {"name", JF_TEXT, offsetof(struct policy_invariant, name), JF_NULL_OK, 0, 0},
    {"sql", JF_TEXT, offsetof(struct policy_invariant, query), JF_REQUIRED, 0, 0},
    {"note", JF_TEXT, offsetof(struct policy_invariant, note), JF_NULL_OK, 0, 0},
    {"id", JF_TEXT, offsetof(struct policy_invariant, id), JF_REQUIRED, 0, 0},
};
enum { INVARIANT_FILE_FIELDS = ARRAY_LEN(INVARIANT_FIELDS) - 1 };

static struct policy_rule *new_rule(struct arena *a)
{
    struct policy_rule *r = ARENA_NEW(a, struct policy_rule);

    r->approvals = 1;
    return r;
}

/* --- Files --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err_code take_names(struct arena *a, DIR *dir, char **names, size_t *count, struct err *err)
{
    struct dirent *entry;

    while (errno = 0, (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || !str_ends(str_of(entry->d_name), S(SUFFIX)))
            continue;
        if (*count == FILES_MAX)
            return err_set(err, ERR_TOO_LARGE, "there are more than %d files", FILES_MAX);
        names[(*count)++] = arena_strdup(a, entry->d_name);
    }
    return errno ? err_errno(err, ERR_IO, "reading a directory") : ERR_OK;
}

enum err_code policy_list_files(struct arena *a, const char *dir, struct policy_file **ret, struct err *err)
{
    DIR *open = opendir(dir);
    size_t count = 0;

    *ret = NULL;
    if (!open && errno == ENOENT)
        return ERR_OK;
    if (!open)
        return err_errno(err, ERR_IO, "opening a directory");
    char **names = arena_need(a, FILES_MAX * sizeof *names);
    enum err_code code = take_names(a, open, names, &count, err);
    (void)closedir(open); /* only read */
    if (code)
        return code;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = count; i-- > 0;) {
        struct policy_file *f = ARENA_NEW(a, struct policy_file);
        *f = (struct policy_file){.next = *ret, .name = str_of(names[i])};
        *ret = f;
    }
    return ERR_OK;
}

/* What is wrong stands in a file; its name is what helps. */
static enum err_code in_file(struct str name, enum err_code code, const struct err *why, struct err *err)
{
    return err_set(
        err, code == ERR_INVALID ? ERR_INVALID : code, STR_FMT ": %s", STR_ARG(name), why->message);
}

enum err_code policy_read_json(
    struct arena *a, const char *dir, struct str name, const struct jsonr_value **ret, struct err *err)
{
    AUTO_STRBUF text;
    char path[FS_PATH_MAX];
    struct err why = ERR_INIT;

    strbuf_init(&text, FILE_BYTES);
    fs_join(path, dir, name.ptr);
    enum err_code code = fs_read_all(path, FILE_BYTES, &text, &why);
    struct str kept = code ? STR_EMPTY : arena_copy(a, strbuf_str(&text));
    if (!code)
        code = jsonr_parse(a, kept, ret, &why);
    return code ? in_file(name, code, &why, err) : ERR_OK;
}

static enum err_code read_order(struct str file, int64_t *ret, struct err *err)
{
    size_t digits = strspn(file.ptr, "0123456789");

    if (file.ptr[digits] == '-' && str_to_i64(str_slice(file, 0, digits), 0, ORDER_MAX, ret))
        return ERR_OK;
    return err_set(err, ERR_INVALID,
        STR_FMT ": the name of a rule's file begins with its order: \"100-many-rows.json\"", STR_ARG(file));
}

static enum err_code read_rule_file(
    struct arena *a, const char *dir, struct str file, struct policy_rule **ret, struct err *err)
{
    const struct jsonr_value *root;
    struct err why = ERR_INIT;
    struct policy_rule *r = *ret = new_rule(a);
    enum err_code code = read_order(file, &r->order, err);

    if (!code)
        code = policy_read_json(a, dir, file, &root, err);
    if (code)
        return code;
    r->file = file;
    code = jsonr_fields(root, "", RULE_FIELDS, RULE_FILE_FIELDS, JSONR_UNKNOWN_REFUSE, r, &why);
    return code ? in_file(file, code, &why, err) : ERR_OK;
}

/* Behind those of the same order, which stand in the order of their names. */
static void insert_rule(struct policy_rule **at, struct policy_rule *r)
{
    while (*at && (*at)->order <= r->order)
        at = &(*at)->next;
    r->next = *at;
    *at = r;
}

static enum err_code expect_free(
    const struct policy_rule *others, const struct policy_rule *r, struct err *err)
{
    for (; others; others = others->next)
        if (others->order == r->order)
            return err_set(err, ERR_INVALID, STR_FMT ": " STR_FMT " has that order, too", STR_ARG(r->file),
                STR_ARG(others->file));
    return ERR_OK;
}

static enum err_code read_rule_files(struct arena *a, const char *dir, struct policy *ret, struct err *err)
{
    struct policy_file *files;
    struct policy_rule *rule;
    enum err_code code = policy_list_files(a, dir, &files, err);

    for (; files && !code; files = files->next) {
        code = read_rule_file(a, dir, files->name, &rule, err);
        if (!code)
            code = expect_free(ret->rules, rule, err);
        if (!code)
            insert_rule(&ret->rules, rule);
    }
    return code;
}

static enum err_code read_invariant_files(
    struct arena *a, const char *dir, struct policy *ret, struct err *err)
{
    struct policy_file *f;
    struct policy_invariant **tail = &ret->invariants;
    const struct jsonr_value *root;
    struct err why = ERR_INIT;
    enum err_code code = policy_list_files(a, dir, &f, err);

    for (; f && !code; f = f->next) {
        struct policy_invariant *i = *tail = ARENA_NEW(a, struct policy_invariant);
        *i = (struct policy_invariant){
            .file = f->name, .name = str_slice(f->name, 0, f->name.len - strlen(SUFFIX))};
        tail = &i->next;
        code = policy_read_json(a, dir, f->name, &root, err);
        if (code)
            return code;
        code = jsonr_fields(root, "", INVARIANT_FIELDS, INVARIANT_FILE_FIELDS, JSONR_UNKNOWN_REFUSE, i, &why);
        if (code)
            return in_file(f->name, code, &why, err);
    }
    return code;
}

enum err_code policy_read_dir(struct arena *a, const char *dir, struct policy *ret, struct err *err)
{
    char path[FS_PATH_MAX];

    *ret = (struct policy){.rules = NULL};
    if (!fs_exists(dir))
        return err_set(err, ERR_NOT_FOUND, "there is no directory %s", dir);
    fs_join(path, dir, POLICY_RULES_DIR);
    enum err_code code = read_rule_files(a, path, ret, err);
    fs_join(path, dir, POLICY_INVARIANTS_DIR);
    if (!code)
        code = read_invariant_files(a, path, ret, err);
    fs_join(path, dir, POLICY_MASKS_DIR);
    return code ? code : policy_read_masks_dir(a, path, ret, err);
}

void policy_name_by_file(struct policy *p)
{
    for (struct policy_rule *r = p->rules; r; r = r->next)
        r->id = str_slice(r->file, 0, r->file.len - strlen(SUFFIX));
}

/* --- A server --- */

static enum err_code expect_list(const struct jsonr_value *data, struct err *err)
{
    return jsonr_kind(data) == JSONR_ARRAY ? ERR_OK
                                           : err_set(err, ERR_INTERNAL, "the server answered with no list");
}

static enum err_code read_rules(struct remote *r, struct policy *ret, struct err *err)
{
    const struct jsonr_value *data;
    enum err_code code = remote_do(r, "GET", "/approval-rules", STR_EMPTY, &data, err);

    if (!code)
        code = expect_list(data, err);
    for (const struct jsonr_value *v = code ? NULL : jsonr_first(data); v && !code; v = jsonr_next(v)) {
        struct policy_rule *rule = new_rule(&r->arena);
        code = jsonr_fields(v, "", RULE_FIELDS, ARRAY_LEN(RULE_FIELDS), JSONR_UNKNOWN_IGNORE, rule, err);
        if (!code)
            insert_rule(&ret->rules, rule);
    }
    return code;
}

static enum err_code read_invariants(struct remote *r, struct policy *ret, struct err *err)
{
    const struct jsonr_value *data;
    struct policy_invariant **tail = &ret->invariants;
    enum err_code code = remote_do(r, "GET", "/invariants", STR_EMPTY, &data, err);

    if (!code)
        code = expect_list(data, err);
    for (const struct jsonr_value *v = code ? NULL : jsonr_first(data); v && !code; v = jsonr_next(v)) {
        struct policy_invariant *i = *tail = ARENA_NEW(&r->arena, struct policy_invariant);
        tail = &i->next;
        code =
            jsonr_fields(v, "", INVARIANT_FIELDS, ARRAY_LEN(INVARIANT_FIELDS), JSONR_UNKNOWN_IGNORE, i, err);
    }
    return code;
}

enum err_code policy_read_server(struct remote *r, struct policy *ret, struct err *err)
{
    *ret = (struct policy){.rules = NULL};
    enum err_code code = read_rules(r, ret, err);

    if (!code)
        code = read_invariants(r, ret, err);
    return code ? code : policy_read_masks_server(r, ret, err);
}
