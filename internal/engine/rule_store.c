/* Statements over `_sys_rule`, and what the engine remembers of it. */
#include "base/mem.h"
#include "engine/binding.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/invariant.h"
#include "engine/rule.h"

enum { RULES_BYTES_MAX = 64 << 20 }; /* far more than the limits of policy/limits.def let be stored */

struct rules {
    struct arena arena;
    struct rule *first;
    struct digest version;
};

static const char *const ACTIONS[RULE_ACTIONS] = {
    [RULE_ALLOW] = "allow",
    [RULE_REQUIRE_REASON] = "require_reason",
    [RULE_REQUIRE_APPROVAL] = "require_approval",
    [RULE_DENY] = "deny",
};

const char *rule_action_name(enum rule_action action)
{
    return ACTIONS[action];
}

bool rule_action_read(struct str name, enum rule_action *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(ACTIONS); i++) {
        if (!str_eq(name, str_of(ACTIONS[i])))
            continue;
        *ret = (enum rule_action)i;
        return true;
    }
    return false;
}

/* --- Reading --- */

/* What is stored was checked when it was; what is no action any more denies. */
static void read_row(struct arena *a, sqlite3_stmt *stmt, struct rule *ret)
{
    *ret = (struct rule){.id = catalog_text(a, stmt, 0),
        .position = sqlite3_column_int64(stmt, 1),
        .table_glob = catalog_text(a, stmt, 2),
        .condition = catalog_text(a, stmt, 3),
        .action = RULE_DENY,
        .approvals = sqlite3_column_int64(stmt, 5),
        .approver_role = catalog_text(a, stmt, 6),
        .note = catalog_text(a, stmt, 7),
        .created_ms = sqlite3_column_int64(stmt, 8),
        .updated_ms = sqlite3_column_int64(stmt, 9),
        .people_only = sqlite3_column_int64(stmt, 10) != 0};
    struct str action = catalog_text(a, stmt, 4);
    (void)rule_action_read(action.ptr ? action : STR_EMPTY, &ret->action); /* as above */
}

void rules_finalize(struct rule *first)
{
    for (struct rule *r = first; r; r = r->next) {
        (void)sqlite3_finalize(r->compiled); /* the error of its last step was told */
        r->compiled = NULL;
    }
}

static void forget(struct engine *eng)
{
    if (!eng->rules)
        return;
    rules_finalize(eng->rules->first);
    arena_release(&eng->rules->arena);
    mem_free(eng->rules);
    eng->rules = NULL;
}

void rules_forget(struct engine *eng)
{
    forget(eng);
    invariants_forget(eng);
}

void rules_release(struct engine *eng)
{
    rules_forget(eng);
}

static void add_text(struct digest_stream *digest, struct str s)
{
    uint32_t len = s.ptr ? (uint32_t)s.len : UINT32_MAX; /* "" is another text than none */
    digest_stream_add(digest, str_make(&len, sizeof len));
    digest_stream_add(digest, s.ptr ? s : STR_EMPTY);
}

/* Which rules hold is what they say in their order: ids, numbers of the order and notes decide nothing. */
static struct digest version_of(const struct rule *first)
{
    struct digest_stream digest;
    if (!first)
        return (struct digest){{0}};
    digest_stream_init(&digest);
    for (const struct rule *r = first; r; r = r->next) {
        add_text(&digest, r->table_glob);
        add_text(&digest, r->condition);
        add_text(&digest, str_of(rule_action_name(r->action)));
        add_text(&digest, r->approver_role);
        digest_stream_add(&digest, str_make(&r->approvals, sizeof r->approvals));
    }
    return digest_stream_end(&digest);
}

static enum err_code read_all(struct op *op, struct rules *rules, struct err *err)
{
    struct binding b = binding_of(op, OWN_RULES);
    struct rule **tail = &rules->first;
    size_t number = 0;
    while (binding_step(op, &b)) {
        struct rule *r = arena_alloc(&rules->arena, sizeof *r);
        if (!r)
            break;
        read_row(&rules->arena, b.stmt, r);
        r->number = number++;
        *tail = r;
        tail = &r->next;
    }
    enum err_code code = binding_end(op, &b, err);
    if (!code && arena_failed(&rules->arena))
        return err_set(err, ERR_TOO_LARGE, "the rules are too large");
    return code;
}

static enum err_code load(struct op *op, struct err *err)
{
    struct engine *eng = op->eng;
    if (eng->cfg.mode == ENGINE_READER)
        forget(eng); /* another engine writes them */
    if (eng->rules)
        return ERR_OK;
    struct rules *rules = MEM_NEW(struct rules);
    arena_init(&rules->arena, RULES_BYTES_MAX);
    eng->rules = rules;
    enum err_code code = read_all(op, rules, err);
    if (code)
        forget(eng);
    else
        rules->version = version_of(rules->first);
    return code;
}

void rules_pretend(struct engine *eng, bool on, struct rule *first)
{
    eng->rules_pretended = on;
    eng->pretended_rules = first;
}

enum err_code rules_load(struct op *op, struct rule **ret, struct err *err)
{
    if (op->eng->rules_pretended) {
        *ret = op->eng->pretended_rules;
        return ERR_OK;
    }
    enum err_code code = load(op, err);
    *ret = code ? NULL : op->eng->rules->first;
    return code;
}

bool rules_exist(struct op *op)
{
    struct err ignored = ERR_INIT;
    struct str detail = op->error_detail;
    bool none = !load(op, &ignored) && !op->eng->rules->first;
    op->error_detail = detail;
    return !none;
}

enum err_code rules_version(struct op *op, struct digest *ret, struct err *err)
{
    enum err_code code = load(op, err);
    *ret = (struct digest){{0}};
    if (!code)
        *ret = op->eng->rules->version;
    return code;
}

enum err_code rule_get(struct op *op, struct str id, struct rule *ret, struct err *err)
{
    struct rule *r;
    enum err_code code = rules_load(op, &r, err);
    while (r && !str_eq(r->id, id))
        r = r->next;
    if (!code && !r)
        return err_set(err, ERR_NOT_FOUND, "No such rule");
    if (code)
        return code;
    *ret = *r;
    struct str *const texts[] = {
        &ret->id, &ret->table_glob, &ret->condition, &ret->approver_role, &ret->note};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = texts[i]->ptr ? arena_copy(op->arena, *texts[i]) : *texts[i];
    ret->next = NULL;
    ret->compiled = NULL;
    return arena_failed(op->arena) ? err_set(err, ERR_TOO_LARGE, "the rule is too large") : ERR_OK;
}

/* --- Changing --- */

enum err_code rule_put(struct op *op, const struct rule *r, struct err *err)
{
    struct binding b = binding_of(op, OWN_RULE_PUT);
    bind_text(&b, r->id);
    bind_int(&b, r->position);
    bind_text(&b, r->table_glob);
    bind_text(&b, r->condition);
    bind_text(&b, str_of(rule_action_name(r->action)));
    bind_int(&b, r->approvals);
    bind_text(&b, r->approver_role);
    bind_text(&b, r->note);
    bind_int(&b, r->created_ms);
    bind_int(&b, r->updated_ms);
    bind_int(&b, r->people_only);
    rules_forget(op->eng);
    return binding_run(op, &b, err);
}

enum err_code rule_delete(struct op *op, struct str id, struct err *err)
{
    struct binding b = binding_of(op, OWN_RULE_DROP);
    bind_text(&b, id);
    rules_forget(op->eng);
    return binding_run(op, &b, err);
}
