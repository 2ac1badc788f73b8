/* See descriptors.h. */
#define _XOPEN_SOURCE 700 /* RLIMIT_NOFILE with strict C */
#include "work/descriptors.h"

#include <sys/resource.h>

enum {
    PER_ENGINE = 2,    /* its socket and its pidfd */
    SPARE = 512,       /* listener, loop, zygote, control.db on each worker, files of uploads and exports */
    LEAST = 2 * SPARE, /* below that the server is of no use to anybody */
};

uint64_t descriptors_needed(const struct descriptor_caps *caps)
{
    return (uint64_t)caps->connections + (uint64_t)PER_ENGINE * caps->engines + SPARE;
}

static unsigned scaled(unsigned cap, uint64_t part, uint64_t whole)
{
    uint64_t less = cap * part / whole;
    return less > 0 ? (unsigned)less : 1;
}

enum err_code descriptors_fit(uint64_t allowed, struct descriptor_caps *caps, struct err *err)
{
    uint64_t needed = descriptors_needed(caps);
    if (needed <= allowed)
        return ERR_OK;
    if (allowed < LEAST)
        return err_set(err, ERR_UNAVAILABLE,
            "the system allows %llu open files, and the server needs %llu: raise LimitNOFILE= in the unit "
            "(or "
            "`ulimit -Hn`), or lower --max-connections and --max-engines",
            (unsigned long long)allowed, (unsigned long long)needed);
    caps->connections = scaled(caps->connections, allowed - SPARE, needed - SPARE);
    caps->engines = scaled(caps->engines, allowed - SPARE, needed - SPARE);
    return ERR_OK;
}

enum err_code descriptors_raise(struct descriptor_caps *caps, uint64_t *ret_allowed, struct err *err)
{
    struct rlimit limit;
    uint64_t needed = descriptors_needed(caps);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return err_errno(err, ERR_UNAVAILABLE, "reading the limit of open files");
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : (rlim_t)needed;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            return err_errno(err, ERR_UNAVAILABLE, "raising the limit of open files");
    }
    *ret_allowed = limit.rlim_cur;
    return descriptors_fit(limit.rlim_cur, caps, err);
}
