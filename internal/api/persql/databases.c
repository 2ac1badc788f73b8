/* /v1/databases: list, create, show, delete, restore. Worker thread. */
#include "api/call.h"
#include "api/persql/views.h"
#include "base/limits.h"
#include "base/rand.h"
#include "json/jsonr.h"

#define PAGE_SIZE_MAX 100
#define PAGE_MAX      1000000

route_worker_fn persql_database_list, persql_database_create, persql_database_get, persql_database_delete,
    persql_database_restore;

/* A token that is bound to one database lists that one, on the first page. */
static enum err_code list_bound(struct api_call *c, int64_t page)
{
    struct registry_entry entry;
    enum err_code rc = registry_get_by_id(c->db, &c->who->database_id, &entry, c->err);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    jsonw_array(c->out);
    if (!rc && !entry.deleted_at && page == 1 && (entry.ref[0] || !c->who->branches_only))
        view_database(c, &entry);
    jsonw_array_end(c->out);
    return ERR_OK;
}

static enum err_code list_all(struct api_call *c, int64_t page, int64_t page_size)
{
    struct registry_entry *entries;
    size_t count;
    int64_t total;
    enum err_code rc = registry_list(c->db, c->arena, &c->who->namespace_id, page, page_size,
        c->who->branches_only, &entries, &count, &total, c->err);
    if (rc)
        return rc;
    jsonw_array(c->out);
    for (size_t i = 0; i < count; i++)
        view_database(c, &entries[i]);
    jsonw_array_end(c->out);
    return ERR_OK;
}

enum err_code persql_database_list(struct api_call *c)
{
    int64_t page, page_size;
    enum err_code rc = query_i64(c->args, "page", 1, 1, PAGE_MAX, &page, c->err);
    if (!rc)
        rc = query_i64(c->args, "pageSize", PAGE_SIZE_MAX, 1, PAGE_SIZE_MAX, &page_size, c->err);
    if (rc)
        return rc;
    return c->who->database_id.text[0] ? list_bound(c, page) : list_all(c, page, page_size);
}

struct database_new {
    struct str name, slug;
};

static const struct jsonr_field create_fields[] = {
    {"name", JF_TEXT, offsetof(struct database_new, name), JF_NULL_OK, 1, 200},
    {"slug", JF_TEXT, offsetof(struct database_new, slug), JF_NULL_OK, 1, 63},
};

/* A name without a letter or digit of ASCII gives "db-" and a few random ones. */
static struct str slug_from_name(struct arena *a, struct str name)
{
    struct str slug = slug_from_text(a, name, SLUG_SIZE - 1);
    return slug.len ? slug : arena_printf(a, "db-%08x", rand_below(UINT32_MAX));
}

enum err_code persql_database_create(struct api_call *c)
{
    const struct jsonr_value *root;
    struct database_new in = {STR_EMPTY, STR_EMPTY};
    struct registry_entry entry;
    if (!c->body.len)
        return err_field(c->err, "", "The body is empty; send {\"name\":…,\"slug\":…}");
    enum err_code rc = jsonr_parse(c->arena, c->body, &root, c->err);
    if (!rc)
        rc = jsonr_fields(
            root, "", create_fields, ARRAY_LEN(create_fields), JSONR_UNKNOWN_IGNORE, &in, c->err);
    if (!rc && !in.name.len && !in.slug.len)
        rc = err_field(c->err, "/slug", "Send a slug, or a name to make one from");
    if (!rc)
        rc = registry_create(c->db, c->disk, c->by, &c->who->namespace_id,
            in.slug.len ? in.slug : slug_from_name(c->arena, in.name), in.name, S("auto"), &entry, c->err);
    if (!rc)
        view_database(c, &entry);
    return rc;
}

enum err_code persql_database_get(struct api_call *c)
{
    struct registry_entry entry;
    enum err_code rc = call_database(c, CAP_DB_LIST, &entry);
    return rc ? rc : view_database_whole(c, &entry);
}

enum err_code persql_database_delete(struct api_call *c)
{
    struct registry_entry entry;
    enum err_code rc =
        registry_delete(c->db, c->disk, c->by, &c->who->namespace_id, c->db_slug, &entry, c->err);
    if (!rc)
        view_database(c, &entry);
    return rc;
}

enum err_code persql_database_restore(struct api_call *c)
{
    struct registry_entry entry;
    enum err_code rc =
        registry_restore(c->db, c->disk, c->by, &c->who->namespace_id, c->db_slug, &entry, c->err);
    if (!rc)
        view_database(c, &entry);
    return rc;
}
