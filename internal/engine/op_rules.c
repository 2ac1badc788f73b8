/* Rules, by an admin who stands under no limit.
 *
 * RULE_LIST data: [rule …] in the order in which they are asked. RULE_SET stores one (?id=: changes it;
 * members that are left out stay). Body {"tableGlob"?, "when"?, "action", "note"?, "approvals"?,
 * "approverRole"?, "order"?, "peopleOnly"?}; data: the rule, and of a changed one "before", what it was.
 * RULE_DROP ?id= removes one and tells "before". RULE_REPLACE {"rules":[rule, with "id"? of one that stays
 * …]} makes them all the rules there are; data: as of RULE_LIST. */
#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "engine/binding.h"
#include "engine/engine_state.h"
#include "engine/proposal_view.h"
#include "engine/rule_when.h"
#include "json/jsonr.h"

enum { ORDER_STEP = 10, ORDER_MAX = 1000000000, ID_BYTES_MAX = 200 };

enum err_code rules_check_caller(struct op *op, struct err *err)
{
    if (proposal_sees_all(op))
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN,
        "rules are an admin's: the token must have the role admin, and neither table scope nor claims");
}

/* --- Answers --- */

static void write_time(struct jsonw *w, const char *key, int64_t ms)
{
    char iso[CLOCK_ISO_MAX];
    clock_iso(ms, iso);
    JSONW_CSTR(w, key, iso);
}

/* What a person said, as RULE_SET takes it. */
static void write_wish(struct jsonw *w, const struct rule *r)
{
    JSONW_INT(w, "order", r->position);
    JSONW_TEXT_OR_NULL(w, "tableGlob", r->table_glob);
    JSONW_TEXT_OR_NULL(w, "when", r->condition);
    JSONW_CSTR(w, "action", rule_action_name(r->action));
    if (r->action == RULE_REQUIRE_APPROVAL) {
        JSONW_INT(w, "approvals", r->approvals);
        JSONW_TEXT_OR_NULL(w, "approverRole", r->approver_role);
    }
    JSONW_TEXT_OR_NULL(w, "note", r->note);
    JSONW_BOOL(w, "peopleOnly", r->people_only);
}

static void write_before(struct jsonw *w, const struct rule *was)
{
    jsonw_key(w, "before");
    jsonw_object(w);
    write_wish(w, was);
    jsonw_object_end(w);
}

/* `was` NULL: it was not changed. */
static void write_rule(struct jsonw *w, const struct rule *r, const struct rule *was)
{
    jsonw_object(w);
    JSONW_TEXT(w, "id", r->id);
    write_wish(w, r);
    write_time(w, "createdAt", r->created_ms);
    write_time(w, "updatedAt", r->updated_ms);
    if (was)
        write_before(w, was);
    jsonw_object_end(w);
}

enum err_code op_run_RULE_LIST(struct op *op, struct err *err)
{
    struct rule *r = NULL;
    enum err_code code = rules_check_caller(op, err);
    if (!code)
        code = rules_load(op, &r, err);
    if (code)
        return code;
    jsonw_array(op->w);
    for (; r; r = r->next)
        write_rule(op->w, r, NULL);
    jsonw_array_end(op->w);
    return ERR_OK;
}

/* --- Storing --- */

struct wish {
    struct str table_glob, condition, action, note, approver_role, id;
    int64_t approvals, position;
    bool people_only;
};

static const struct jsonr_field FIELDS[] = {
    {"tableGlob", JF_TEXT, offsetof(struct wish, table_glob), JF_NULL_OK, 1, LIMIT_RULE_GLOB_BYTES},
    {"when", JF_TEXT, offsetof(struct wish, condition), JF_NULL_OK, 1, LIMIT_RULE_WHEN_BYTES},
    {"action", JF_TEXT, offsetof(struct wish, action), 0, 0, 0},
    {"note", JF_TEXT, offsetof(struct wish, note), JF_NULL_OK, 1, LIMIT_RULE_NOTE_BYTES},
    {"approvals", JF_INT, offsetof(struct wish, approvals), JF_NULL_OK, 1, LIMIT_RULE_APPROVALS},
    {"approverRole", JF_TEXT, offsetof(struct wish, approver_role), JF_NULL_OK, 0, 0},
    {"order", JF_INT, offsetof(struct wish, position), 0, 1, ORDER_MAX},
    {"peopleOnly", JF_BOOL, offsetof(struct wish, people_only), 0, 0, 0},
    {"id", JF_TEXT, offsetof(struct wish, id), JF_NULL_OK, 1, ID_BYTES_MAX}, /* of those in a list alone */
};
enum { FIELDS_OF_ONE = ARRAY_LEN(FIELDS) - 1 };

static bool given(const struct jsonr_value *root, const char *name)
{
    return jsonr_member(root, str_of(name)) != NULL;
}

static enum err_code read_action(struct rule *r, const struct wish *in, struct err *err)
{
    return rule_action_read(in->action, &r->action)
               ? ERR_OK
               : err_field(err, "/action", "must be allow, require_reason, require_approval or deny");
}

static enum err_code read_role(struct rule *r, const struct wish *in, struct err *err)
{
    static const char *const ROLES[] = {
#define ROLE(name, spelling, engine_role, text) spelling,
#include "roles.def"
    };
    bool known = !in->approver_role.ptr;
    for (size_t i = 0; i < ARRAY_LEN(ROLES) && !known; i++)
        known = str_eq(in->approver_role, str_of(ROLES[i]));
    if (!known)
        return err_field(
            err, "/approverRole", "must be a role of the namespace: viewer, editor, admin or owner");
    r->approver_role = in->approver_role;
    return ERR_OK;
}

static enum err_code overlay(
    struct rule *r, const struct wish *in, const struct jsonr_value *root, struct err *err)
{
    enum err_code code = ERR_OK;
    if (given(root, "tableGlob"))
        r->table_glob = in->table_glob;
    if (given(root, "when"))
        r->condition = in->condition;
    if (given(root, "note"))
        r->note = in->note;
    if (given(root, "order"))
        r->position = in->position;
    if (given(root, "approvals"))
        r->approvals = in->approvals;
    r->says_who = given(root, "peopleOnly");
    if (r->says_who)
        r->people_only = in->people_only;
    if (given(root, "action"))
        code = read_action(r, in, err);
    return code || !given(root, "approverRole") ? code : read_role(r, in, err);
}

static enum err_code check_parts(struct rule *r, const struct jsonr_value *root, struct err *err)
{
    if (r->action == RULE_REQUIRE_APPROVAL)
        return ERR_OK;
    if (given(root, "approvals"))
        return err_field(err, "/approvals", "is for require_approval");
    if (given(root, "approverRole"))
        return err_field(err, "/approverRole", "is for require_approval");
    r->approvals = 1;
    r->approver_role = (struct str){NULL, 0};
    return ERR_OK;
}

static enum err_code check_condition(struct op *op, const struct rule *r, struct err *err)
{
    struct str problem = r->condition.ptr ? when_problem(op, r->condition) : STR_EMPTY;
    return problem.len ? err_field(err, "/when", STR_FMT, STR_ARG(problem)) : ERR_OK;
}

/* `fields`: of one rule or of one in a list. *ret_id ptr NULL: it says none. */
static enum err_code read_rule(struct op *op, const struct jsonr_value *root, size_t fields, bool is_new,
    struct rule *r, struct str *ret_id, struct err *err)
{
    static const struct str NONE = {NULL, 0};
    struct wish in = {.table_glob = NONE,
        .condition = NONE,
        .note = NONE,
        .approver_role = NONE,
        .id = NONE,
        .approvals = 1};
    enum err_code code = jsonr_fields(root, "", FIELDS, fields, JSONR_UNKNOWN_REFUSE, &in, err);
    if (!code && is_new && !given(root, "action"))
        code = err_field(err, "/action", "is required: allow, require_reason, require_approval or deny");
    if (!code)
        code = overlay(r, &in, root, err);
    *ret_id = in.id;
    if (!code)
        code = check_parts(r, root, err);
    return code ? code : check_condition(op, r, err);
}

static struct rule new_rule(struct op *op, int64_t position)
{
    static const struct str NONE = {NULL, 0};
    struct id made = id_new("rule");
    return (struct rule){.id = arena_copy(op->arena, id_str(&made)),
        .table_glob = NONE,
        .condition = NONE,
        .approver_role = NONE,
        .note = NONE,
        .action = RULE_DENY,
        .approvals = 1,
        .people_only = rules_of_person(op),
        .position = position,
        .created_ms = clock_wall_ms()};
}

/* Behind all others, unless it says where. */
static enum err_code start_new(struct op *op, struct rule *ret, struct err *err)
{
    struct rule *r;
    int64_t count = 0, last = 0;
    enum err_code code = rules_load(op, &r, err);
    for (; r; r = r->next, count++)
        last = r->position;
    if (!code && count >= LIMIT_RULES)
        return err_set(err, ERR_CONFLICT, "a database holds at most %d rules", (int)LIMIT_RULES);
    *ret = new_rule(op, last < ORDER_MAX - ORDER_STEP ? last + ORDER_STEP : ORDER_MAX);
    return code;
}

static enum err_code start(struct op *op, struct rule *ret, struct err *err)
{
    struct str id = wire_arg(&op->call, "id");
    return id.ptr ? rule_get(op, id, ret, err) : start_new(op, ret, err);
}

enum err_code op_run_RULE_SET(struct op *op, struct err *err)
{
    struct rule r = {.position = 0}, was = {.position = 0}, *all = NULL;
    const struct jsonr_value *root;
    struct str none;
    bool is_new = !wire_arg(&op->call, "id").ptr;
    enum err_code code = rules_check_caller(op, err);
    if (!code)
        code = start(op, &r, err);
    if (!code)
        was = r;
    if (!code)
        code = rules_remember(op, &all, err);
    if (!code)
        code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = read_rule(op, root, FIELDS_OF_ONE, is_new, &r, &none, err);
    r.updated_ms = clock_wall_ms();
    if (!code)
        code = rule_put(op, &r, err);
    if (!code)
        code = rules_check_kept(op, all, err);
    if (!code)
        write_rule(op->w, &r, is_new ? NULL : &was);
    return code;
}

/* --- All at once --- */

static enum err_code read_listed(
    struct op *op, const struct jsonr_value *v, int64_t last, struct rule **ret, struct err *err)
{
    struct str id;
    struct rule *r = *ret = arena_alloc(op->arena, sizeof *r);
    if (!r)
        return err_set(err, ERR_TOO_LARGE, "the rules are too large");
    *r = new_rule(op, last + ORDER_STEP);
    r->updated_ms = r->created_ms;
    enum err_code code = read_rule(op, v, ARRAY_LEN(FIELDS), true, r, &id, err);
    if (!code && r->position <= last)
        code = err_field(err, "/order", "must be larger than that of the rule before it");
    if (id.ptr) {
        r->id = id;
        r->created_ms = 0;
    }
    return code;
}

enum err_code rules_read(struct op *op, const struct jsonr_value *list, struct rule **ret, struct err *err)
{
    struct rule **tail = ret;
    char at[40];
    int64_t last = 0;
    int count = 0;
    enum err_code code = ERR_OK;
    *ret = NULL;
    if (jsonr_count(list) > (size_t)LIMIT_RULES)
        return err_field(err, "/rules", "must hold at most %d rules", (int)LIMIT_RULES);
    for (const struct jsonr_value *v = jsonr_first(list); v && !code; v = jsonr_next(v), count++) {
        code = read_listed(op, v, last, tail, err);
        if (code) {
            str_print(at, sizeof at, "/rules/%d", count);
            return err_within(err, code, at);
        }
        (*tail)->number = (size_t)count;
        last = (*tail)->position;
        tail = &(*tail)->next;
    }
    return code;
}

/* A rule that stays keeps when it was made; one that says the same also when it was changed. */
static enum err_code join_old(struct op *op, struct rule *first, struct err *err)
{
    struct rule was;
    enum err_code code = ERR_OK;
    for (struct rule *r = first; r && !code; r = r->next) {
        if (r->created_ms)
            continue; /* a new one */
        code = rule_get(op, r->id, &was, err);
        for (const struct rule *twin = first; twin != r && !code; twin = twin->next) {
            if (str_eq(twin->id, r->id))
                code = err_field(err, "/rules", "names the rule " STR_FMT " twice", STR_ARG(r->id));
        }
        if (code)
            return code;
        r->created_ms = was.created_ms;
        r->people_only = r->says_who ? r->people_only : was.people_only;
        if (rule_says_the_same(r, &was) && r->position == was.position)
            r->updated_ms = was.updated_ms;
    }
    return code;
}

static enum err_code store_all(struct op *op, const struct rule *first, struct err *err)
{
    struct binding b = binding_of(op, OWN_RULES_CLEAR);
    enum err_code code = binding_run(op, &b, err);
    rules_forget(op->eng);
    for (const struct rule *r = first; r && !code; r = r->next)
        code = rule_put(op, r, err);
    return code;
}

enum err_code op_run_RULE_REPLACE(struct op *op, struct err *err)
{
    static const struct jsonr_field MEMBERS[] = {{"rules", JF_ARRAY, 0, JF_REQUIRED, 0, 0}};
    const struct jsonr_value *root, *list = NULL;
    struct rule *first = NULL, *all = NULL;
    enum err_code code = rules_check_caller(op, err);
    if (!code)
        code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", MEMBERS, ARRAY_LEN(MEMBERS), JSONR_UNKNOWN_REFUSE, &list, err);
    if (!code)
        code = rules_read(op, list, &first, err);
    if (!code)
        code = join_old(op, first, err);
    if (!code)
        code = rules_remember(op, &all, err);
    if (!code)
        code = store_all(op, first, err);
    if (!code)
        code = rules_check_kept(op, all, err);
    return code ? code : op_run_RULE_LIST(op, err);
}

enum err_code op_run_RULE_DROP(struct op *op, struct err *err)
{
    struct rule r = {.position = 0}, *all = NULL;
    enum err_code code = rules_check_caller(op, err);
    if (!code)
        code = rule_get(op, op_id(op), &r, err);
    if (!code)
        code = rules_remember(op, &all, err);
    if (!code)
        code = rule_delete(op, r.id, err);
    if (!code)
        code = rules_check_kept(op, all, err);
    if (code)
        return code;
    op_write_dropped(op, r.id);
    write_before(op->w, &r);
    jsonw_object_end(op->w);
    return ERR_OK;
}
