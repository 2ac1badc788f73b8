/* holdfast policy pull: a database's rules, invariants and masks become files. */
#include "base/fs.h"
#include "base/slug.h"
#include "policy.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLUG_CHARS 40

struct pull_options {
    struct remote_options remote;
    const char *dir;
    bool json;
};

static const struct option_spec OPTIONS[] = {
    REMOTE_OPTIONS(struct pull_options),
    POLICY_DIR_OPTION(struct pull_options, "The directory of the files; it is made when it does not exist"),
    CLI_OPTION_JSON(struct pull_options, "Prints an array of what was written and removed, for scripts"),
};
static const struct option_command PULL = {
    .name = "policy pull",
    .summary = "writes a database's rules, invariants and masks into files",
    .about = "Makes DIR/rules, DIR/invariants and DIR/masks what the database has: a file each, rules named "
             "by order "
             "and note. "
             "A file that stays keeps its name, one that is the same is not touched, and one whose rule the "
             "database does not have is removed: commit before.",
    .example = "  HOLDFAST_TOKEN=psql_live_… holdfast policy pull --database acme/main --dir policy\n",
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
};

struct pulling {
    const struct pull_options *o;
    struct arena *a;
    struct strbuf *out;
    struct jsonw json;
    unsigned changes;
};

static void tell(struct pulling *p, const char *verb, const char *folder, struct str file)
{
    p->changes++;
    if (!p->o->json) {
        strbuf_addf(p->out, "%-8s %s/%s/" STR_FMT "\n", verb, p->o->dir, folder, STR_ARG(file));
        return;
    }
    jsonw_object(&p->json);
    JSONW_CSTR(&p->json, "did", verb);
    JSONW_TEXT(&p->json, "file", arena_printf(p->a, "%s/" STR_FMT, folder, STR_ARG(file)));
    jsonw_object_end(&p->json);
}

static void folder_path(const struct pulling *p, const char *folder, char out[FS_PATH_MAX])
{
    fs_join(out, p->o->dir, folder);
}

static enum err_code write_file(
    struct pulling *p, const char *folder, struct str file, struct str text, bool known, struct err *err)
{
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];

    folder_path(p, folder, dir);
    fs_join(path, dir, file.ptr);
    enum err_code code = fs_mkdir_p(dir, 0777, err);
    if (!code)
        code = fs_write_atomic(path, text, 0666, err);
    if (!code)
        tell(p, known ? "changed" : "wrote", folder, file);
    return code;
}

static enum err_code remove_file(struct pulling *p, const char *folder, struct str file, struct err *err)
{
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];

    folder_path(p, folder, dir);
    fs_join(path, dir, file.ptr);
    if (unlink(path) != 0 && errno != ENOENT)
        return err_errno(err, ERR_IO, "removing a file");
    tell(p, "removed", folder, file);
    return ERR_OK;
}

/* --- Rules --- */

/* Marks what was taken: a file stands for one rule. */
static struct policy_rule *file_for(struct policy *files, const struct policy_rule *r, bool exactly)
{
    for (struct policy_rule *f = files->rules; f; f = f->next)
        if (!f->id.ptr && f->order == r->order && (!exactly || policy_same_rule(f, r)))
            return f;
    return NULL;
}

static bool name_taken(const struct policy *files, const struct policy_rule *rules, struct str name)
{
    for (const struct policy_rule *f = files->rules; f; f = f->next)
        if (str_eq(f->file, name))
            return true;
    for (; rules; rules = rules->next)
        if (rules->file.ptr && str_eq(rules->file, name))
            return true;
    return false;
}

static struct str new_name(
    struct pulling *p, const struct policy *files, const struct policy *server, const struct policy_rule *r)
{
    struct str slug = slug_from_text(p->a, r->note.ptr ? r->note : policy_rule_title(p->a, r), SLUG_CHARS);
    struct str name;

    for (unsigned n = 1;; n++) {
        name = n == 1
                   ? arena_printf(p->a, "%03lld-" STR_FMT ".json", (long long)r->order, STR_ARG(slug))
                   : arena_printf(p->a, "%03lld-" STR_FMT "-%u.json", (long long)r->order, STR_ARG(slug), n);
        if (!name_taken(files, server->rules, name))
            return name;
    }
}

/* Two rules of one order are asked in the order of their ids, which files do not have. */
static void part_orders(struct policy_rule *first)
{
    int64_t last = -1;

    for (struct policy_rule *r = first; r; r = r->next) {
        r->order = r->order > last ? r->order : last + 1;
        last = r->order;
    }
}

static void name_rules(struct pulling *p, struct policy *files, struct policy *server)
{
    part_orders(server->rules);
    for (int exactly = 1; exactly >= 0; exactly--) {
        for (struct policy_rule *r = server->rules; r; r = r->next) {
            struct policy_rule *f = r->file.ptr ? NULL : file_for(files, r, exactly);
            if (!f)
                continue;
            r->file = f->file;
            f->id = r->id;
        }
    }
    for (struct policy_rule *r = server->rules; r; r = r->next)
        if (!r->file.ptr)
            r->file = new_name(p, files, server, r);
}

static const struct policy_rule *rule_in(const struct policy *files, struct str file)
{
    const struct policy_rule *f = files->rules;

    while (f && !str_eq(f->file, file))
        f = f->next;
    return f;
}

static enum err_code pull_rules(
    struct pulling *p, struct policy *files, struct policy *server, struct err *err)
{
    enum err_code code = ERR_OK;

    name_rules(p, files, server);
    for (const struct policy_rule *r = server->rules; r && !code; r = r->next) {
        AUTO_STRBUF text;
        const struct policy_rule *f = rule_in(files, r->file);
        strbuf_init(&text, CLI_OUTPUT_BYTES);
        policy_write_rule(&text, r);
        if (!f || !policy_same_rule(f, r))
            code = write_file(p, POLICY_RULES_DIR, r->file, strbuf_str(&text), f != NULL, err);
    }
    for (const struct policy_rule *f = files->rules; f && !code; f = f->next)
        if (!f->id.ptr)
            code = remove_file(p, POLICY_RULES_DIR, f->file, err);
    return code;
}

/* --- Invariants: their names are their own --- */

static struct policy_invariant *invariant_named(struct policy *in, struct str name)
{
    struct policy_invariant *i = in->invariants;

    while (i && !str_eq_nocase(i->name, name))
        i = i->next;
    return i;
}

static struct str invariant_file(struct pulling *p, struct policy *files, struct str name)
{
    struct str slug = slug_from_text(p->a, name, SLUG_CHARS), file;
    bool taken = true;

    for (unsigned n = 1; taken; n++) {
        file = n == 1 ? arena_printf(p->a, STR_FMT ".json", STR_ARG(slug.len ? slug : S("invariant")))
                      : arena_printf(p->a, STR_FMT "-%u.json", STR_ARG(slug.len ? slug : S("invariant")), n);
        taken = false;
        for (const struct policy_invariant *i = files->invariants; i; i = i->next)
            taken |= str_eq(i->file, file);
    }
    return file;
}

static enum err_code pull_invariant(
    struct pulling *p, struct policy *files, const struct policy_invariant *i, struct err *err)
{
    AUTO_STRBUF text;
    struct policy_invariant *f = invariant_named(files, i->name);

    strbuf_init(&text, CLI_OUTPUT_BYTES);
    policy_write_invariant(&text, i);
    if (f && policy_same_invariant(f, i)) {
        f->id = i->id;
        return ERR_OK;
    }
    struct str file = f ? f->file : invariant_file(p, files, i->name);
    if (f) {
        f->id = i->id;
    } else { /* so that the next one gets another name */
        struct policy_invariant *made = ARENA_NEW(p->a, struct policy_invariant);
        *made = *i;
        made->file = file;
        made->next = files->invariants;
        files->invariants = made;
    }
    return write_file(p, POLICY_INVARIANTS_DIR, file, strbuf_str(&text), f != NULL, err);
}

static enum err_code pull_invariants(
    struct pulling *p, struct policy *files, const struct policy *server, struct err *err)
{
    enum err_code code = ERR_OK;

    for (const struct policy_invariant *i = server->invariants; i && !code; i = i->next)
        code = pull_invariant(p, files, i, err);
    for (const struct policy_invariant *f = files->invariants; f && !code; f = f->next)
        if (!f->id.ptr)
            code = remove_file(p, POLICY_INVARIANTS_DIR, f->file, err);
    return code;
}

/* --- Masks: their columns are their names --- */

static bool mask_file_taken(const struct policy *files, const struct policy *server, struct str name)
{
    const struct policy_mask *const lists[] = {files->masks, server->masks};
    bool taken = false;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const struct policy_mask *m = lists[i]; m; m = m->next)
            taken |= m->file.ptr && str_eq(m->file, name);
    return taken;
}

static struct str mask_file(
    struct pulling *p, const struct policy *files, const struct policy *server, const struct policy_mask *m)
{
    struct str slug = slug_from_text(p->a, policy_mask_name(p->a, m), SLUG_CHARS), name;

    for (unsigned n = 1;; n++) {
        name = n == 1 ? arena_printf(p->a, STR_FMT ".json", STR_ARG(slug.len ? slug : S("mask")))
                      : arena_printf(p->a, STR_FMT "-%u.json", STR_ARG(slug.len ? slug : S("mask")), n);
        if (!mask_file_taken(files, server, name))
            return name;
    }
}

static enum err_code pull_masks(
    struct pulling *p, const struct policy *files, const struct policy *server, struct err *err)
{
    enum err_code code = ERR_OK;

    for (struct policy_mask *m = server->masks; m && !code; m = m->next) {
        AUTO_STRBUF text;
        const struct policy_mask *f = policy_mask_of(files, m);
        m->file = f ? f->file : mask_file(p, files, server, m);
        strbuf_init(&text, CLI_OUTPUT_BYTES);
        policy_write_mask(&text, m);
        if (!f || !mask_eq(&f->mask, &m->mask))
            code = write_file(p, POLICY_MASKS_DIR, m->file, strbuf_str(&text), f != NULL, err);
    }
    for (const struct policy_mask *f = files->masks; f && !code; f = f->next)
        if (!policy_mask_of(server, f))
            code = remove_file(p, POLICY_MASKS_DIR, f->file, err);
    return code;
}

/* --- --- */

static enum err_code pull(struct pulling *p, struct remote *r, struct err *err)
{
    struct policy files, server;
    enum err_code code = policy_read_server(r, &server, err);

    if (!code)
        code = fs_mkdir_p(p->o->dir, 0777, err);
    if (!code)
        code = policy_read_dir(p->a, p->o->dir, &files, err);
    if (!code)
        code = pull_rules(p, &files, &server, err);
    if (!code)
        code = pull_invariants(p, &files, &server, err);
    return code ? code : pull_masks(p, &files, &server, err);
}

static int run_pull(const void *values)
{
    AUTO_STRBUF out;
    struct remote remote;
    struct pulling p = {.o = values, .out = &out};
    struct err err = ERR_INIT;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    jsonw_init(&p.json, &out);
    umask(022); /* what is read by others than whoever may use the database */
    enum err_code code = remote_open(&remote, &p.o->remote, &err);
    p.a = &remote.arena;
    if (p.o->json)
        jsonw_array(&p.json);
    if (!code)
        code = pull(&p, &remote, &err);
    if (p.o->json)
        jsonw_array_end(&p.json);
    remote_close(&remote);
    if (p.o->json)
        strbuf_add_char(&out, '\n');
    else if (!code && !p.changes)
        strbuf_addf(&out, "%s is what the database has.\n", p.o->dir);
    int printed = cli_print(PULL.name, &out);
    return code ? cli_fail(PULL.name, &err) : printed;
}

const struct cli_command CLI_POLICY_PULL = {&PULL, sizeof(struct pull_options), run_pull};
