/* See copy_file.h. */
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW */
#include "engine/copy_file.h"
#include "base/id.h"
#include "engine/engine_dir.h"

#include <fcntl.h>
#include <unistd.h>

enum err_code copy_file_begin(struct op *op, char ret_path[FS_PATH_MAX], struct err *err)
{
    struct str copy = wire_arg(&op->call, "copy");
    ret_path[0] = '\0';
    if (op->call.role != WIRE_ROLE_ADMIN || op->call.has_table_scope)
        return err_set(err, ERR_FORBIDDEN,
            "a copy is an admin's: the token must have the role admin and no table scope");
    if (!copy.ptr || (!id_valid(copy, "db") && !id_valid(copy, "snap")))
        return err_field(err, "/copy", "must be the id of a database or a snapshot");
    struct str name = arena_printf(op->arena, "out/" STR_FMT ".db", STR_ARG(copy));
    if (!name.ptr)
        return err_set(err, ERR_TOO_LARGE, "the call is too large");
    engine_dir_path(op, name.ptr, ret_path);
    copy_file_drop(ret_path);
    return ERR_OK;
}

enum err_code copy_file_settle(const char *path, struct err *err)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fsync(fd) != 0)
        return err_errno(err, ERR_IO, "make the copy durable");
    return ERR_OK;
}

void copy_file_drop(const char *path)
{
    static const char *const ENDS[] = {"", "-wal", "-shm"};
    char name[FS_PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(ENDS) && path[0]; i++) {
        str_print(name, sizeof name, "%s%s", path, ENDS[i]);
        (void)unlink(name); /* mostly there is none */
    }
}
