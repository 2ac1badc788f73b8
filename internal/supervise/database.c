/* What the supervisor knows of one database: created when a call comes, forgotten when it would make no
 * difference. */
#include "supervise/state.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <sys/stat.h>

struct eviction {
    struct list node;
    void (*done)(void *arg);
    void *arg;
};

/* It becomes a part of a path. */
static bool id_safe(struct str id)
{
    static const char ALLOWED[] = "0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t ok = 0;
    while (ok < id.len && memchr(ALLOWED, id.ptr[ok], sizeof ALLOWED - 1))
        ok++;
    return id.len > 0 && id.len < ID_MAX && ok == id.len;
}

static struct database *database_new(struct supervisor *s)
{
    struct database *db = MEM_NEW(struct database);
    db->s = s;
    list_init(&db->dirty_node);
    list_init(&db->remember_node);
    list_init(&db->waiting);
    list_init(&db->bounced);
    list_init(&db->streams);
    list_init(&db->readers);
    list_init(&db->others);
    list_init(&db->evictions);
    return db;
}

struct database *database_find(struct supervisor *s, struct str id)
{
    return map_get(&s->databases, id);
}

struct database *database_get(struct supervisor *s, struct str id)
{
    struct database *db = database_find(s, id);
    if (db)
        return db;
    CHECK(id_safe(id)); /* ids are ours, not a client's */
    db = database_new(s);
    memcpy(db->id.text, id.ptr, id.len);
    map_put(&s->databases, id, db);
    return db;
}

struct database *database_new_scratch(struct supervisor *s, const char *dir)
{
    struct database *db = database_new(s);
    db->scratch_dir = mem_strdup(dir);
    s->scratch_count++;
    return db;
}

static void database_free(struct database *db)
{
    CHECK(!db->writer && list_empty(&db->readers) && list_empty(&db->others) && db->open == 0);
    list_remove(&db->dirty_node);
    list_remove(&db->remember_node);
    if (db->scratch_dir)
        db->s->scratch_count--;
    else
        CHECK(map_del(&db->s->databases, id_str(&db->id)) == db);
    mem_free(db->scratch_dir);
    mem_free(db);
}

bool database_forget(struct database *db)
{
    struct supervisor *s = db->s;
    if (db->open > 0 || db->writer || db->reader_count > 0 || db->stream_count > 0)
        return false;
    while (!list_empty(&db->evictions)) {
        struct eviction *ev = LIST_FIRST(&db->evictions, struct eviction, node);
        list_remove(&ev->node);
        ev->done(ev->arg);
        mem_free(ev);
    }
    /* The callbacks may have begun something new. */
    if (!list_empty(&db->dirty_node) || ((db->quarantined || db->evicted) && !s->stopping))
        return false;
    if (!s->stopping && !breaker_forgettable(&db->breaker, clock_mono_us())) {
        if (list_empty(&db->remember_node))
            list_push_back(&s->remembered, &db->remember_node);
        supervisor_tick_soon(s);
        return false;
    }
    database_free(db);
    return true;
}

void database_touch(struct database *db)
{
    if (!list_empty(&db->dirty_node))
        return;
    list_push_back(&db->s->dirty_databases, &db->dirty_node);
    loop_turn_ask(&db->s->turn);
}

enum err_code database_tell_held(struct err *err)
{
    return err_retry(err, ERR_UNAVAILABLE, 1, "the database is being made anew; try again in a moment");
}

enum err_code database_admit(struct database *db, bool *ret_trial, struct err *err)
{
    const struct supervise_options *opt = &db->s->opt;
    int retry_s;
    if (db->held)
        return database_tell_held(err);
    if (db->evicted)
        return err_set(err, ERR_NOT_FOUND, "no such database");
    if (db->quarantined)
        return err_set(err, ERR_CORRUPT,
            "the database file is damaged, missing or not this database's; it was set aside and needs a "
            "restore");
    if (db->open >= opt->calls_per_db_max)
        return err_retry(err, ERR_RATE_LIMITED, 1, "too many requests are open for this database; at most %u",
            opt->calls_per_db_max);
    if (breaker_admit(&db->breaker, clock_mono_us(), ret_trial, &retry_s))
        return ERR_OK;
    return err_retry(err, ERR_UNAVAILABLE, retry_s,
        "the engine of this database crashed repeatedly and rests for a moment");
}

void database_quarantine(struct database *db)
{
    if (db->quarantined || db->scratch_dir)
        return;
    db->quarantined = true;
    pthread_mutex_lock(&db->s->set_aside_lock);
    (void)map_put(&db->s->set_aside, id_str(&db->id), db->s); /* a set: any value does */
    pthread_mutex_unlock(&db->s->set_aside_lock);
    log_event(LOG_ERROR, "db_quarantined", LOG_STR("db", id_str(&db->id)));
    if (db->s->on_quarantine)
        db->s->on_quarantine(db->s->on_quarantine_arg, id_str(&db->id));
    database_touch(db);
}

bool database_is_lost(const struct database *db)
{
    char path[FS_PATH_MAX], file[FS_PATH_MAX];
    struct stat st;
    if (db->scratch_dir || db->evicted)
        return false;
    fs_join(path, db->s->dir, db->id.text);
    if (lstat(path, &st) != 0)
        return errno == ENOENT;
    if (!S_ISDIR(st.st_mode))
        return true;
    fs_join(file, path, "main.db");
    return lstat(file, &st) == 0 && !S_ISREG(st.st_mode);
}

bool supervise_is_quarantined(struct supervisor *s, struct str db_id)
{
    pthread_mutex_lock(&s->set_aside_lock);
    bool found = map_get(&s->set_aside, db_id) != NULL;
    pthread_mutex_unlock(&s->set_aside_lock);
    return found;
}

void database_allow(struct database *db)
{
    pthread_mutex_lock(&db->s->set_aside_lock);
    (void)map_del(&db->s->set_aside, id_str(&db->id));
    pthread_mutex_unlock(&db->s->set_aside_lock);
    db->quarantined = db->evicted = db->held = false;
    db->breaker = (struct breaker){0};
    database_touch(db);
}

void database_crashed(struct database *db)
{
    if (!db->scratch_dir && breaker_crashed(&db->breaker, clock_mono_us()))
        log_event(LOG_WARN, "breaker_open", LOG_STR("db", id_str(&db->id)));
}

void database_answered(struct database *db)
{
    if (breaker_answered(&db->breaker))
        log_event(LOG_INFO, "breaker_close", LOG_STR("db", id_str(&db->id)));
}

void database_evict(struct database *db, void (*done)(void *arg), void *arg)
{
    struct eviction *ev = MEM_NEW(struct eviction);
    ev->done = done;
    ev->arg = arg;
    list_push_back(&db->evictions, &ev->node);
    db->evicted = true;
    database_touch(db);
}

void database_hold(struct database *db, void (*done)(void *arg), void *arg)
{
    db->held = true;
    database_evict(db, done, arg);
}

void flight_wait(struct flight *f, bool first)
{
    struct database *db = f->db;
    struct list *head = &db->waiting;
    CHECK(!f->engine);
    if (f->bounced)
        head = &db->bounced;
    else if (f->call->place == ENGINE_STREAM)
        head = &db->streams;
    if (first)
        list_push_front(head, &f->node);
    else
        list_push_back(head, &f->node);
    db->waiting_count++;
    database_touch(db);
}

void flight_unwait(struct flight *f)
{
    CHECK(!f->engine && f->db->waiting_count > 0);
    list_remove(&f->node);
    f->db->waiting_count--;
}
