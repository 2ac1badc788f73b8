/* See main_file.h. */
#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW */
#include "engine/main_file.h"
#include "base/fs.h"
#include "engine/engine_state.h"

#include <fcntl.h>
#include <unistd.h>

int main_file(struct engine *eng)
{
    char path[FS_PATH_MAX];
    if (eng->main_file > 0)
        return eng->main_file;
    fs_join(path, eng->cfg.dir, "main.db");
    eng->main_file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return eng->main_file;
}

void main_file_release(struct engine *eng)
{
    if (eng->main_file > 0)
        (void)close(eng->main_file); /* it was only read */
    eng->main_file = 0;
}
