# Holdfast's build. `make help` lists what there is.
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
SHELL = /bin/bash
# V=1 shows every command, -s none.
Q := $(if $(V),,@)
say = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),,@printf '  %-7s %s\n' $(1) $(2))

VERSION = 0.1.0
ifeq ($(origin CC),default)
CC = gcc
endif
O ?= -O2
AR ?= ar

# --- Variants: each in a folder of its own, so that they live side by side -----------------------------------------
# DEV=1 turns warnings into errors, CC=clang, SAN=address,undefined, SAN=thread, COV=1.
comma := ,
empty :=
space := $(empty) $(empty)
VARIANT := $(if $(filter-out gcc cc,$(CC)),-$(notdir $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(COV),-cov)$(if $(FUZZER),-fuzzer)
B := build$(if $(VARIANT),/variant$(VARIANT))

SQLITE_VENDOR = internal/sqlite/vendor
SQLITE_DIR = $(SQLITE_VENDOR)/node_modules/better-sqlite3/deps/sqlite3
SQLITE_STAMP = $(SQLITE_VENDOR)/node_modules/.installed

# --- Flags -------------------------------------------------------------------------------------------------------
CSTD = -std=c11 -D_POSIX_C_SOURCE=200809L
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wformat=2 -Wvla -Wundef \
       -Wwrite-strings -Wimplicit-fallthrough -fno-common \
       $(if $(findstring clang,$(CC)),-Wno-string-concatenation) # rows of long literals are how the formatter breaks lines
WERROR = $(if $(filter 1,$(DEV)),-Werror)
HARDEN = -fPIE -fstack-protector-strong -fstack-clash-protection
HARDEN_LD = -pie -Wl,--as-needed -Wl,-z,relro,-z,now,-z,noexecstack
ifneq ($(filter x86_64-% i686-%,$(shell $(CC) -dumpmachine 2>/dev/null)),)
HARDEN += -fcf-protection=full
endif
ifneq ($(SAN),)
OPT = -O1 -fsanitize=$(SAN)$(if $(FUZZER),$(comma)fuzzer-no-link) -fno-omit-frame-pointer -fno-sanitize-recover=all -DHF_DEBUG
else ifneq ($(COV),)
# clang's continuous mode maps the counters of the file, shared by forks, before any sandbox: an engine that is killed counts.
OPT = -O1 -fprofile-instr-generate=$(CURDIR)/$(B)/profile/%m%c.profraw -fcoverage-mapping -mllvm -runtime-counter-relocation \
      -DHF_DEBUG
else
OPT = $(O) -D_FORTIFY_SOURCE=2
endif
# An allocation too large is an error that our code must see, with every allocator.
export ASAN_OPTIONS ?= detect_stack_use_after_return=1:allocator_may_return_null=1
export TSAN_OPTIONS ?= halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1
export UBSAN_OPTIONS ?= print_stacktrace=1
LD_VARIANT = $(if $(SAN),-fsanitize=$(SAN)) $(if $(COV),-fprofile-instr-generate)
INCLUDE = -Iinternal -Ipolicy -I$(B)/gen -isystem $(SQLITE_DIR)
CFLAGS_ALL = $(CSTD) $(OPT) -g $(WARN) $(HARDEN) $(INCLUDE) -DHF_VERSION='"$(VERSION)"' $(CFLAGS)
LIBS = -levent_openssl -levent_pthreads -levent_extra -levent_core -lssl -lcrypto -ljwt -lcjson -lseccomp -largon2 -lpthread -lm

# --- Sources -----------------------------------------------------------------------------------------------------
LIB_SRC := $(sort $(wildcard internal/*/*.c internal/api/*/*.c))
CMD_SRC := $(sort $(wildcard cmd/holdfast/*.c))
TESTLIB_SRC := $(sort $(wildcard tests/lib/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o) $(B)/obj/gen/migrations.o
CMD_OBJ := $(CMD_SRC:%.c=$(B)/obj/%.o)
TESTLIB_OBJ := $(TESTLIB_SRC:%.c=$(B)/obj/%.o)
LIB := $(B)/libholdfast.a
BIN := $(if $(CMD_SRC),$(B)/holdfast)

# SQLite, which takes a minute, is the first of all to be compiled, beside everything else.
all: $(B)/sqlite3.o $(LIB) $(BIN) ## builds build/holdfast (DEV=1 SAN=address,undefined SAN=thread CC=clang COV=1: see the top of the Makefile)
	@:

# `make run` and its kind install what is missing; a plain `make` says what that is.
toolchain:
	$(if $(filter 0,$(MAKELEVEL)),@NO_INSTALL=1 cmd/bootstrap/bootstrap build)

# Objects depend on this file, which changes when the compiler or a flag does.
FLAGS_TEXT = $(CC) $(CFLAGS_ALL)
$(B)/flags: force | toolchain
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FLAGS_TEXT))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS_TEXT))' >$@

# A test case is found by its name and has no header.
$(B)/obj/tests/%.o: EXTRA = -Wno-missing-prototypes -Itests
$(B)/obj/%.o: %.c $(B)/flags | $(SQLITE_STAMP)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(EXTRA) $(WERROR) -MMD -MP -c -o $@ $<

# Generated text is made of long string literals, more than -Wpedantic allows.
$(B)/obj/gen/%.o: $(B)/gen/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -Itests -Wno-overlength-strings $(WERROR) -MMD -MP -c -o $@ $<

# A fuzz target takes of tests/lib what it uses; the C suites take all of it.
TESTLIB := $(B)/libtests.a
$(LIB): $(LIB_OBJ)
$(TESTLIB): $(TESTLIB_OBJ)
$(LIB) $(TESTLIB):
	@rm -f $@
	$(Q)$(AR) rcsD $@ $^

$(B)/holdfast: $(CMD_OBJ) $(LIB) $(B)/sqlite3.o
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN_LD) $(LD_VARIANT) $(LDFLAGS) -o $@ $(CMD_OBJ) $(LIB) $(B)/sqlite3.o $(LIBS)

# --- SQLite: the pinned amalgamation, compiled once for each set of options -----------------------------------------
HF_SQLITE_CACHE ?= $(B)/sqlite
include $(SQLITE_VENDOR)/options.mk
SQLITE_FLAGS = -std=gnu11 -O2 -g1 -w $(HARDEN) $(if $(SAN),-fsanitize=$(SAN)$(if $(FUZZER),$(comma)fuzzer-no-link) -fno-omit-frame-pointer) $(SQLITE_OPTIONS)

# A folder's npm packages, exactly those of its lock file; the stamp is a copy of it, so that a mere touch fetches nothing.
%/node_modules/.installed: %/package-lock.json
	@cmp -s $< $@ && touch $@ || cmd/bootstrap/npm-packages $*

# The cache is keyed by source, flags and compiler; a fresh object appears whole, whoever else compiles at the time.
$(B)/sqlite3.o: $(SQLITE_STAMP) $(SQLITE_VENDOR)/options.mk $(B)/flags
	@mkdir -p $(@D) $(HF_SQLITE_CACHE)
	@key=$$( { cat $(SQLITE_DIR)/sqlite3.c; $(CC) --version; echo "$(subst ",\",$(SQLITE_FLAGS))"; } | sha256sum | cut -c1-24); \
	cached=$(HF_SQLITE_CACHE)/sqlite3-$$key.o; \
	if [ ! -f $$cached ]; then echo "compiling SQLite (about a minute, once)"; \
	  $(CC) $(SQLITE_FLAGS) -c -o $$cached.$$$$ $(SQLITE_DIR)/sqlite3.c && mv $$cached.$$$$ $$cached; fi && cp $$cached $@

# --- Text that lives in the binary -----------------------------------------------------------------------------------
$(B)/embed: cmd/embed/embed.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CFLAGS_ALL) $(WERROR) $(HARDEN_LD) $(LD_VARIANT) -o $@ $<

MIGRATIONS := $(sort $(wildcard migrations/control/*.sql migrations/tenant/*.sql))
$(B)/gen/migrations.c: $(B)/embed $(MIGRATIONS) $(wildcard migrations/control migrations/tenant)
	@mkdir -p $(@D)
	$(Q)$(B)/embed $@ $(MIGRATIONS)

# --- Tests in C: one binary a folder, its cases found by name ----------------------------------------------------------
# make unit T=subject runs a part, SEED=n repeats an order, V=1 shows every case.
define suite
$(1)_SRC := $$(filter-out tests/$(1)/main.c,$$(sort $$(wildcard tests/$(1)/*.c)))
$(1)_OBJ := $$($(1)_SRC:%.c=$$(B)/obj/%.o)
$$(B)/gen/$(1)_table.c: tests/unit/table.awk $$($(1)_SRC) tests/$(1)
	@mkdir -p $$(@D)
	$$(Q)awk -f tests/unit/table.awk $$($(1)_SRC) >$$@
$$(B)/$(1): $$(B)/sqlite3.o $$($(1)_OBJ) $$(B)/obj/gen/$(1)_table.o $$(B)/obj/tests/unit/main.o $$(TESTLIB_OBJ) $$(LIB)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(HARDEN_LD) $$(LD_VARIANT) $$($(1)_LD) $$(LDFLAGS) -o $$@ $$($(1)_OBJ) $$(B)/obj/gen/$(1)_table.o $$(B)/obj/tests/unit/main.o \
	  $$(TESTLIB_OBJ) $$(LIB) $$(B)/sqlite3.o -lcmocka $$(LIBS)
$(1): $$(B)/$(1)
	@$$(B)/$(1) $$(T) >$$(B)/$(1).log 2>&1; status=$$$$?; \
	if [ -n "$$(V)" ] || [ $$$$status -ne 0 ]; then $$(if $$(V),cat,grep -avE '^\[( +(RUN|OK|PASSED|TIME)|=+)') $$(B)/$(1).log; tail -n 2 $$(B)/$(1).log; \
	else tail -n 2 $$(B)/$(1).log; fi; exit $$$$status
endef
fault_LD = -Wl,--wrap=mem_try_grow
C_SUITES := $(foreach s,unit api fault,$(if $(wildcard tests/$(s)/*.c),$(s)))
$(foreach s,$(C_SUITES),$(eval $(call suite,$(s))))

# --- Fuzzing: tests/fuzz/fuzz_NAME.c holds LLVMFuzzerTestOneInput, tests/fuzz/corpus/NAME/ its inputs --------------------
# `make test` replays the corpora; `make fuzz` searches for FUZZ_SECONDS a target (FUZZ=name picks one) and keeps what it
# finds in build/.
FUZZ_SECONDS ?= 60
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_sql_engine_LD = -Wl,--wrap=send
FUZZ_REPLAY := $(FUZZ_NAMES:%=$(B)/fuzz/replay_%)
$(B)/fuzz/replay_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/replay.o $(TESTLIB) $(LIB) $(B)/sqlite3.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN_LD) $(LD_VARIANT) $(fuzz_$*_LD) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/fuzz/search_%: $(B)/obj/tests/fuzz/fuzz_%.o $(TESTLIB) $(LIB) $(B)/sqlite3.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN_LD) $(LD_VARIANT) -fsanitize=fuzzer $(fuzz_$*_LD) $(LDFLAGS) -o $@ $^ $(LIBS)
fuzz-search: $(FUZZ_NAMES:%=$(B)/fuzz/search_%)
	@:
.PRECIOUS: $(B)/obj/%.o

# --- The program, but it can be told to die at a named moment (internal/base/fail_point.h) --------------------------------
$(B)/crash/holdfast: $(CMD_OBJ) $(B)/obj/tests/crash/fail_point.o $(LIB) $(B)/sqlite3.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN_LD) $(LD_VARIANT) $(LDFLAGS) -o $@ $^ $(LIBS)

BENCH_BIN := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/bench/*.c))
replay: $(FUZZ_REPLAY)
	@:
test-binaries: $(C_SUITES:%=$(B)/%) $(FUZZ_REPLAY) $(BENCH_BIN) $(B)/crash/holdfast
	@:

# --- The benchmark's yardsticks in C: each a program of one file ---------------------------------------------------------
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(LIB) $(B)/sqlite3.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN_LD) $(LD_VARIANT) $(LDFLAGS) -o $@ $^ $(LIBS)

# --- What people call ------------------------------------------------------------------------------------------------
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
BOOTSTRAP = @cmd/bootstrap/bootstrap

run: ## installs what is missing, builds, serves on http://127.0.0.1:8080 with its data in ./data (ARGS="--listen …")
	$(BOOTSTRAP) build
	@$(SUBMAKE) all
	@HOLDFAST_LISTEN="$${HOLDFAST_LISTEN:-127.0.0.1:8080}" HOLDFAST_DATA="$${HOLDFAST_DATA:-./data}" $(B)/holdfast serve $(ARGS)

test: ## installs what tests need, builds, runs every suite; the last line is "N passed, N failed" (T="e2e/ unit" picks)
	$(BOOTSTRAP) build test
	@$(SUBMAKE) all test-binaries tests/clients/node_modules/.installed
	@B=$(B) tests/run $(T)

demo: ## the product's main job against a fresh server, on real data
	$(BOOTSTRAP) build demo
	@$(SUBMAKE) all
	@PYTHONPATH=tests/lib /usr/bin/python3 tests/demo/demo.py $(B)/holdfast

bench: ## speed and size against other servers, as ratios measured in one run
	$(BOOTSTRAP) build bench
	@$(SUBMAKE) all $(BENCH_BIN) tests/bench/node_modules/.installed
	@/usr/bin/python3 tests/bench/run.py $(B) $(ARGS)

lint: ## style, layers, sizes, banned calls, clang-tidy, cppcheck, duplicates, hardening (T=name picks a check)
	$(BOOTSTRAP) build lint
	@$(SUBMAKE) all
	@B=$(B) /usr/bin/python3 tests/lint/run.py $(T)

SANITIZERS ?= address,undefined thread
# Under the thread sanitizer all subjects run but these: each has one thread (threads are in front, work, supervise, http and api),
# and takes between a quarter of a minute and many there, in SQLite, in argon2 or in forks for each fault.
UNTHREADED = apitoken approval audit beside bootstrap branch change change_bulk change_compare changecompose changeexchange control_fault copyrows engine_deadline engine_fault engine_functions engine_keys engine_turn machine_fault migrate oauth_client oauth_fault opdescribe opdoctor opexport opmasks opupload proposal redeem registry rowsec rowsec_deadline rule rule_count rule_when simulation undo undo_schema
sanitize: ## unit, API and fault tests and the fuzz corpora under ASan + UBSan, then all that may have threads under TSan
	$(BOOTSTRAP) build test
	@for san in $(SANITIZERS); do export B=build/variant-$${san/,/-} SUITE_TIMEOUT=1000 && \
	  if [ $$san = thread ]; then $(SUBMAKE) SAN=$$san $$B/unit $$B/api && UNIT_SUBJECTS="$$(grep -hoP '^void test_\K\w+?(?=__)' tests/unit/*.c | \
	    sort -u | grep -vxF "$$(tr ' ' '\n' <<<"$(UNTHREADED)")" | tr '\n' ' ')" tests/run unit api; \
	  else $(SUBMAKE) SAN=$$san $$B/unit $$B/api $$B/fault replay && tests/run unit api fault fuzz/; fi || exit; done

fuzz: ## searches for inputs that break the parsers or the engine (FUZZ=name, FUZZ_SECONDS=60)
	$(BOOTSTRAP) build clang
	@$(SUBMAKE) CC=clang FUZZER=1 SAN=address,undefined fuzz-search
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/search $(or $(FUZZ),$(FUZZ_NAMES))

coverage: ## line coverage of our own code by all suites, a table by folder; fails below 85 %
	$(BOOTSTRAP) build test coverage
	@$(SUBMAKE) CC=clang COV=1 all test-binaries
	@B=build/variant-clang-cov tests/coverage $(T)

mutate: ## breaks our own code line by line and names what no unit or API test notices (COUNT=40, FOLDERS="engine wire", SEED=n)
	$(BOOTSTRAP) build test
	@tests/mutate $(or $(COUNT),40) $(FOLDERS)

check: ## everything, over an hour: what continuous integration runs, clang's build, coverage, fuzzing
	.ci/run
	$(BOOTSTRAP) clang
	@FAULTS=all TMPDIR=/tmp $(SUBMAKE) CC=clang DEV=1 test
	@STEPS=1000000 TMPDIR=$(if $(wildcard /dev/shm),/dev/shm,/tmp) $(SUBMAKE) CC=clang DEV=1 unit T=simulation V=1
	@$(SUBMAKE) coverage
	@$(SUBMAKE) FUZZ_SECONDS=30 fuzz

PREFIX ?= /usr/local
install: all ## copies the program below DESTDIR and PREFIX (/usr/local)
	install -D -m 755 $(B)/holdfast $(DESTDIR)$(PREFIX)/bin/holdfast

clean: ## removes build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.* ## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

force:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

.PHONY: all unit api fault replay test-binaries run test demo bench lint sanitize fuzz fuzz-search coverage mutate check install clean help toolchain force
