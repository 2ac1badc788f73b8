/* See upload.h. */
#include "api/persql/upload.h"

#include "base/check.h"
#include "base/fs.h"
#include "base/limits.h"

/* --- Before the body --- */

static enum err_code check_table(const struct upload *u, struct err *err)
{
    struct str table = query_get(&u->r->args, "table");
    bool rows = u->format == IMPORT_CSV || u->format == IMPORT_NDJSON;
    if (rows && (!table.ptr || !table.len))
        return err_set(
            err, ERR_INVALID, "Query parameter \"table\" is needed for csv and ndjson: into which table?");
    if (!rows && table.ptr)
        return err_set(err, ERR_INVALID,
            "Query parameter \"table\" is for csv and ndjson; a %s file holds whole tables",
            import_format_name(u->format));
    return ERR_OK;
}

/* As soon as it is known what the file is, it is checked whether the request fits that. `all`: there will not
 * be more to go by than there is now. */
static enum err_code look(struct upload *u, bool all, struct err *err)
{
    struct err why = ERR_INIT;
    bool named = !u->parts || u->multipart.found;
    struct import_hints h = {.url = query_get(&u->r->args, "format"),
        .content_type =
            u->parts ? str_of(u->multipart.content_type) : http_header(u->r->http, "Content-Type"),
        .filename = u->parts ? str_of(u->multipart.filename) : STR_EMPTY,
        .first = str_make(u->first, u->first_len)};
    if (u->known || (!named && !h.url.ptr && !all))
        return ERR_OK;
    enum err_code rc = import_format_find(&h, &u->format, &why);
    if (rc == ERR_MEDIA_TYPE && !all && u->first_len < IMPORT_FIRST_BYTES)
        return ERR_OK;
    u->known = rc == ERR_OK;
    if (rc == ERR_OK)
        return check_table(u, err);
    *err = why;
    return rc;
}

static uint64_t held_by_namespace(const struct api *api, struct str ns)
{
    struct list *it, *next;
    uint64_t sum = 0;
    LIST_EACH(it, next, &api->uploads)
    {
        const struct upload *u = LIST_ITEM(it, struct upload, node);
        sum += str_eq(u->r->ns, ns) ? u->reserved : 0;
    }
    return sum;
}

static enum err_code refuse(struct err *err, enum err_code code, const char *whose, int64_t limit)
{
    return err_retry(err, code, 1,
        "Uploads%s that are coming in may fill %lld MiB together; try again in a moment", whose,
        (long long)(limit >> 20));
}

/* Is there room for so much more? Uploads have a bound together and for each namespace, and leave the disk
 * what databases need. */
static enum err_code check_room(const struct upload *u, uint64_t more, struct err *err)
{
    const struct api *api = u->r->api;
    const struct health *h = &api->health;
    uint64_t low = (uint64_t)api->opt.disk_low_bytes;
    if (h->disk_low || (h->disk_free > 0 && more + low > h->disk_free))
        return err_set(err, ERR_FULL, "The disk is nearly full: nothing can be written until space is freed");
    if (api->spooled + more > (uint64_t)LIMIT_SPOOL_BYTES)
        return refuse(err, ERR_BUSY, "", LIMIT_SPOOL_BYTES);
    if (held_by_namespace(api, u->r->ns) + more > (uint64_t)LIMIT_SPOOL_NAMESPACE_BYTES)
        return refuse(err, ERR_RATE_LIMITED, " of this namespace", LIMIT_SPOOL_NAMESPACE_BYTES);
    return ERR_OK;
}

/* Only what has come counts: an announced length holds nothing, or announcing would be enough to keep others
 * out. */
static enum err_code reserve(struct upload *u, uint64_t bytes, struct err *err)
{
    struct api *api = u->r->api;
    uint64_t more = bytes > u->reserved ? bytes - u->reserved : 0;
    enum err_code rc = check_room(u, more, err);
    if (rc)
        return rc;
    u->reserved += more;
    api->spooled += more;
    list_remove(&u->node);
    list_push_back(&api->uploads, &u->node);
    return ERR_OK;
}

enum err_code upload_init(struct upload *u, struct api_request *r, struct err *err)
{
    struct str type = http_header(r->http, "Content-Type"), boundary;
    *u = (struct upload){.r = r, .spool = SPOOL_INIT};
    list_init(&u->node);
    list_init(&u->waiting);
    if (!http_body_framed(r->http))
        return err_set(
            err, ERR_LENGTH_REQUIRED, "Send the file with Content-Length or Transfer-Encoding: chunked");
    u->parts = type.ptr && str_starts_nocase(type, S("multipart/"));
    if (u->parts) {
        if (!multipart_boundary(type, &boundary))
            return err_set(err, ERR_INVALID, "Content-Type must be multipart/form-data with a boundary");
        multipart_init(&u->multipart, boundary);
    }
    enum err_code rc = look(u, false, err);
    if (!rc)
        rc = check_room(u, http_body_length(r->http), err);
    return rc;
}

/* --- One piece: worker thread --- */

enum err_code upload_need_file(struct upload *u, struct err *err)
{
    char dir[FS_PATH_MAX];
    if (u->spool.fd >= 0)
        return ERR_OK;
    fs_join(dir, u->r->api->opt.data_dir, "tmp");
    return spool_open(&u->spool, dir, err);
}

static enum err_code write_file(struct upload *u, struct str bytes, struct err *err)
{
    size_t n = sizeof u->first - u->first_len;
    if (bytes.len == 0)
        return ERR_OK;
    n = n < bytes.len ? n : bytes.len;
    memcpy(u->first + u->first_len, bytes.ptr, n);
    u->first_len += n;
    enum err_code rc = upload_need_file(u, err);
    return rc ? rc : spool_write(&u->spool, bytes, err);
}

static enum err_code write_piece(struct upload *u, struct err *err)
{
    struct str rest = u->piece, bytes;
    enum err_code rc = ERR_OK;
    if (!u->parts)
        return write_file(u, rest, err);
    while (!rc && rest.len > 0) {
        rc = multipart_read(&u->multipart, &rest, &bytes, err);
        if (!rc)
            rc = write_file(u, bytes, err);
    }
    return rc;
}

static struct upload *upload_of(struct workq_job *job)
{
    return CONTAINER_OF(job, struct api_request, job)->flow;
}

static void write_run(struct workq_job *job, unsigned worker)
{
    struct upload *u = upload_of(job);
    (void)worker;
    u->err.code = write_piece(u, &u->err);
}

/* --- Piece by piece: loop thread --- */

static void receive(struct upload *u);

static void write_waiting(struct api *api);

static void write_done(struct workq_job *job)
{
    struct upload *u = upload_of(job);
    struct api *api = u->r->api;
    api->writing--;
    if (!u->err.code)
        u->err.code = look(u, false, &u->err);
    if (u->err.code)
        u->done(u);
    else
        receive(u);
    write_waiting(api);
}

/* A disk that cannot keep up blocks whoever writes to it: half of the workers stay for all else. */
static bool may_write(const struct api *api)
{
    return api->writing < (api->opt.workers + 1) / 2 || api->writing == 0;
}

static void write_waiting(struct api *api)
{
    while (!list_empty(&api->unwritten) && may_write(api)) {
        struct upload *u = LIST_FIRST(&api->unwritten, struct upload, waiting);
        struct err err = ERR_INIT;
        list_remove(&u->waiting);
        u->r->job = (struct workq_job){.run = write_run, .done = write_done};
        api->writing++;
        if (workq_submit(api->opt.workq, api->opt.loop, WORKQ_READ, &u->r->job, &err) == ERR_OK)
            continue; /* the worker may have begun already */
        api->writing--;
        u->err = err;
        u->done(u);
    }
}

static enum err_code check_whole(struct upload *u, struct err *err)
{
    enum err_code rc = u->parts ? multipart_end(&u->multipart, err) : ERR_OK;
    if (!rc)
        rc = look(u, true, err);
    return rc ? rc : import_format_check(u->format, str_make(u->first, u->first_len), err);
}

static void on_piece(void *arg, struct str piece, const struct err *err)
{
    struct upload *u = arg;
    struct api_request *r = u->r;
    r->receiving = false;
    u->piece = piece;
    if (err)
        u->err = *err;
    else if (piece.len == 0)
        u->err.code = check_whole(u, &u->err);
    else
        u->err.code = reserve(u, u->spool.bytes + piece.len, &u->err);
    if (u->err.code || piece.len == 0) {
        u->done(u);
        return;
    }
    list_push_back(&r->api->unwritten, &u->waiting);
    write_waiting(r->api);
}

static void receive(struct upload *u)
{
    struct api_request *r = u->r;
    r->receiving = true;
    http_body_receive(r->http, on_piece, u);
    if (r->api->interrupted)
        http_body_cancel(r->http, ERR_UNAVAILABLE, "the server is shutting down");
}

void upload_receive(struct upload *u, void (*done)(struct upload *u))
{
    CHECK(u->r->flow == u);
    u->done = done;
    receive(u);
}

void upload_release_files(struct upload *u)
{
    spool_close(&u->spool);
}

void upload_release(struct upload *u)
{
    CHECK(u->spool.fd < 0 && list_empty(&u->waiting));
    CHECK(u->r->api->spooled >= u->reserved);
    u->r->api->spooled -= u->reserved;
    list_remove(&u->node);
    multipart_release(&u->multipart);
}
