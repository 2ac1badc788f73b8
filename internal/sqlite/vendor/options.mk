# How SQLite is compiled, and why. Front and engine share one build.
SQLITE_OPTIONS = \
  -DSQLITE_THREADSAFE=2 \
  -DSQLITE_DEFAULT_MEMSTATUS=1 \
  -DSQLITE_DEFAULT_WAL_SYNCHRONOUS=2 \
  -DSQLITE_DQS=0 \
  -DSQLITE_TEMP_STORE=2 \
  -DSQLITE_USE_URI=0 \
  -DSQLITE_LIKE_DOESNT_MATCH_BLOBS \
  -DSQLITE_MAX_ALLOCATION_SIZE=67108864 \
  -DSQLITE_PRINTF_PRECISION_LIMIT=100000 \
  -DSQLITE_MAX_EXPR_DEPTH=1000 \
  -DSQLITE_ENABLE_COLUMN_METADATA \
  -DSQLITE_ENABLE_FTS5 \
  -DSQLITE_ENABLE_MATH_FUNCTIONS \
  -DSQLITE_ENABLE_PREUPDATE_HOOK \
  -DSQLITE_ENABLE_SESSION \
  -DSQLITE_ENABLE_STMT_SCANSTATUS \
  -DSQLITE_OMIT_DEPRECATED \
  -DSQLITE_OMIT_LOAD_EXTENSION \
  -DSQLITE_OMIT_SHARED_CACHE \
  -DSQLITE_OMIT_TCL_VARIABLE \
  -DHAVE_FDATASYNC=1 \
  -DHAVE_USLEEP=1 \
  -include $(SQLITE_VENDOR)/hwtime.h

# THREADSAFE=2         a connection belongs to one thread at a time; several threads of the front own one each
# DEFAULT_MEMSTATUS    an engine's sqlite3_hard_heap_limit64 needs the statistics
# TEMP_STORE=2         sorts and temporary tables stay in memory, inside the heap limit, unless trusted code says otherwise
# MAX_ALLOCATION_SIZE  no single value or array over 64 MiB; PRINTF_PRECISION_LIMIT: printf('%1000000000d') is cheap
# STMT_SCANSTATUS      counts the rows a statement visited (switched on for each connection); hwtime.h removes its clock
