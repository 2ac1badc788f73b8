/* What the machine gives: kernel features, limits, versions. */
#define _GNU_SOURCE /* memfd_create, syscall and uname beside strict C */
#include "base/fs.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "doctor.h"
#include "engine/sandbox.h"
#include "work/loop.h"
#include "work/descriptors.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* --- Kernel --- */

static void check_sandbox(struct doctor *d)
{
    struct sandbox sandbox;
    struct err err = ERR_INIT;

    d->can_sandbox = sandbox_prepare(&sandbox, &err) == ERR_OK;
    if (!d->can_sandbox) {
        doctor_bad(d, "kernel",
            "use a kernel with CONFIG_SECURITY_LANDLOCK and CONFIG_SECCOMP_FILTER (Debian 12's has both; "
            "look for landlock in "
            "/sys/kernel/security/lsm, and whether a container's profile forbids it); serve starts without "
            "only with "
            "--insecure-no-sandbox",
            "engines cannot be sandboxed: %s", err.message);
        return;
    }
    doctor_ok(d, "kernel", "Landlock (ABI %d) and seccomp", sandbox.landlock_abi);
    sandbox_release(&sandbox);
}

static void check_calls(struct doctor *d)
{
    AUTO_FD pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    AUTO_FD memory = memfd_create("doctor", MFD_CLOEXEC);

    if (pidfd < 0)
        doctor_bad(d, "kernel", "use Linux 5.3 or newer, and a container profile that allows it",
            "pidfd_open does not work");
    if (memory < 0)
        doctor_bad(d, "kernel", "use Linux 3.17 or newer, and a container profile that allows it",
            "memfd_create does not work");
    if (pidfd >= 0 && memory >= 0)
        doctor_ok(d, "kernel", "pidfd_open and memfd_create");
}

static void check_kernel(struct doctor *d)
{
    struct utsname name;

    if (uname(&name) == 0)
        doctor_ok(d, "kernel", "%s %s on %s", name.sysname, name.release, name.machine);
    check_sandbox(d);
    check_calls(d);
}

/* --- Limits --- */

enum {
    PROCESSES_SPARE = 64,
};

static void compare_limit(struct doctor *d, rlim_t have, int64_t need, const char *what, const char *advice)
{
    if (have == RLIM_INFINITY)
        doctor_ok(d, "limits", "%s: unlimited", what);
    else if (have >= (rlim_t)need)
        doctor_ok(d, "limits", "%s: %llu", what, (unsigned long long)have);
    else
        doctor_note(d, "limits", advice, "%s: %llu, and the defaults may use %lld", what,
            (unsigned long long)have, (long long)need);
}

/* The hard limits: the server raises its own soft ones. */
static void check_rlimits(struct doctor *d)
{
    struct descriptor_caps defaults = {(unsigned)LIMIT_CONNECTIONS, (unsigned)LIMIT_ENGINES};
    struct rlimit files, processes;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        compare_limit(d, files.rlim_max, (int64_t)descriptors_needed(&defaults), "open files",
            "raise LimitNOFILE= in the unit (or `ulimit -Hn`), or lower --max-connections and --max-engines");
    if (getrlimit(RLIMIT_NPROC, &processes) == 0)
        compare_limit(d, processes.rlim_max, LIMIT_ENGINES + PROCESSES_SPARE, "processes",
            "raise LimitNPROC= in the unit (or `ulimit -Hu`), or lower --max-engines");
}

/* The control group's own limit on processes; absent or "max" where there is none. */
static void check_pids_max(struct doctor *d)
{
    AUTO_STRBUF text;
    int64_t limit;

    strbuf_init(&text, 64);
    if (fs_read_all("/sys/fs/cgroup/pids.max", 64, &text, NULL) != ERR_OK)
        return;
    if (str_to_i64(str_trim(strbuf_str(&text)), 0, INT64_MAX, &limit))
        compare_limit(d, (rlim_t)limit, LIMIT_ENGINES + PROCESSES_SPARE, "processes of the control group",
            "raise TasksMax= in the unit, or the container's limit on pids, or lower --max-engines");
}

/* --- Versions --- */

/* The version of a Debian package on this machine, "" when it cannot be known. */
static struct str debian_version(struct strbuf *status, const char *package)
{
    AUTO_STRBUF header;
    struct str rest, line;
    bool inside = false;

    strbuf_init(&header, 256);
    strbuf_addf(&header, "Package: %s", package);
    rest = strbuf_str(status);
    while (str_cut(&rest, '\n', &line)) {
        if (str_starts(line, S("Package: ")))
            inside = str_eq(line, strbuf_str(&header));
        if (inside && str_starts(line, S("Version: ")))
            return str_slice(line, strlen("Version: "), line.len);
    }
    return STR_EMPTY;
}

/* 2.1.13 and Debian's 2.1.12-stable-8+deb12u1 have the security fixes of 2026. */
static bool is_fixed_build(struct str version)
{
    static const struct str OLD = {"2.1.12-stable-", sizeof "2.1.12-stable-" - 1};
    struct str rest = str_slice(version, OLD.len, version.len), revision;
    int64_t number;

    if (!str_starts(version, OLD))
        return false;
    if (!str_cut(&rest, '+', &revision) || !str_to_i64(revision, 0, INT32_MAX, &number))
        return false;
    return number > 8 || (number == 8 && str_starts(rest, S("deb12u")));
}

static void check_libevent(struct doctor *d)
{
    AUTO_STRBUF status;
    const char *running = loop_library_version();
    struct str build = STR_EMPTY;

    strbuf_init(&status, 64 << 20);
    if (!str_starts(str_of(running), S("2.1.12"))) {
        doctor_ok(d, "versions", "libevent %s", running);
        return;
    }
    if (fs_read_all("/var/lib/dpkg/status", 64 << 20, &status, NULL) == ERR_OK)
        build = debian_version(&status, "libevent-core-2.1-7");
    if (is_fixed_build(build))
        doctor_ok(d, "versions", "libevent " STR_FMT ", with the security fixes", STR_ARG(build));
    else if (build.len)
        doctor_bad(d, "versions",
            "apt-get install --only-upgrade libevent-core-2.1-7 libevent-extra-2.1-7 libevent-openssl-2.1-7",
            "libevent " STR_FMT " has known holes in its HTTP parser", STR_ARG(build));
    else
        doctor_note(d, "versions",
            "make sure that it is Debian's 2.1.12-stable-8+deb12u1 or newer, or 2.1.13",
            "libevent %s, of a build that cannot be told", running);
}

void doctor_host(struct doctor *d)
{
    check_kernel(d);
    check_rlimits(d);
    check_pids_max(d);
    doctor_ok(d, "versions", "Holdfast " HF_VERSION ", SQLite %s, %s", db_library_version(),
        digest_library_version());
    check_libevent(d);
}
