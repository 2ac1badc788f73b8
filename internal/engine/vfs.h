/* A thin layer over SQLite's own VFS: counts and times fsyncs on the board, takes randomness from the kernel
 * (the sandbox hides /dev/urandom), and, in builds with HF_FAULTS, fails the nth write, sync or open. */
#ifndef ENGINE_VFS_H
#define ENGINE_VFS_H

#include "wire/board.h"
#include <sqlite3.h>

struct vfs;

#define VFS_NAME "holdfast"

/* Registers the layer; call once after sqlite3_initialize. `board` outlives it. */
struct vfs *vfs_register(struct board *board);
void vfs_unregister(struct vfs *v);

#ifdef HF_FAULTS
enum vfs_fault { VFS_FAULT_NONE, VFS_FAULT_WRITE, VFS_FAULT_SYNC, VFS_FAULT_OPEN, VFS_FAULT_FULL };
/* The nth operation of that kind from now on fails (n = 1: the next), and every later one when `for_ever`. */
void vfs_fault_set(struct vfs *v, enum vfs_fault kind, unsigned nth, bool for_ever);
unsigned vfs_fault_hits(const struct vfs *v);
#endif

#endif
