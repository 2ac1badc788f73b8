/* Reading the owner's password: never from the command line, where every user of the machine can see it. */
#define _GNU_SOURCE /* sigaction flags beside strict C */
#include "cli.h"
#include "crypto/secret.h"
#include "base/mem.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t g_interrupted;

static void on_interrupt(int signum)
{
    g_interrupted = signum;
}

/* Byte by byte, so that what follows the line stays in the pipe. */
static enum err_code read_line(struct secret *ret, struct err *err)
{
    char line[SECRET_MAX];
    size_t len = 0;
    enum err_code code = ERR_OK;

    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR && !g_interrupted)
            continue;
        if (n < 0)
            code = err_errno(err, ERR_IO, "reading the password");
        if (n <= 0 || c == '\n')
            break;
        if (len == sizeof line) {
            code = err_set(err, ERR_INVALID, "the password is longer than %d bytes", SECRET_MAX);
            break;
        }
        line[len++] = c;
    }
    if (len && line[len - 1] == '\r')
        len--;
    if (!code && !secret_set(ret, str_make(line, len)))
        code = err_set(err, ERR_INVALID, "the password is longer than %d bytes", SECRET_MAX);
    mem_wipe(line, sizeof line);
    return code;
}

static void say(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n; /* a prompt that cannot be shown is not worth an error */
}

static enum err_code ask_twice(struct secret *ret, struct err *err)
{
    AUTO_SECRET again = SECRET_INIT;

    say("Password for the owner: ");
    enum err_code code = read_line(ret, err);
    say("\n");
    if (code)
        return code;
    say("The same again: ");
    code = read_line(&again, err);
    say("\n");
    if (code || str_eq(secret_reveal(ret), secret_reveal(&again)))
        return code;
    return err_set(err, ERR_INVALID, "the two passwords differ");
}

/* Echo comes back whatever happens: an interrupt ends the reading, and is sent again afterwards. */
static enum err_code ask_on_terminal(struct secret *ret, struct err *err)
{
    struct termios before, quiet;
    struct sigaction mine = {.sa_handler = on_interrupt}, old_int, old_term;

    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return err_errno(err, ERR_IO, "preparing the terminal");
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)sigaction(SIGINT, &mine, &old_int); /* valid arguments cannot fail */
    (void)sigaction(SIGTERM, &mine, &old_term);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    enum err_code code = ask_twice(ret, err);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)sigaction(SIGINT, &old_int, NULL);
    (void)sigaction(SIGTERM, &old_term, NULL);
    if (g_interrupted)
        (void)raise(g_interrupted);
    return code;
}

static bool from_environment(struct secret *ret, enum err_code *ret_code, struct err *err)
{
    const char *given = getenv("HOLDFAST_PASSWORD");

    if (!given || !*given)
        return false;
    *ret_code = secret_set(ret, str_of(given))
                    ? ERR_OK
                    : err_set(err, ERR_INVALID, "HOLDFAST_PASSWORD is longer than %d bytes", SECRET_MAX);
    return true;
}

enum err_code cli_read_password(struct secret *ret, struct err *err)
{
    enum err_code code;

    if (from_environment(ret, &code, err))
        return code;
    return isatty(STDIN_FILENO) ? ask_on_terminal(ret, err) : read_line(ret, err);
}

enum err_code cli_password_if_given(struct secret *ret, struct err *err)
{
    enum err_code code;

    if (from_environment(ret, &code, err))
        return code;
    return isatty(STDIN_FILENO) ? ERR_OK : read_line(ret, err);
}
