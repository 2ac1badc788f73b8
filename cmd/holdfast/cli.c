/* What the subcommands share. */
#include "cli.h"
#include "base/check.h"
#include "base/clock.h"
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Domain functions name fields as the API knows them. */
static const struct {
    const char *pointer, *option;
} FIELDS[] = {
    {"/email", "--email"},
    {"/namespace", "--namespace"},
    {"/password", "the password"},
    {"/data", "--data"},
    {"/name", "--name"},
    {"/role", "--role"},
    {"/database", "--database"},
    {"/tableScope", "--tables"},
    {"/expiresIn", "--expires-in"},
    {"/allowedAddresses", "--allow-address"},
    {"/claims", "--claims"},
    {"/overlap", "--overlap"},
    {"/repo", "--repo"},
    {"/issuer", "--issuer"},
};

static const char *option_of(const char *pointer)
{
    for (size_t i = 0; i < ARRAY_LEN(FIELDS); i++)
        if (str_starts(str_of(pointer), str_of(FIELDS[i].pointer)))
            return FIELDS[i].option;
    return NULL;
}

int cli_fail(const char *command, const struct err *err)
{
    const char *option = option_of(err->pointer);
    const char *message = err->message;

    if (option) { /* the message begins with the pointer */
        const char *colon = strstr(message, ": ");
        message = colon ? colon + 2 : message;
    }
    (void)fprintf(stderr, "holdfast %s: %s%s%s\n", command, option ? option : "", option ? " " : "", message);
    return err->code == ERR_INVALID ? CLI_USAGE : CLI_FAILED;
}

int cli_print(const char *command, const struct strbuf *text)
{
    struct err err = ERR_INIT;

    CHECK(!strbuf_failed(text));
    bool written = fwrite(strbuf_cstr(text), 1, text->len, stdout) == text->len;
    if (fflush(stdout) == 0 && written)
        return CLI_OK;
    err_errno(&err, ERR_IO, "writing to standard output");
    return cli_fail(command, &err);
}

int cli_print_done(const char *command, bool json, const char *id, const char *what)
{
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    if (json) {
        jsonw_init(&w, &out);
        jsonw_object(&w);
        JSONW_CSTR(&w, "id", id);
        JSONW_BOOL(&w, what, true);
        jsonw_object_end(&w);
    } else {
        strbuf_addf(&out, "%s is %s.", id, what);
    }
    strbuf_add_char(&out, '\n');
    return cli_print(command, &out);
}

enum err_code cli_open(
    const char *data_dir, enum db_mode mode, struct control *ret, struct db **ret_db, struct err *err)
{
    struct stat st;
    enum err_code code = control_open(data_dir, CONTROL_CURRENT, ret, err);

    if (code == ERR_NOT_FOUND && stat(data_dir, &st) == 0 && !S_ISDIR(st.st_mode))
        return err_set(
            err, code, "%s is not a directory; --data names the one that serve was given", data_dir);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "%s holds no Holdfast data; `holdfast init` makes it", data_dir);
    if (code)
        return code;
    code = control_connect(ret, mode, ret_db, err);
    if (code)
        control_close(ret);
    return code;
}

void cli_close(struct control *control, struct db *db)
{
    db_close(db);
    control_close(control);
}

/* The real user: a set-user-id wrapper does not hide who called it. */
static void os_user(char *out, size_t size)
{
    char text[4096];
    struct passwd entry, *found = NULL;

    if (getpwuid_r(getuid(), &entry, text, sizeof text, &found) == 0 && found)
        str_print_cut(out, size, "%s", found->pw_name);
    else
        str_print(out, size, "uid %u", (unsigned)getuid());
}

const struct actor *cli_actor(const char *command, struct cli_actor *room)
{
    os_user(room->name, sizeof room->name);
    str_print(room->client, sizeof room->client, "holdfast %s", command);
    room->by = (struct actor){.kind = ACTOR_CLI, .name = str_of(room->name), .client = str_of(room->client)};
    return &room->by;
}

void cli_json_time(struct jsonw *w, const char *key, int64_t wall_ms)
{
    char iso[CLOCK_ISO_MAX];

    jsonw_key(w, key);
    if (!wall_ms) {
        jsonw_null(w);
        return;
    }
    clock_iso(wall_ms, iso);
    jsonw_cstr(w, iso);
}
