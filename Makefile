# Holdfast's build. `make help` lists what there is.
B ?= build
CC ?= cc
O ?= -O2
CSTD = -std=c11 -D_POSIX_C_SOURCE=200809L
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wformat=2 -Wvla -Wundef \
       -Wwrite-strings -Wimplicit-fallthrough -fno-common
ifeq ($(DEV),1)
WARN += -Werror
endif
HARDEN = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS_ALL = $(CSTD) $(O) -g $(WARN) $(HARDEN) -Iinternal -Ipolicy -I$(SQLITE_DIR) -MMD -MP $(CFLAGS)
LIBS = -levent_openssl -levent_pthreads -levent_core -levent_extra -lssl -lcrypto -ljwt -lcjson -lseccomp -largon2 -lpthread -lm

SQLITE_DIR = internal/sqlite/vendor/node_modules/better-sqlite3/deps/sqlite3
HF_SQLITE_CACHE ?= $(B)/sqlite

LIB_SRC = $(sort $(wildcard internal/*/*.c internal/api/*/*.c))
CMD_SRC = $(sort $(wildcard cmd/holdfast/*.c))
UNIT_SRC = $(sort $(wildcard tests/unit/*.c))
LIB_OBJ = $(LIB_SRC:%.c=$(B)/obj/%.o)
UNIT_OBJ = $(UNIT_SRC:%.c=$(B)/obj/%.o)

all: $(LIB_OBJ)
unit:
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c -o $@ $<
-include $(LIB_OBJ:.o=.d)
.PHONY: all unit
