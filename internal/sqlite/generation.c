/* The shared counter: a mapped file. */
#define _GNU_SOURCE /* O_NOFOLLOW beside strict C */
#include "sqlite/generation.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { FILE_BYTES = 4096 };

struct page {
    _Atomic uint64_t counter, changing;
};

struct generation {
    struct page *page;
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "the counter is shared between processes");

/* Never shrinks: a shorter file would kill those who have it mapped. Its block is allocated now, since a
 * write through the map into a hole of a full disk would be a SIGBUS. */
static enum err_code make_long_enough(int fd, struct err *err)
{
    errno = posix_fallocate(fd, 0, FILE_BYTES);
    if (errno == 0)
        return ERR_OK;
    return err_errno(err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "making control.gen");
}

enum err_code generation_open(const char *path, struct generation **ret, struct err *err)
{
    AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(err, ERR_IO, "opening control.gen");
    enum err_code code = make_long_enough(fd, err);
    if (code)
        return code;
    void *page = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return err_errno(err, ERR_IO, "mapping control.gen");
    *ret = MEM_NEW(struct generation);
    (*ret)->page = page;
    return ERR_OK;
}

void generation_close(struct generation *g)
{
    if (!g)
        return;
    CHECK(munmap(g->page, FILE_BYTES) == 0);
    mem_free(g);
}

uint64_t generation_get(const struct generation *g)
{
    if (atomic_load_explicit(&g->page->changing, memory_order_acquire))
        return atomic_fetch_add_explicit(&g->page->counter, 1, memory_order_acq_rel) + 1;
    return atomic_load_explicit(&g->page->counter, memory_order_acquire);
}

void generation_bump(struct generation *g)
{
    atomic_fetch_add_explicit(&g->page->counter, 1, memory_order_acq_rel);
    atomic_store_explicit(&g->page->changing, 0, memory_order_release);
}

void generation_will_change(struct generation *g)
{
    atomic_store_explicit(&g->page->changing, 1, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst); /* seen before anything of the commit is */
}

void generation_recover(struct generation *g)
{
    if (atomic_load_explicit(&g->page->changing, memory_order_acquire))
        generation_bump(g);
}
