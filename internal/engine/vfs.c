/* The layer over SQLite's VFS. */
#include "engine/vfs.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/rand.h"

struct vfs {
    sqlite3_vfs base;
    sqlite3_vfs *real;
    struct board *board;
    bool keeps_read_lock;
    vfs_watch_fn *watch; /* NULL: nobody */
    void *watch_arg;
    unsigned calls;          /* of read and write since the last look */
    sqlite3_int64 held_time; /* what SQLite is told, while `asked` is set */
    bool *asked;
    bool lazy;
};

struct file {
    sqlite3_file base;
    struct vfs *vfs;
    sqlite3_file *real;  /* right behind this struct */
    const char *created; /* path of a log that was made just now: its name is not durable yet; else NULL */
    bool content;        /* the database or its log: a read of it may be refused */
    bool log, at_start;  /* it is the log; its first bytes were written last */
    int kept;            /* the log's read lock that SQLite has let go and this layer still holds; else -1 */
};

/* The log's locks, as in SQLite's file format ("WAL-index locks"): those for readers come last. */
enum { FIRST_READ_LOCK = 3 };

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct file *)(void *)f)->real;
}

static int file_close(sqlite3_file *f)
{
    sqlite3_file *real = real_of(f);
    return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
}

/* true: the read is refused. */
static bool look_now_and_then(struct file *f, bool may_refuse)
{
    enum { CALLS = 16 }; /* a look costs a twentieth of a read */
    struct vfs *v = f->vfs;
    return ++v->calls % CALLS == 0 && v->watch && v->watch(v->watch_arg, may_refuse);
}

/* A refused read is an I/O error and nothing else, for that is what SQLite is proof against wherever it
 * comes, in a rollback too: SQLITE_INTERRUPT there would leave pages in the cache that were never committed.
 */
static int file_read(sqlite3_file *base, void *out, int n, sqlite3_int64 at)
{
    struct file *f = (struct file *)(void *)base;
    if (look_now_and_then(f, f->content))
        return SQLITE_IOERR_READ;
    return f->real->pMethods->xRead(f->real, out, n, at);
}

/* A savepoint that outgrows its memory goes to its file in one piece of a megabyte. SQLite's own layer writes
 * less than 128 KiB at a time, of a multiple of that nothing, and then calls the disk full. */
static int file_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    enum { PIECE_BYTES = 64 << 10 }; /* the largest page */
    const char *from = data;
    (void)look_now_and_then((struct file *)(void *)f, false);
    ((struct file *)(void *)f)->at_start = at == 0;
    for (; n > PIECE_BYTES; n -= PIECE_BYTES, from += PIECE_BYTES, at += PIECE_BYTES) {
        int rc = real_of(f)->pMethods->xWrite(real_of(f), from, PIECE_BYTES, at);
        if (rc != SQLITE_OK)
            return rc;
    }
    return real_of(f)->pMethods->xWrite(real_of(f), from, n, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

/* SQLite syncs the directory of a new log too, but does not look at the result. */
static int sync_name(struct file *f)
{
    char dir[FS_PATH_MAX];
    const char *slash = f->created ? strrchr(f->created, '/') : NULL;
    if (!slash)
        return SQLITE_OK;
    size_t len = (size_t)(slash - f->created);
    CHECK(len < sizeof dir);
    memcpy(dir, f->created, len);
    dir[len] = '\0';
    if (fs_sync_dir(dir, NULL) != ERR_OK)
        return SQLITE_IOERR_DIR_FSYNC;
    f->created = NULL;
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *f, int flags)
{
    struct vfs *v = ((struct file *)(void *)f)->vfs;
    int named = sync_name((struct file *)(void *)f);
    if (named != SQLITE_OK)
        return named;
    if (v->lazy && ((struct file *)(void *)f)->log && !((struct file *)(void *)f)->at_start)
        return SQLITE_OK; /* a new log's head must be there before what follows it */
    int64_t begin = clock_mono_us();
    int rc = real_of(f)->pMethods->xSync(real_of(f), flags);
    atomic_fetch_add_explicit(&v->board->fsyncs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&v->board->fsync_us, (uint64_t)(clock_mono_us() - begin), memory_order_relaxed);
    return rc;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}

static int file_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int file_check_lock(sqlite3_file *f, int *ret)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int let_go(struct file *f);

static int file_control(sqlite3_file *f, int what, void *arg)
{
    if (what == VFS_LET_GO)
        return let_go((struct file *)(void *)f);
    return real_of(f)->pMethods->xFileControl(real_of(f), what, arg);
}

static int file_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int file_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, ret);
}

static int let_go(struct file *f)
{
    int offset = f->kept;
    f->kept = -1;
    if (offset < 0)
        return SQLITE_OK;
    return f->real->pMethods->xShmLock(f->real, offset, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
}

/* A read lock is taken and let go for every read: two system calls that change nothing while the same lock is
 * asked for again. It stays until this connection needs it in another way. Holding it longer only keeps other
 * processes from starting the log anew, which none but the writer does. */
static int file_shm_lock(sqlite3_file *base, int offset, int n, int flags)
{
    struct file *f = (struct file *)(void *)base;
    bool one_reader = offset >= FIRST_READ_LOCK && n == 1 && (flags & SQLITE_SHM_SHARED);
    if (one_reader && (flags & SQLITE_SHM_LOCK) && f->kept == offset) {
        f->kept = -1;
        return SQLITE_OK;
    }
    if (one_reader && (flags & SQLITE_SHM_UNLOCK) && f->vfs->keeps_read_lock && f->kept < 0) {
        f->kept = offset;
        return SQLITE_OK;
    }
    int rc = offset + n > FIRST_READ_LOCK && (flags & SQLITE_SHM_LOCK) ? let_go(f) : SQLITE_OK;
    return rc == SQLITE_OK ? f->real->pMethods->xShmLock(f->real, offset, n, flags) : rc;
}

static void file_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int file_shm_unmap(sqlite3_file *f, int delete_it)
{
    (void)let_go((struct file *)(void *)f); /* unmapping does it too */
    return real_of(f)->pMethods->xShmUnmap(real_of(f), delete_it);
}

/* Version 2: no memory-mapped reads (mmap_size is 0 anyway: a truncated file must not become SIGBUS). */
static const sqlite3_io_methods METHODS = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_device,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int layer_open(sqlite3_vfs *base, sqlite3_filename path, sqlite3_file *out, int flags, int *ret_flags)
{
    struct vfs *v = (struct vfs *)(void *)base;
    struct file *f = (struct file *)(void *)out;
    int existed = 1;
    *f = (struct file){.vfs = v, .real = (sqlite3_file *)(void *)(f + 1), .kept = -1};
    f->content = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL);
    f->log = flags & SQLITE_OPEN_WAL;
    if (f->log)
        (void)v->real->xAccess(v->real, path, SQLITE_ACCESS_EXISTS, &existed); /* unknown counts as there */
    f->created = existed ? NULL : path;
    int rc = v->real->xOpen(v->real, path, f->real, flags, ret_flags);
    if (f->real->pMethods)
        f->base.pMethods = &METHODS;
    return rc;
}

static int layer_delete(sqlite3_vfs *base, const char *path, int sync_dir)
{
    sqlite3_vfs *real = ((struct vfs *)(void *)base)->real;
    return real->xDelete(real, path, sync_dir);
}

static int layer_access(sqlite3_vfs *base, const char *path, int flags, int *ret)
{
    sqlite3_vfs *real = ((struct vfs *)(void *)base)->real;
    return real->xAccess(real, path, flags, ret);
}

static int layer_full_path(sqlite3_vfs *base, const char *path, int size, char *out)
{
    sqlite3_vfs *real = ((struct vfs *)(void *)base)->real;
    return real->xFullPathname(real, path, size, out);
}

static int layer_random(sqlite3_vfs *base, int n, char *out)
{
    (void)base;
    rand_bytes(out, (size_t)n);
    return n;
}

static int layer_sleep(sqlite3_vfs *base, int us)
{
    sqlite3_vfs *real = ((struct vfs *)(void *)base)->real;
    return real->xSleep(real, us);
}

static int layer_time(sqlite3_vfs *base, sqlite3_int64 *ret)
{
    struct vfs *v = (struct vfs *)(void *)base;
    if (!v->asked)
        return v->real->xCurrentTimeInt64(v->real, ret);
    *v->asked = true;
    *ret = v->held_time;
    return SQLITE_OK;
}

static int layer_last_error(sqlite3_vfs *base, int size, char *out)
{
    sqlite3_vfs *real = ((struct vfs *)(void *)base)->real;
    return real->xGetLastError(real, size, out);
}

struct vfs *vfs_register(struct board *board, bool keeps_read_lock)
{
    struct vfs *v = MEM_NEW(struct vfs);
    v->real = sqlite3_vfs_find(NULL);
    CHECK(v->real != NULL);
    v->board = board;
    v->keeps_read_lock = keeps_read_lock;
    v->base = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct file) + v->real->szOsFile,
        .mxPathname = v->real->mxPathname,
        .zName = VFS_NAME,
        .xOpen = layer_open,
        .xDelete = layer_delete,
        .xAccess = layer_access,
        .xFullPathname = layer_full_path,
        .xRandomness = layer_random,
        .xSleep = layer_sleep,
        .xGetLastError = layer_last_error,
        .xCurrentTimeInt64 = layer_time,
    };
    int rc = sqlite3_vfs_register(&v->base, 1);
    CHECK(rc == SQLITE_OK);
    return v;
}

void vfs_watch(struct vfs *v, vfs_watch_fn *watch, void *arg)
{
    v->watch = watch;
    v->watch_arg = arg;
}

void vfs_hold_clock(struct vfs *v, int64_t wall_ms, bool *asked)
{
    static const int64_t UNIX_EPOCH_MS = 210866760000000; /* after the beginning of Julian days */
    v->held_time = wall_ms + UNIX_EPOCH_MS;
    v->asked = asked;
}

void vfs_set_lazy(struct vfs *v, bool lazy)
{
    v->lazy = lazy;
}

void vfs_unregister(struct vfs *v)
{
    int rc = sqlite3_vfs_unregister(&v->base);
    CHECK(rc == SQLITE_OK);
    mem_free(v);
}
