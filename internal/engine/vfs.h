/* A thin layer over SQLite's own VFS: counts and times fsyncs on the board, takes randomness from the kernel
 * (the sandbox hides /dev/urandom), and makes a failed sync of a new log's directory count. */
#ifndef ENGINE_VFS_H
#define ENGINE_VFS_H

#include "wire/board.h"
#include <sqlite3.h>

struct vfs;

#define VFS_NAME "holdfast"

/* Registers the layer; call once after sqlite3_initialize. `board` outlives it. */
struct vfs *vfs_register(struct board *board);
void vfs_unregister(struct vfs *v);

#endif
