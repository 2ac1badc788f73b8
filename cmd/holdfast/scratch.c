/* See scratch.h. */
#define _GNU_SOURCE /* pipe2; prctl: the server must not outlive a command that is killed */
#include "scratch.h"
#include "base/check.h"
#include "base/rand.h"
#include "bootstrap/bootstrap.h"
#include "cli.h"
#include "crypto/password.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LISTENING    "listening on "
#define LINE_BYTES   4096
#define LOG_BYTES    (1 << 20)
#define OWN_PREFIX   "HOLDFAST_"
#define NO_SANDBOX   "HOLDFAST_INSECURE_NO_SANDBOX="
#define STOP_MS      15000
#define STOP_STEP_US 5000

static enum err_code make_dir(struct scratch *s, struct err *err)
{
    const char *where = getenv("TMPDIR");

    fs_join(s->dir, where && where[0] ? where : "/tmp", "holdfast-scratch-XXXXXX");
    if (mkdtemp(s->dir))
        return ERR_OK;
    s->dir[0] = 0;
    return err_errno(err, ERR_IO, "making a directory for the throw-away server");
}

static void data_path(const struct scratch *s, char out[FS_PATH_MAX])
{
    fs_join(out, s->dir, "data");
}

static enum err_code make_data(struct scratch *s, struct err *err)
{
    AUTO_FD lock = -1;
    AUTO_SECRET password = SECRET_INIT;
    char path[FS_PATH_MAX];
    struct bootstrap_result made = {.token = SECRET_INIT};
    struct cli_actor actor;

    data_path(s, path);
    password_generate(&password);
    struct bootstrap_new in = {.by = cli_actor("policy test", &actor),
        .data_dir = path,
        .email = S("nobody@example.com"),
        .password = secret_reveal(&password),
        .namespace_slug = S(SCRATCH_NAMESPACE)};
    enum err_code code = bootstrap_lock(path, &lock, err);
    if (!code)
        code = bootstrap_run(&in, &made, err);
    if (!code)
        CHECK(secret_set(&s->token, secret_reveal(&made.token)));
    secret_release(&made.token);
    return code;
}

/* --- The process --- */

extern char **environ;

/* Options of the command that are set in the environment are none of this server's, except that it may run
 * where there is no sandbox. */
static void clean_environment(void)
{
    char **keep = environ;

    for (char **at = environ; *at; at++)
        if (strncmp(*at, OWN_PREFIX, strlen(OWN_PREFIX)) != 0 ||
            strncmp(*at, NO_SANDBOX, strlen(NO_SANDBOX)) == 0)
            *keep++ = *at;
    *keep = NULL;
}

static void run_child(const struct scratch *s, int out, int log, pid_t parent)
{
    char path[FS_PATH_MAX];
    char program[] = "holdfast", command[] = "serve", data[] = "--data", listen[] = "--listen",
         address[] = "127.0.0.1:0";
    char *words[] = {program, command, data, path, listen, address, NULL};

    data_path(s, path);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        _exit(CLI_FAILED);
    clean_environment();
    (void)execv("/proc/self/exe", words); /* returns on failure alone */
    _exit(CLI_FAILED);
}

static enum err_code spawn(struct scratch *s, int *ret_out, struct err *err)
{
    AUTO_FD log = -1;
    int ends[2];
    char path[FS_PATH_MAX];
    pid_t parent = getpid();

    fs_join(path, s->dir, "log");
    log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (log < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, ERR_IO, "starting the throw-away server");
    s->pid = fork();
    if (s->pid == 0)
        run_child(s, ends[1], log, parent);
    fd_close(&ends[1]);
    *ret_out = ends[0];
    return s->pid > 0 ? ERR_OK : err_errno(err, ERR_IO, "starting the throw-away server");
}

/* The last line of the log says why. */
static enum err_code did_not_start(const struct scratch *s, struct err *err)
{
    AUTO_STRBUF log;
    char path[FS_PATH_MAX];

    strbuf_init(&log, LOG_BYTES);
    fs_join(path, s->dir, "log");
    err_ignore(fs_read_all(path, LOG_BYTES, &log, NULL)); /* then nobody knows more */
    struct str text = str_trim(strbuf_str(&log)), last = text, line;
    while (str_cut(&text, '\n', &line))
        last = line;
    return err_set(err, ERR_UNAVAILABLE, "the throw-away server did not start: " STR_FMT,
        STR_ARG(str_slice(last, 0, 300)));
}

/* What it prints after that line nobody reads, which does not disturb it. */
static enum err_code wait_until_listening(struct scratch *s, FILE *out, struct err *err)
{
    char line[LINE_BYTES];

    while (fgets(line, sizeof line, out)) {
        struct str url = str_trim(str_of(line));
        if (!str_starts(url, S(LISTENING)) || url.len - strlen(LISTENING) >= sizeof s->url)
            continue;
        url = str_slice(url, strlen(LISTENING), url.len);
        str_print(s->url, sizeof s->url, STR_FMT, STR_ARG(url));
        return ERR_OK;
    }
    return did_not_start(s, err);
}

enum err_code scratch_start(struct scratch *s, struct err *err)
{
    int out = -1;

    *s = (struct scratch){.token = SECRET_INIT};
    enum err_code code = make_dir(s, err);
    if (!code)
        code = make_data(s, err);
    if (!code)
        code = spawn(s, &out, err);
    FILE *lines = out >= 0 ? fdopen(out, "r") : NULL;
    if (!code)
        code = lines ? wait_until_listening(s, lines, err)
                     : err_errno(err, ERR_IO, "reading of the throw-away server");
    if (lines)
        (void)fclose(lines); /* only read */
    else
        fd_close(&out);
    return code;
}

/* --- The end --- */

static bool gone(const struct scratch *s)
{
    pid_t pid = waitpid(s->pid, NULL, WNOHANG);

    return pid == s->pid || (pid < 0 && errno == ECHILD);
}

void scratch_stop(struct scratch *s)
{
    if (s->pid > 0) {
        (void)kill(s->pid, SIGTERM); /* gone already is fine */
        for (int ms = 0; !gone(s) && ms < STOP_MS; ms += STOP_STEP_US / 1000) {
            struct timespec pause = {0, STOP_STEP_US * 1000L};
            (void)nanosleep(&pause, NULL); /* woken early is fine */
        }
        if (!gone(s)) {
            (void)kill(s->pid, SIGKILL);
            (void)waitpid(s->pid, NULL, 0);
        }
    }
    secret_release(&s->token);
    if (s->dir[0])
        err_ignore(fs_remove_tree(s->dir, NULL)); /* what is left is in the directory for such things */
    s->pid = 0;
    s->dir[0] = 0;
}
