/* opendir's d_type is not in POSIX 2008. */
#define _DEFAULT_SOURCE
#include "api/housekeeping.h"

#include "account/session.h"
#include "api/approvals.h"
#include "audit/checkpoint.h"
#include "crypto/keyring.h"
#include "federation/assertion.h"
#include "oauth/access.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "branch/archive.h"
#include "branch/branch.h"
#include "branch/handoff.h"
#include "branch/snapshot.h"
#include "registry/registry.h"
#include "tenant/invitation.h"
#include "token/token.h"

#include <dirent.h>

#define TICK_US            2000000
#define PURGE_EVERY_US     600000000 /* the trash keeps for days, so ten minutes more do not matter */
#define SIGN_EVERY_US      10000000
#define EXPIRE_EVERY_US    10000000 /* a branch goes within a minute of its time */
#define SIGN_AT_ONCE       256      /* chains: some milliseconds, in which no other change can be made */
#define CHECK_VALID_US     1000000
#define PURGE_AT_ONCE      100
#define NAMESPACES_AT_ONCE 20
#define PURGE_ARENA_MAX    (1 << 20)

struct check_job {
    struct workq_job job;
    struct api *api;
    bool control_ok, disk_known;
    uint64_t free_bytes;
    bool purge, sign, expire;
    bool expires_more; /* as below, of what expired */
    bool more;         /* purging: what is left is for the next tick, others want to write too */
    struct err err;
};

/* Of the clock's; a check for readiness has none. */
static bool has_work(const struct check_job *j)
{
    return j->purge || j->sign || j->expire;
}

static void evict(void *arg, struct str db_id)
{
    supervise_evict_sync(arg, db_id);
}

/* Takes the write lock of control.db and puts a file on the disk beside it: both must work before writes can.
 */
static enum err_code probe(struct check_job *j, struct db *db)
{
    char tmp[FS_PATH_MAX], path[FS_PATH_MAX];
    fs_join(tmp, j->api->opt.data_dir, "tmp");
    fs_join(path, tmp, "probe");
    enum err_code rc = tx_begin_write(db, &j->err);
    if (rc)
        return rc;
    tx_rollback(db);
    rc = fs_mkdir_p(tmp, 0700, &j->err);
    return rc ? rc : fs_write_atomic(path, S("ok\n"), 0600, &j->err);
}

static void measure_disk(struct check_job *j)
{
    uint64_t total;
    j->disk_known = fs_free_bytes(j->api->opt.data_dir, &j->free_bytes, &total, NULL) == ERR_OK;
}

/* Its databases go to the trash, where each has its time; the namespace ends with the last of them. */
static enum err_code purge_namespace(
    struct db *db, const struct registry_disk *disk, const struct tenant *t, bool *more, struct err *err)
{
    AUTO_ARENA a;
    struct actor by = actor_server();
    struct registry_entry *rows, gone;
    size_t count;
    int64_t total;
    arena_init(&a, PURGE_ARENA_MAX);
    enum err_code rc = registry_list(db, &a, &t->id, 1, PURGE_AT_ONCE, false, &rows, &count, &total, err);
    for (size_t i = 0; !rc && i < count; i++)
        rc = registry_delete(db, disk, &by, &t->id, str_of(rows[i].slug), &gone, err);
    if (rc || count)
        return rc;
    rc = tx_begin_write(db, err);
    return rc ? rc : tx_end(db, tenant_purge(db, &by, t, more, err), err);
}

static void purge_namespaces(struct check_job *j, struct db *db, const struct registry_disk *disk)
{
    struct tenant due;
    struct err err = ERR_INIT;
    enum err_code rc = ERR_OK;
    for (unsigned i = 0; !rc && !j->more; i++) {
        rc = tenant_next_due(db, clock_wall_ms(), &due, &err);
        if (!rc)
            rc = purge_namespace(db, disk, &due, &j->more, &err);
        j->more = j->more || (!rc && i == NAMESPACES_AT_ONCE);
    }
    if (rc && rc != ERR_NOT_FOUND)
        log_event(LOG_WARN, "purge_failed", LOG_CSTR("error", err.message));
}

static struct registry_disk disk_of(const struct check_job *j)
{
    return (struct registry_disk){
        .data_dir = j->api->opt.data_dir, .evict = evict, .arg = j->api->opt.supervisor};
}

static void expire(struct check_job *j, struct db *db)
{
    unsigned gone = 0;
    const struct registry_disk disk = disk_of(j);
    struct err err = ERR_INIT;
    if (branch_expire(db, &disk, clock_wall_ms(), &gone, &err))
        log_event(LOG_WARN, "expire_failed", LOG_CSTR("error", err.message));
    j->expires_more = gone == BRANCH_EXPIRE_AT_ONCE;
    if (gone)
        log_event(LOG_INFO, "expired", LOG_INT("databases", gone));
}

static void purge(struct check_job *j, struct db *db)
{
    unsigned purged = 0;
    const struct registry_disk disk = disk_of(j);
    struct err err = ERR_INIT;
    enum err_code rc = registry_purge(db, &disk, clock_wall_ms(), &purged, &err);
    if (rc)
        log_event(LOG_WARN, "purge_failed", LOG_CSTR("error", err.message));
    purge_namespaces(j, db, &disk);
    if (session_purge(db, &j->more, &err) || invitation_purge(db, &j->more, &err) ||
        token_purge(db, &j->more, &err) || handoff_purge(db, &j->more, &err) ||
        snapshot_clean(db, j->api->opt.data_dir, clock_wall_ms(), &err) ||
        archive_clean(db, j->api->opt.data_dir, false, &err) || access_purge(db, &j->more, &err) ||
        assertion_purge(db, &j->more, &err) || keyring_rotate(j->api->opt.data_dir, clock_wall_ms(), &err))
        log_event(LOG_WARN, "purge_failed", LOG_CSTR("error", err.message));
    if (purged)
        log_event(LOG_INFO, "purged", LOG_INT("databases", purged));
}

/* The checkpoint is told, so that whoever keeps the log elsewhere can tell a roll-back. */
static void sign(struct check_job *j, struct db *db)
{
    char text[AUDIT_HEAD_SIZE];
    struct audit_head before, after;
    struct err err = ERR_INIT;
    const char *dir = j->api->opt.data_dir;
    enum err_code rc = audit_head_read(dir, &before, &err);
    if (!rc)
        rc = audit_sign(db, dir, clock_wall_ms() - LIMIT_AUDIT_CHECKPOINT_MS, SIGN_AT_ONCE, &after, &err);
    if (rc) {
        log_event(LOG_ERROR, "audit_sign_failed", LOG_CSTR("error", err.message));
        return;
    }
    audit_head_text(&after, text);
    if (after.number > before.number)
        log_event(LOG_INFO, "audit_signed", LOG_CSTR("checkpoint", text));
}

static void check_run(struct workq_job *job, unsigned worker)
{
    struct check_job *j = CONTAINER_OF(job, struct check_job, job);
    struct db *db;
    measure_disk(j);
    if (request_worker_db(j->api, worker, &db, &j->err))
        return;
    if (j->purge)
        purge(j, db);
    if (j->expire)
        expire(j, db);
    if (j->sign)
        sign(j, db);
    if (!has_work(j))
        j->control_ok = probe(j, db) == ERR_OK;
}

static void set_disk_low(struct api *api, bool low)
{
    if (low != api->health.disk_low)
        log_event(low ? LOG_WARN : LOG_INFO, low ? "disk_low" : "disk_ok",
            LOG_INT("limit_bytes", api->opt.disk_low_bytes));
    api->health.disk_low = low;
    supervise_refuse_writes(api->opt.supervisor, low);
}

static void note_disk(struct check_job *j)
{
    if (!j->disk_known)
        return;
    j->api->health.disk_free = j->free_bytes;
    set_disk_low(j->api, j->free_bytes < (uint64_t)j->api->opt.disk_low_bytes);
}

static void answer_waiting(struct api *api)
{
    while (!list_empty(&api->health.waiting)) {
        struct list *first = api->health.waiting.next;
        struct api_request *r = LIST_ITEM(first, struct api_request, node);
        list_remove(first);
        list_push_back(&api->open, first);
        ops_readyz_answer(r);
    }
}

static void check_done(struct workq_job *job)
{
    struct check_job *j = CONTAINER_OF(job, struct check_job, job);
    struct health *h = &j->api->health;
    note_disk(j);
    if (!j->control_ok)
        log_event(LOG_ERROR, "not_ready", LOG_CSTR("error", j->err.message));
    h->control_ok = j->control_ok;
    h->checked_us = clock_mono_us();
    h->running = false;
    answer_waiting(j->api);
    mem_free(j);
}

void housekeeping_check(struct api_request *r)
{
    struct api *api = r->api;
    struct health *h = &api->health;
    if (h->checked_us && clock_mono_us() - h->checked_us < CHECK_VALID_US) {
        ops_readyz_answer(r);
        return;
    }
    list_remove(&r->node);
    list_push_back(&h->waiting, &r->node);
    if (h->running)
        return;
    struct check_job *j = MEM_NEW(struct check_job);
    j->api = api;
    j->job = (struct workq_job){.run = check_run, .done = check_done};
    h->running = true;
    if (workq_submit(api->opt.workq, api->opt.loop, WORKQ_WRITE, &j->job, &j->err)) {
        h->control_ok = h->running = false;
        answer_waiting(api);
        mem_free(j);
    }
}

static void tick_done(struct workq_job *job)
{
    struct check_job *j = CONTAINER_OF(job, struct check_job, job);
    note_disk(j);
    if (j->more)
        j->api->purged_us -= PURGE_EVERY_US; /* the next tick goes on */
    if (j->expires_more)
        j->api->expired_us -= EXPIRE_EVERY_US;
    if (!j->api->draining)
        loop_timer_set(&j->api->tick, TICK_US);
    mem_free(j);
}

static void tick_run(struct workq_job *job, unsigned worker)
{
    struct check_job *j = CONTAINER_OF(job, struct check_job, job);
    if (has_work(j))
        check_run(job, worker);
    else
        measure_disk(j);
}

/* It asks engines, for which nobody else who writes is to wait. */
static void sweep_run(struct workq_job *job, unsigned worker)
{
    struct check_job *j = CONTAINER_OF(job, struct check_job, job);
    struct db *db;
    if (request_worker_db(j->api, worker, &db, &j->err) == ERR_OK)
        approval_sweep(j->api, db);
}

static void sweep_done(struct workq_job *job)
{
    struct check_job *j = CONTAINER_OF(job, struct check_job, job);
    j->api->sweeping = false;
    approvals_changed(j->api);
    mem_free(j);
}

static void sweep_approvals(struct api *api)
{
    if (api->sweeping)
        return;
    struct check_job *j = MEM_NEW(struct check_job);
    j->api = api;
    j->job = (struct workq_job){.run = sweep_run, .done = sweep_done};
    api->sweeping = true;
    if (workq_submit(api->opt.workq, api->opt.loop, WORKQ_READ, &j->job, &j->err)) {
        api->sweeping = false;
        mem_free(j);
    }
}

/* A full queue is busy with requests: the next tick will do. While the server stops there is none, for
 * whoever waits until the queue is empty frees what a job would come back to. */
static void tick(void *arg)
{
    struct api *api = arg;
    if (api->draining)
        return;
    int64_t now_us = clock_mono_us();
    bool purges = now_us - api->purged_us >= PURGE_EVERY_US;
    bool signs = now_us - api->signed_us >= SIGN_EVERY_US;
    bool expires = now_us - api->expired_us >= EXPIRE_EVERY_US;
    struct check_job *j = MEM_NEW(struct check_job);
    j->api = api;
    j->purge = purges;
    j->sign = signs;
    j->expire = expires;
    j->job = (struct workq_job){.run = tick_run, .done = tick_done};
    if (workq_submit(api->opt.workq, api->opt.loop, purges || signs || expires ? WORKQ_WRITE : WORKQ_READ,
            &j->job, &j->err)) {
        loop_timer_set(&api->tick, TICK_US);
        mem_free(j);
        return;
    }
    if (purges)
        api->purged_us = now_us;
    if (signs)
        api->signed_us = now_us;
    if (expires) {
        api->expired_us = now_us;
        sweep_approvals(api);
    }
}

void housekeeping_start(struct api *api)
{
    loop_timer_init(&api->tick, api->opt.loop, tick, api);
    loop_timer_set(&api->tick, 0);
}

void housekeeping_stop(struct api *api)
{
    loop_timer_release(&api->tick);
}

static bool is_entry(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

/* What lies in a directory; itself it stays. */
static enum err_code empty(const char *path, struct err *err)
{
    char one[FS_PATH_MAX];
    DIR *dir = opendir(path);
    enum err_code rc = ERR_OK;
    for (struct dirent *e; dir && !rc && (e = readdir(dir));) {
        if (!is_entry(e))
            continue;
        fs_join(one, path, e->d_name);
        rc = fs_remove_tree(one, err);
    }
    if (dir)
        (void)closedir(dir); /* a directory that was only read */
    return rc;
}

/* out/ itself stays for engines to write to; a snapshot needs neither. */
static enum err_code clean_box(const char *one, bool keeps_out, struct err *err)
{
    char in[FS_PATH_MAX], out[FS_PATH_MAX];
    fs_join(in, one, "in");
    fs_join(out, one, "out");
    enum err_code rc = fs_remove_tree(in, err);
    if (rc)
        return rc;
    return keeps_out ? empty(out, err) : fs_remove_tree(out, err);
}

/* <data>/<folder>/<id>/in and out/, of every database or snapshot. */
static enum err_code clean_boxes(const char *data_dir, const char *folder, bool keeps_out, struct err *err)
{
    char path[FS_PATH_MAX], one[FS_PATH_MAX];
    fs_join(path, data_dir, folder);
    DIR *dir = opendir(path);
    if (!dir)
        return ERR_OK;
    enum err_code rc = ERR_OK;
    for (struct dirent *e; !rc && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        fs_join(one, path, e->d_name);
        rc = clean_box(one, keeps_out, err);
    }
    (void)closedir(dir); /* a directory that was only read */
    return rc;
}

enum err_code housekeeping_clean(const char *data_dir, struct err *err)
{
    static const char *const FOLDERS[] = {"tmp", "staging", "replaced"};
    char path[FS_PATH_MAX];
    enum err_code rc = ERR_OK;
    for (size_t i = 0; !rc && i < ARRAY_LEN(FOLDERS); i++) {
        fs_join(path, data_dir, FOLDERS[i]);
        rc = fs_remove_tree(path, err);
    }
    if (!rc)
        rc = clean_boxes(data_dir, "db", true, err);
    return rc ? rc : clean_boxes(data_dir, "snapshots", false, err);
}
