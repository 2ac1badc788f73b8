/* Faults inside SQLite: an allocator and a file system that stand before its own ones. */
#include "lib/fault.h"
#include "base/check.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_KINDS = 4 };

/* The methods of one kind of file, with xWrite and xSync replaced. */
struct patched {
    sqlite3_io_methods mine; /* first: a file's pMethods points here */
    const sqlite3_io_methods *real;
};

static struct {
    bool installed, armed, fired;
    enum fault_kind kind;
    unsigned fail_at, count, points;
    uint64_t random;
    sqlite3_mem_methods memory;
    sqlite3_vfs vfs; /* ours: the default one with xOpen replaced */
    int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
    struct patched files[FILE_KINDS];
} g_fault;

static bool hit(enum fault_kind kind)
{
    if (!g_fault.armed || g_fault.kind != kind || ++g_fault.count != g_fault.fail_at)
        return false;
    g_fault.fired = true;
    return true;
}

static void *fault_malloc(int size)
{
    return hit(FAULT_SQLITE_MEM) ? NULL : g_fault.memory.xMalloc(size);
}

static void *fault_realloc(void *p, int size)
{
    return hit(FAULT_SQLITE_MEM) ? NULL : g_fault.memory.xRealloc(p, size);
}

static const sqlite3_io_methods *real_of(const sqlite3_file *file)
{
    return ((const struct patched *)(const void *)file->pMethods)->real;
}

static int fault_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    return hit(FAULT_SQLITE_WRITE) ? SQLITE_FULL : real_of(file)->xWrite(file, bytes, len, at);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    return hit(FAULT_SQLITE_SYNC) ? SQLITE_IOERR_FSYNC : real_of(file)->xSync(file, flags);
}

/* Threads of later tests open files too: once installed, this file system stays the default one. */
static pthread_mutex_t g_patch_lock = PTHREAD_MUTEX_INITIALIZER;

static struct patched *patched_for(const sqlite3_io_methods *real)
{
    for (size_t i = 0; i < FILE_KINDS; i++) {
        struct patched *p = &g_fault.files[i];
        if (p->real == real)
            return p;
        if (p->real)
            continue;
        *p = (struct patched){.mine = *real, .real = real};
        p->mine.xWrite = fault_write;
        p->mine.xSync = fault_sync;
        return p;
    }
    UNREACHABLE("more kinds of file than known");
}

static const sqlite3_io_methods *patch(const sqlite3_io_methods *real)
{
    (void)pthread_mutex_lock(&g_patch_lock);
    const struct patched *p = patched_for(real);
    (void)pthread_mutex_unlock(&g_patch_lock);
    return &p->mine;
}

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    int rc = g_fault.real_open(vfs, name, file, flags, ret_flags);

    if (rc != SQLITE_OK)
        return rc;
    file->pMethods = patch(file->pMethods);
    return SQLITE_OK;
}

/* The allocator can be replaced only while the library is shut down: no connection is open between tests. */
static void install(void)
{
    sqlite3_mem_methods mine;

    CHECK(sqlite3_shutdown() == SQLITE_OK);
    CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &g_fault.memory) == SQLITE_OK);
    mine = g_fault.memory;
    mine.xMalloc = fault_malloc;
    mine.xRealloc = fault_realloc;
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) == SQLITE_OK);
    CHECK(sqlite3_initialize() == SQLITE_OK);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    g_fault.real_open = vfs->xOpen;
    g_fault.vfs = *vfs;
    g_fault.vfs.pNext = NULL;
    g_fault.vfs.zName = "fault";
    g_fault.vfs.xOpen = fault_open;
    CHECK(sqlite3_vfs_register(&g_fault.vfs, 1) == SQLITE_OK);
    g_fault.installed = true;
}

void fault_seed(uint64_t seed)
{
    g_fault.random = seed;
}

/* Instrumented programs are several times slower, and their part is to look at each kind of place, not at
 * each. */
#ifdef HF_DEBUG
enum { EACH = 24, SPREAD = 6 };
#else
enum { EACH = 48, SPREAD = 12 };
#endif

bool fault_all(void)
{
    const char *which = getenv("FAULTS");
    return which && strcmp(which, "all") == 0;
}

unsigned fault_step(unsigned at)
{
    if (at < EACH || fault_all())
        return at + 1;
    g_fault.random = g_fault.random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return at + 1 + (unsigned)(g_fault.random >> 33) % (at / SPREAD);
}

void fault_start(enum fault_kind kind)
{
    if (!g_fault.installed)
        install();
    g_fault.kind = kind;
    g_fault.armed = false;
    g_fault.fired = true; /* so that the first round is entered */
    g_fault.fail_at = g_fault.points = 0;
}

bool fault_next(void)
{
    g_fault.armed = false;
    if (!g_fault.fired)
        return false;
    g_fault.points += g_fault.fail_at > 0;
    g_fault.fail_at = fault_step(g_fault.fail_at);
    g_fault.count = 0;
    g_fault.fired = false;
    g_fault.armed = true;
    return true;
}

void fault_off(void)
{
    g_fault.armed = false;
}

void fault_rearm(void)
{
    g_fault.count = 0;
    g_fault.armed = true;
}

bool fault_fired(void)
{
    return g_fault.fired;
}

unsigned fault_points(void)
{
    return g_fault.points;
}
