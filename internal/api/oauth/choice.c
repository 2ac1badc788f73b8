#include "api/oauth/choice.h"

#include "base/rand.h"
#include "tenant/member.h"

#define CHOICES_MAX  200
#define SLUG_LETTERS 40
#define SLUG_TRIES   8

static bool may_create(const struct membership *m)
{
    return !m->tenant.deleted_at && m->role >= MEMBER_ADMIN;
}

enum err_code choice_holds(
    struct api_call *c, const struct id *account_id, const struct grant *known, bool *ret)
{
    struct membership m;

    *ret = false;
    if (!known->database_id.text[0])
        return ERR_OK;
    enum err_code rc = member_find(c->db, str_of(known->namespace_slug), account_id, &m, c->err);
    *ret = rc == ERR_OK;
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* --- Offer --- */

static void add(struct consent *k, struct choice *room, struct str value)
{
    if (k->choice_count < CHOICES_MAX)
        room[k->choice_count++] = (struct choice){value, value};
}

static enum err_code offer_databases(
    struct api_call *c, const struct membership *m, struct consent *k, struct choice *room)
{
    struct registry_entry *rows;
    size_t count;
    int64_t total;
    enum err_code rc =
        registry_list(c->db, c->arena, &m->tenant.id, 1, CHOICES_MAX, false, &rows, &count, &total, c->err);

    for (size_t i = 0; !rc && i < count; i++)
        add(k, room, arena_printf(c->arena, "%s/%s", m->tenant.slug, rows[i].slug));
    return rc;
}

enum err_code choice_offer(struct api_call *c, const struct grant *known, struct consent *k)
{
    struct membership *mine;
    struct choice *room = arena_need(c->arena, CHOICES_MAX * sizeof *room);
    bool connects = k->ask->client.database_mode == CLIENT_CONNECTS, holds = false;
    size_t count;

    if (!(k->ask->scope & SCOPE_DATABASE))
        return ERR_OK;
    enum err_code rc = choice_holds(c, &k->person->account.id, known, &holds);
    if (rc || (holds && !connects))
        return rc; /* the app gets the database that it had */
    rc = member_list_of(
        c->db, c->arena, &k->person->account.id, STR_EMPTY, CHOICES_MAX, &mine, &count, c->err);
    for (size_t i = 0; !rc && i < count; i++) {
        if (connects && !mine[i].tenant.deleted_at)
            rc = offer_databases(c, &mine[i], k, room);
        else if (!connects && may_create(&mine[i]))
            add(k, room, arena_copy(c->arena, str_of(mine[i].tenant.slug)));
    }
    if (!rc && !k->choice_count)
        return err_set(c->err, ERR_FORBIDDEN,
            connects ? "You have no database that this app could use"
                     : "You have no namespace in which you may make a database for this app");
    k->field = connects ? "database" : "namespace";
    k->question = connects ? "Which database?" : "Where may its database be?";
    k->choices = room;
    return rc;
}

/* --- Take --- */

static enum err_code not_yours(struct api_call *c)
{
    return err_set(c->err, ERR_FORBIDDEN, "Choose one of those that the page offers");
}

static enum err_code take_existing(
    struct api_call *c, const struct id *account_id, struct str place, struct registry_entry *ret)
{
    struct membership m;
    struct str rest = place, ns;

    if (!place.ptr || !str_cut(&rest, '/', &ns) || !rest.ptr)
        return not_yours(c);
    enum err_code rc = member_find(c->db, ns, account_id, &m, c->err);
    if (!rc)
        rc = registry_get(c->db, &m.tenant.id, rest, ret, c->err);
    return rc == ERR_NOT_FOUND ? not_yours(c) : rc;
}

static enum err_code make(
    struct api_call *c, const struct ask *ask, const struct tenant *home, struct registry_entry *ret)
{
    struct str name = str_of(ask->client.name), base = slug_from_text(c->arena, name, SLUG_LETTERS);
    enum err_code rc = ERR_CONFLICT;

    if (!base.len)
        base = S("app");
    for (int i = 0; i < SLUG_TRIES && rc == ERR_CONFLICT; i++) {
        struct str slug =
            i ? arena_printf(c->arena, STR_FMT "-%04x", STR_ARG(base), (unsigned)rand_below(0x10000)) : base;
        rc = registry_create_intent(c->db, c->by, &home->id, slug, name, S("auto"), ret, c->err);
    }
    return rc;
}

static enum err_code take_new(struct api_call *c, const struct ask *ask, const struct id *account_id,
    struct str ns, struct registry_entry *ret)
{
    struct membership m;

    if (!ns.ptr)
        return not_yours(c);
    enum err_code rc = member_find(c->db, ns, account_id, &m, c->err);
    if (rc == ERR_NOT_FOUND || (!rc && !may_create(&m)))
        return not_yours(c);
    return rc ? rc : make(c, ask, &m.tenant, ret);
}

enum err_code choice_take(struct api_call *c, const struct ask *ask, const struct id *account_id,
    const struct grant *known, const struct query *form, struct registry_entry *ret, bool *ret_made)
{
    bool holds;

    *ret_made = false;
    if (ask->client.database_mode == CLIENT_CONNECTS)
        return take_existing(c, account_id, query_get(form, "database"), ret);
    enum err_code rc = choice_holds(c, account_id, known, &holds);
    if (rc)
        return rc;
    if (holds)
        return registry_get_by_id(c->db, &known->database_id, ret, c->err);
    rc = take_new(c, ask, account_id, query_get(form, "namespace"), ret);
    *ret_made = !rc;
    return rc;
}
