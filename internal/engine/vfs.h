/* A thin layer over SQLite's own VFS: counts and times fsyncs on the board, takes randomness from the kernel
 * (the sandbox hides /dev/urandom), makes a failed sync of a new log's directory count, and keeps a read lock
 * between reads. */
#ifndef ENGINE_VFS_H
#define ENGINE_VFS_H

#include "wire/board.h"
#include <sqlite3.h>

struct vfs;

#define VFS_NAME "holdfast"

/* sqlite3_file_control: lets the kept lock go, before another connection of this process writes. */
#define VFS_LET_GO 7001

/* Registers the layer; call once after sqlite3_initialize. `board` outlives it. `keeps_read_lock`: only for
 * the process that makes the checkpoints, for a kept lock stops everybody else's. */
struct vfs *vfs_register(struct board *board, bool keeps_read_lock);
void vfs_unregister(struct vfs *v);

/* Calls watch(arg, may_refuse) now and then between reads and writes. When it may refuse and returns true,
 * that read of the database or its log fails with SQLITE_IOERR_READ. */
typedef bool vfs_watch_fn(void *arg, bool may_refuse);
void vfs_watch(struct vfs *v, vfs_watch_fn *watch, void *arg);

/* From now on the time of day is `wall_ms`, and *asked is set when somebody wants to know; `asked` NULL: it
 * is the machine's again. */
void vfs_hold_clock(struct vfs *v, int64_t wall_ms, bool *asked);

/* Commits need not reach the disk before they count (they do with the next one that must): what a power
 * failure takes away is then as if it had not been sent. */
void vfs_set_lazy(struct vfs *v, bool lazy);

#endif
