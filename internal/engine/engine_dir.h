/* Files of one database: its directory is the engine's whole world. Engine's thread. */
#ifndef ENGINE_ENGINE_DIR_H
#define ENGINE_ENGINE_DIR_H

#include "base/fs.h"

struct op;

/* The path of `name` ("out/x.db", a name of ours) in the directory of the call's database. */
void engine_dir_path(struct op *op, const char *name, char out[FS_PATH_MAX]);

#endif
