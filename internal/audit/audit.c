/* Events: the table of actions, and what a row says of them. */
#include "audit/audit_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "json/jsonw.h"

#define VALUES_BYTES_MAX (64 << 10) /* more than AUDIT_ITEMS_MAX texts with every byte escaped */

const struct audit_action_row audit_actions[AUDIT_ACTION_COUNT] = {
#define AUDIT(id, chain, action, target, text) [AUDIT_##id] = {AUDIT_SCOPE_##chain, action, target, text},
#include "audit.def"
#undef AUDIT
};

static const char *const KINDS[ACTOR_KIND_COUNT] = {
    [ACTOR_SERVER] = "server",
    [ACTOR_CLI] = "cli",
    [ACTOR_TOKEN] = "token",
    [ACTOR_USER] = "user",
    [ACTOR_STRANGER] = "stranger",
    [ACTOR_MACHINE] = "machine",
};

/* --- Texts --- */

/* What a stranger wrote, as UTF-8 without control characters: the log is read on terminals and exported as
 * JSON. */
static struct str clean(struct arena *a, struct str text)
{
    bool utf8 = utf8_valid(text);
    char *out = arena_need(a, AUDIT_TEXT_MAX);
    size_t len = utf8                        ? utf8_cut(text, AUDIT_TEXT_MAX)
                 : text.len < AUDIT_TEXT_MAX ? text.len
                                             : AUDIT_TEXT_MAX;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool fine = c >= ' ' && c != 0x7f && (utf8 || c < 0x80);
        out[i] = fine ? text.ptr[i] : '?';
    }
    return str_make(out, len);
}

static struct str clean_or_null(struct arena *a, struct str text)
{
    return text.len ? clean(a, text) : (struct str){NULL, 0};
}

static struct str id_or_null(const struct id *id)
{
    return id->text[0] ? id_str(id) : (struct str){NULL, 0};
}

/* --- Values --- */

static void write_text(struct jsonw *w, struct str text)
{
    jsonw_text(w, str_slice(text, 0, utf8_cut(text, AUDIT_TEXT_MAX)));
}

static void write_list(struct jsonw *w, const struct audit_value *v)
{
    char more[40];
    size_t shown = v->count > AUDIT_ITEMS_MAX ? AUDIT_ITEMS_MAX - 1 : v->count;

    jsonw_array(w);
    for (size_t i = 0; i < shown; i++)
        write_text(w, v->items[i]);
    if (shown < v->count) {
        str_print(more, sizeof more, "and %zu more", v->count - shown);
        jsonw_cstr(w, more);
    }
    jsonw_array_end(w);
}

static void write_time(struct jsonw *w, int64_t wall_ms)
{
    char iso[CLOCK_ISO_MAX];

    clock_iso(wall_ms, iso);
    jsonw_cstr(w, iso);
}

static void write_value(struct jsonw *w, const struct audit_value *v)
{
    jsonw_key(w, v->name);
    switch (v->kind) {
    case AUDIT_VALUE_TEXT: write_text(w, v->text); return;
    case AUDIT_VALUE_INT: jsonw_int(w, v->num); return;
    case AUDIT_VALUE_TIME: write_time(w, v->num); return;
    case AUDIT_VALUE_BOOL: jsonw_bool(w, v->num != 0); return;
    case AUDIT_VALUE_LIST: write_list(w, v); return;
    case AUDIT_VALUE_NULL: jsonw_null(w); return;
    case AUDIT_VALUES_END: break;
    }
    UNREACHABLE("a value of no kind");
}

/* NULL values are NULL; otherwise text in `a`. `more` NULL: nothing more is to be said. */
static struct str values_json(
    struct arena *a, const struct audit_value *values, const struct audit_value *more)
{
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, VALUES_BYTES_MAX);
    if (!values && !more)
        return (struct str){NULL, 0};
    jsonw_init(&w, &out);
    jsonw_object(&w);
    for (; values && values->kind != AUDIT_VALUES_END; values++)
        write_value(&w, values);
    if (more)
        write_value(&w, more);
    jsonw_object_end(&w);
    CHECK(!strbuf_failed(&out));
    struct str copy = arena_copy(a, strbuf_str(&out));
    CHECK(copy.ptr); /* the arena takes three of them */
    return copy;
}

struct str audit_values_json(struct arena *a, const struct audit_value *values)
{
    return values_json(a, values, NULL);
}

/* --- Rows --- */

static void fill_actor(struct arena *a, const struct actor *by, struct audit_row *row)
{
    CHECK(by->kind < ACTOR_KIND_COUNT);
    CHECK((by->kind == ACTOR_USER) <= (by->user_id.text[0] != '\0'));
    CHECK((by->kind == ACTOR_TOKEN) <= (by->token_id.text[0] != '\0'));
    row->actor_kind = str_of(KINDS[by->kind]);
    row->actor_user_id = id_or_null(&by->user_id);
    row->actor_token_id = id_or_null(&by->token_id);
    row->actor_name = clean_or_null(a, by->name);
    row->client = clean_or_null(a, by->client);
    row->address = clean_or_null(a, by->address);
    row->request_id = clean_or_null(a, by->request_id);
}

static struct audit_row make_row(struct arena *a, const struct audit_event *event)
{
    const struct audit_action_row *action = &audit_actions[event->action];
    struct audit_row row = {.action = str_of(action->action),
        .target_type = str_of(action->target),
        .target_id = clean(a, event->target_id),
        .target_name = clean_or_null(a, event->target_name)};

    CHECK(event->action < AUDIT_ACTION_COUNT);
    CHECK((action->scope == AUDIT_SCOPE_NAMESPACE) == (event->namespace_id != NULL));
    row.chain = event->namespace_id ? id_str(event->namespace_id) : S(AUDIT_SERVER);
    CHECK(row.chain.len);
    fill_actor(a, event->by, &row);
    return row;
}

void audit_row_of(
    struct arena *a, const struct audit_event *event, struct audit_row *ret, struct str *ret_unknown)
{
    const struct audit_value outcome = audit_text("outcome", S("unknown"));

    *ret = make_row(a, event);
    ret->before_values = values_json(a, event->before, NULL);
    ret->after_values = values_json(a, event->after, NULL);
    if (ret_unknown)
        *ret_unknown = values_json(a, event->after, &outcome);
}

enum err_code audit_append(struct db *db, const struct audit_event *event, struct err *err)
{
    AUTO_ARENA arena;
    struct audit_row row;

    arena_init(&arena, AUDIT_ROW_BYTES_MAX);
    audit_row_of(&arena, event, &row, NULL);
    return audit_store_append(db, &row, err);
}
