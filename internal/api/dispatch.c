/* From a request to the row of routes.def that answers it: path, credential, database, capability. All on the
 * loop and from caches; what they do not know is looked up on a worker, and the request goes on from there.
 */
#include "api/request.h"

#include "api/cookie.h"
#include "api/openapi.h"
#include "api/scope.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "json/pointer.h"
#include "registry/registry.h"
#include "tenant/share.h"

#define RETRY_STOPPING_S 5 /* as supervise/ says */

static bool is_known_arg(unsigned route, struct str name)
{
    const char *known;
    for (unsigned i = 0; (known = openapi_query_arg(route, i)); i++)
        if (str_eq(name, str_of(known)))
            return true;
    return false;
}

static enum err_code refuse_arg(unsigned route, struct str name, struct err *err)
{
    AUTO_STRBUF names, pointer;
    const char *known;
    strbuf_init(&pointer, POINTER_TEXT_MAX);
    strbuf_init(&names, ERR_MESSAGE_MAX);
    pointer_add_key(&pointer, name);
    for (unsigned i = 0; (known = openapi_query_arg(route, i)); i++)
        strbuf_addf(&names, "%s%s", i ? ", " : "", known);
    return err_field(err, strbuf_cstr(&pointer), "is not a known parameter; this route takes %s",
        names.len ? strbuf_cstr(&names) : "none");
}

static enum err_code check_args(const struct api_request *r, struct err *err)
{
    for (unsigned i = 0; i < r->args.count; i++)
        if (openapi_is_strict(r->route->id) && !is_known_arg(r->route->id, r->args.items[i].name))
            return refuse_arg(r->route->id, r->args.items[i].name, err);
    return ERR_OK;
}

static enum err_code find_route(struct api_request *r, struct err *err)
{
    struct route_match m;
    enum err_code rc =
        router_find(r->api->router, http_method(r->http), http_path(r->http), &r->arena, &m, err);
    if (rc == ERR_METHOD)
        http_set_header(r->http, "Allow", str_of(m.allow));
    if (rc)
        return rc;
    r->route = m.route->data;
    r->ns = route_param(&m, "ns");
    r->db = route_param(&m, "db");
    r->item = route_param(&m, "id");
    if (r->route->auth == AUTH_OPEN || r->route->auth == AUTH_COOKIE)
        http_set_header(r->http, "Cache-Control", S("no-store"));
    rc = query_parse(http_query(r->http), &r->arena, &r->args, err);
    return rc ? rc : check_args(r, err);
}

static enum err_code run(struct api_request *r, struct err *err)
{
    switch (r->route->run) {
    case RUN_ENGINE: return engine_route_run(r, err);
    case RUN_WORKER:
    case RUN_PASSWORD:
    case RUN_ABROAD: return worker_route_run(r, err);
    case RUN_LOOP:
    case RUN_FLOW:
    case RUN_UPLOAD: r->route->on_loop(r); return ERR_OK;
    }
    UNREACHABLE("every kind of route is run");
}

static bool limited(const struct identity *who)
{
    return who->database_id.text[0] || who->has_table_scope || who->branches_only;
}

static enum err_code check_token(const struct api_request *r, struct err *err)
{
    const struct identity *who = r->who->id;
    if (identity_expired(who, clock_wall_ms()))
        return err_set(err, ERR_UNAUTHORIZED, "Token is unknown, revoked or expired");
    if (!identity_admits(who, http_peer(r->http))) /* says neither which would do nor whose it is */
        return err_set(err, ERR_FORBIDDEN, "This token may not be used from this address");
    if (r->ns.len && !str_eq(r->ns, str_of(who->namespace_slug)))
        return err_set(err, ERR_FORBIDDEN, "Token namespace mismatch");
    enum err_code rc = capability_check(r->route->cap, who->role, limited(who), err);
    if (!rc && who->account_id.text[0]) /* a program does no more than its person */
        rc = capability_check_member(r->route->cap, who->member, err);
    return rc;
}

static enum err_code check_person(const struct api_request *r, struct err *err)
{
    const struct person *p = r->who->person;
    int64_t now_ms = clock_wall_ms();
    if (person_expired(p, now_ms))
        return err_set(err, ERR_UNAUTHORIZED, "Not signed in");
    enum err_code rc = r->ns.len ? capability_check_member(r->route->cap, r->who->id->member, err) : ERR_OK;
    if (!rc && capability_needs_confirmation(r->route->cap) && !person_confirmed(p, now_ms))
        return err_set(err, ERR_CONFIRM, "Give your password again first: POST /api/auth/confirm-password");
    return rc;
}

/* Who asks is known; may they use this route in this namespace? */
static enum err_code check_who(const struct api_request *r, struct err *err)
{
    return r->who->person ? check_person(r, err) : check_token(r, err);
}

static enum err_code check_database(struct api_request *r, bool found, struct err *err)
{
    return scope_check(r->who->id, r->route->cap, found ? &r->place : NULL, err);
}

enum err_code request_worker_db(struct api *api, unsigned worker, struct db **ret, struct err *err)
{
    CHECK(worker < ARRAY_LEN(api->worker_db));
    struct db **slot = &api->worker_db[worker];
    if (*slot && db_is_broken(*slot)) {
        db_close(*slot);
        *slot = NULL;
    }
    enum err_code rc = *slot ? ERR_OK : control_connect(api->opt.control, DB_WRITE, slot, err);
    *ret = *slot;
    return rc;
}

static enum err_code look_up_token(struct api_request *r, struct db *db, struct err *err)
{
    struct identity *id;
    enum err_code rc = token_lookup(db, &r->hash, &id, err);
    if (!rc)
        r->found = bearer_new(id, NULL);
    return rc;
}

/* A person in the namespace of the path, as the engine and the logs are to see them. */
static struct bearer *bearer_of_person(const struct person *p, const struct membership *m)
{
    struct identity *id = MEM_NEW(struct identity);
    struct person *kept = MEM_NEW(struct person);
    *kept = *p;
    id->token_id = p->session_id;
    if (!m)
        return bearer_new(id, kept);
    id->namespace_id = m->tenant.id;
    memcpy(id->namespace_slug, m->tenant.slug, sizeof id->namespace_slug);
    id->given = WIRE_ROLE_ADMIN;
    identity_cap(id, m->role);
    return bearer_new(id, kept);
}

static enum err_code look_up_person(struct api_request *r, struct db *db, struct err *err)
{
    struct person p;
    struct membership m;
    enum err_code rc = session_lookup(db, &r->hash, &p, err);
    if (!rc && r->ns.len)
        rc = member_find(db, r->ns, &p.account.id, &m, err);
    if (!rc)
        r->found = bearer_of_person(&p, r->ns.len ? &m : NULL);
    return rc;
}

static enum err_code look_up_database(
    struct api_request *r, const struct identity *who, struct db *db, struct err *err)
{
    struct registry_entry entry;
    if (!r->route->in_database || !str_eq(r->ns, str_of(who->namespace_slug)))
        return ERR_OK;
    enum err_code rc = registry_lookup(db, r->ns, r->db, &entry, err);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    r->found_db = rc == ERR_OK;
    if (r->found_db)
        r->place = place_of(&entry);
    return rc;
}

/* A share takes the place of the namespace's role, for a person and for the programs that act for one. The
 * cache knows both by place, so it is asked for together with them. */
static enum err_code look_up_share(struct api_request *r, struct db *db, struct err *err)
{
    enum member_role shared;
    if (!r->found || !r->found_db)
        return ERR_OK;
    const struct id *account = r->found->person ? &r->found->person->account.id : &r->found->id->account_id;
    if (!account->text[0])
        return ERR_OK;
    enum err_code rc = share_role(db, &r->place.id, account, &shared, err);
    if (!rc && shared)
        identity_cap(r->found->id, shared);
    return rc;
}

/* Worker thread: r->who is set already when only the database is missing. */
static enum err_code look_up(struct api_request *r, struct db *db, struct err *err)
{
    enum err_code rc = ERR_OK;
    if (!r->who)
        rc = r->by_cookie ? look_up_person(r, db, err) : look_up_token(r, db, err);
    if (!rc)
        rc = look_up_database(r, r->who ? r->who->id : r->found->id, db, err);
    return rc ? rc : look_up_share(r, db, err);
}

static void lookup_run(struct workq_job *job, unsigned worker)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    struct db *db;
    enum err_code rc = request_worker_db(r->api, worker, &db, &r->err);
    if (!rc) {
        uint64_t before = db_statements(db);
        rc = look_up(r, db, &r->err);
        r->statements = db_statements(db) - before;
    }
    r->err.code = rc;
}

void request_count_job(struct api_request *r)
{
    r->api->metrics.jobs++;
    r->api->metrics.statements += r->statements;
    r->statements = 0;
}

static bool differs_by_place(const struct bearer *b)
{
    return b->person || b->id->account_id.text[0];
}

static void keep_found(struct api_request *r)
{
    int64_t now_us = clock_mono_us();
    if (r->found) {
        cache_put_bearer(
            r->api->cache, differs_by_place(r->found) ? &r->key : &r->hash, r->found, r->generation, now_us);
        r->who = r->found;
        r->found = NULL;
        if (!r->who->person && identity_admits(r->who->id, http_peer(r->http)))
            last_used_note(&r->api->last_used, &r->who->id->token_id);
    }
    if (r->found_db)
        cache_put_database(r->api->cache, r->ns, r->db, &r->place, r->generation, now_us);
}

static void lookup_done(struct workq_job *job)
{
    struct api_request *r = CONTAINER_OF(job, struct api_request, job);
    struct err err = r->err;
    request_count_job(r);
    keep_found(r);
    enum err_code rc = err.code ? err.code : check_who(r, &err);
    if (!rc && r->route->in_database)
        rc = check_database(r, r->found_db, &err);
    if (!rc)
        rc = run(r, &err);
    if (rc)
        request_fail(r, &err);
}

static enum err_code start_lookup(struct api_request *r, uint64_t generation, struct err *err)
{
    r->api->metrics.cache_misses++;
    r->generation = generation;
    r->job = (struct workq_job){.run = lookup_run, .done = lookup_done};
    return workq_submit(r->api->opt.workq, r->api->opt.loop, WORKQ_READ, &r->job, err);
}

static enum err_code read_bearer(struct api_request *r, struct err *err)
{
    struct str header = http_header(r->http, "Authorization");
    if (!header.ptr)
        return err_set(err, ERR_UNAUTHORIZED, "Missing bearer token: send Authorization: Bearer <token>");
    if (!str_starts_nocase(header, S("Bearer ")))
        return err_set(err, ERR_UNAUTHORIZED, "Invalid token format: send Authorization: Bearer <token>");
    return token_parse(str_trim(str_slice(header, 7, header.len)), &r->hash, err);
}

/* What a person may do, and a program for one, depends on where, so the cache knows them by place. */
static struct digest place_key(const struct api_request *r)
{
    AUTO_STRBUF text;
    strbuf_init(&text, DIGEST_BYTES + (size_t)LIMIT_URI_BYTES);
    strbuf_add_str(&text, digest_str(&r->hash));
    strbuf_add_str(&text, r->ns);
    strbuf_add_char(&text, '/');
    strbuf_add_str(&text, r->db);
    CHECK(!strbuf_failed(&text));
    return digest_sha256(strbuf_str(&text));
}

static enum err_code read_credential(struct api_request *r, struct err *err)
{
    enum route_auth auth = r->route->auth;
    r->by_cookie =
        auth == AUTH_COOKIE || (auth == AUTH_EITHER && !http_header(r->http, "Authorization").ptr &&
                                   http_header(r->http, "Cookie").ptr);
    return r->by_cookie ? cookie_read(r, err) : read_bearer(r, err);
}

static struct bearer *remembered(struct api_request *r, int64_t now_us)
{
    struct bearer *b = r->by_cookie ? NULL : cache_bearer(r->api->cache, &r->hash, now_us);
    if (b)
        return b;
    r->key = place_key(r);
    return cache_bearer(r->api->cache, &r->key, now_us);
}

/* ERR_OK: the request was answered, or will be. */
static enum err_code admit(struct api_request *r, struct err *err)
{
    enum err_code rc = r->route->auth == AUTH_OPEN ? cookie_check_site(r, err) : ERR_OK;
    if (!rc && r->route->auth == AUTH_PAGE)
        rc = cookie_read_page(r, err);
    if (rc || r->route->auth <= AUTH_PAGE)
        return rc ? rc : run(r, err);
    rc = read_credential(r, err);
    if (rc)
        return rc;
    int64_t now_us = clock_mono_us();
    uint64_t generation = cache_sync(r->api->cache);
    r->who = remembered(r, now_us);
    if (!r->who)
        return start_lookup(r, generation, err);
    rc = check_who(r, err);
    if (rc)
        return rc;
    if (r->route->in_database) {
        if (!cache_database(r->api->cache, r->ns, r->db, now_us, &r->place))
            return start_lookup(r, generation, err);
        rc = check_database(r, true, err);
        if (rc)
            return rc;
    }
    r->api->metrics.cache_hits++;
    return run(r, err);
}

/* While the server stops, probes are answered and everything else is sent elsewhere. */
static enum err_code refuse_new(const struct api_request *r, struct err *err)
{
    if (!r->api->draining || r->route->auth == AUTH_NONE)
        return ERR_OK;
    return err_retry(err, ERR_UNAVAILABLE, RETRY_STOPPING_S, "the server is shutting down");
}

void api_on_request(void *arg, struct http_request *http)
{
    struct api_request *r = request_new(arg, http);
    struct err err = ERR_INIT;
    enum err_code rc = find_route(r, &err);
    if (!rc)
        rc = refuse_new(r, &err);
    if (!rc)
        rc = admit(r, &err);
    if (rc)
        request_fail(r, &err);
}
