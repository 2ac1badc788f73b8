#!/usr/bin/env python3
"""Proves that each check of make lint can fail: shown something bad it finds it, shown something good it is silent."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

import tools
from run import CHECKS, read_waivers
from tree import Tree

README = "| layer | folder | subject | may also use |\n|---|---|---|---|\n| 0 | `base` | x | |\n| 2 | `work` | x | |\n" \
         "| 2 | `wire` | x | `work/loop.h` |\n| 6 | `cmd/holdfast` | x | |\n"
BODY = "    total += list_length(&a->items, 3) * scale;\n    if (total > limit && !a->closed)\n        return list_drop(a, total);\n"


def c(text, path="internal/work/x.c"):
    return {"internal/README.md": README, path: "/* What it is for. */\n" + text}


def function(name, lines):
    return f"static int {name}(struct list *a)\n{{\n" + "    a++;\n" * (lines - 4) + "    return 0;\n}\n"


# check, what is wrong with it (None: nothing), files
ROWS = [
    ("names", None, {"Makefile": "", ".gitignore": "", "internal/base/str.c": "", "tests/run": ""}),
    ("names", "does not belong", {"notes.txt": ""}),
    ("names", "named after nothing", {"internal/base/string_utils.c": ""}),
    ("names", "named after nothing", {"internal/common/str.c": ""}),
    ("marks", None, c("int method, hacked, todos; /* see docs/work/ */\n")),
    ("marks", "unfinished", c("/* TO" "DO: later */\n")),
    ("marks", "a path of one machine", {"tests/e2e/a.py": "open('/wo" "rk/main/x')\n"}),
    ("marks", "a package registry's host", {"web/package-lock.json": '"resol' 'ved": "https://example.com/x.tgz"\n'}),
    ("purpose", None, c("#ifndef WORK_X_H\n#define WORK_X_H\n#endif\n", "internal/work/x.h")),
    ("purpose", None, {"internal/work/x.c": '#include "work/x.h"\n'}),
    ("purpose", "does not begin", {"internal/work/x.c": '#include "work/y.h"\n'}),
    ("purpose", "does not begin", {"cmd/holdfast/main.c": "int x;\n"}),
    ("purpose", "include guard", c("#ifndef LOOP_H\n#define LOOP_H\n#endif\n", "internal/work/x.h")),
    ("suites", None, {"tests/e2e/test_a.py": "#!/usr/bin/env python3\nif __name__ == '__main__':\n", "tests/e2e/rows.py": "import a\n"}),
    ("suites", None, {"tests/lib/holdfast.py": "if __name__ == '__main__':\n"}),
    ("suites", "does not begin with #!", {"tests/crash/other.py": "if __name__ == '__main__':\n"}),
    ("suites", "does not begin with #!", {"tests/clients/test_fetch.mjs": "import x\n"}),
    ("layers", None, c('#include "base/str.h"\n#include "work/y.h"\n#include <stdio.h>\n')),
    ("layers", None, c('#include "work/loop.h"\n', "internal/wire/x.c")),
    ("layers", "layer 2 (work) includes wire/wire.h", c('#include "wire/wire.h"\n')),
    ("layers", "layer 0 (base) includes work/loop.h", c('#include "work/loop.h"\n', "internal/base/x.c")),
    ("layers", "has no row", c("", "internal/stray/x.c")),
    ("layers", "holds no table", {"internal/base/x.c": ""}),
    ("headers", None, c("#include <sqlite3.h>\n", "internal/engine/x.c")),
    ("headers", "belongs to internal/json", c("#include <cjson/cJSON.h>\n")),
    ("headers", "belongs to internal/crypto", c("#include <openssl/evp.h>\n", "internal/token/x.c")),
    ("headers", "belongs to internal/engine", c("#include <linux/landlock.h>\n", "internal/base/x.c")),
    ("cleanup", None, c("int f(void)\n{\n    AUTO_STRBUF a;\n    AUTO_FD fd = -1;\n    strbuf_init(&a, 1);\n    return 0;\n}\n")),
    ("cleanup", None, c("int f(void)\n{\n    AUTO_STRBUF a;\n    return use(fill(&a));\n}\n")),
    ("cleanup", "a is released", c("int f(int x)\n{\n    AUTO_STRBUF a;\n    if (x)\n        return 1;\n    strbuf_init(&a, 1);\n}\n")),
    ("banned", None, c('/* sprintf(x) */\nstatic const char *why = "sprintf(";\nstrbuf_addf(sb, "%d", 1);\nmy_system(x);\n')),
    ("banned", None, c('db_exec(db, "SELECT 1 WHERE name LIKE \'a%\'");\n')),
    ("banned", None, c("snprintf(b, 2, x);\n", "internal/base/x.c")),
    ("banned", None, c('signal(SIGPIPE, SIG_IGN);\nreturn err_set(err, ERR_SQL, "PRAGMA %s takes (%s)", f(x), name);\n')),
    ("banned", "signal()", c("signal(SIGHUP, on_hangup);\n")),
    ("banned", "SQL with a printf", c('f(err_set(err, ERR_SQL, "x"), "PRAGMA a = %d", 3);\n')),
    ("banned", "strcpy()", c("strcpy(a, b);\n")),
    ("banned", "snprintf()", c("snprintf(b, 2, x);\n")),
    ("banned", "JSON text written by hand", c('f(r, "{\\"ok\\":true}");\n')),
    ("banned", "SQL with a printf conversion", c('f(db, "SELECT a "\n  "FROM b WHERE c = %d", 3);\n')),
    ("banned", "usleep()", c("usleep(3);\n", "tests/unit/test_x.c")),
    ("banned", "skip()", c("skip();\n", "tests/unit/test_x.c")),
    ("sizes", None, c("".join(function(f"f{i}", 12) for i in range(20)) + function("long_one", 90))),
    ("sizes", "1002 lines", c("int x;\n" * 1001)),
    ("sizes", "too_long has 101 lines", c(function("too_long", 101))),
    ("sizes", "2 of 3 functions", c(function("f", 80) + function("g", 80) + function("h", 9))),
    ("duplicates", None, c(f"int f(struct a *a)\n{{\n{BODY}}}\nint g(struct b *b)\n{{\n    return list_length(&b->items, 3);\n}}\n")),
    ("duplicates", "to the letter", c(f"int f(struct a *a)\n{{\n{BODY * 3}}}\nint g(struct a *a)\n{{\n    int total = 0;\n{BODY * 3}}}\n")),
    ("duplicates", "under other names", c(f"int f(struct a *a)\n{{\n{BODY * 4}}}\nint g(struct a *a)\n{{\n"
                                          + BODY.replace("total", "sum").replace("a->", "b->") * 4 + "}\n")),
]

# The same for the checks that run a program; these files are written to a folder and, for `globals`, compiled.
TOOL_ROWS = [
    ("format", None, "int f(int a);\n"),
    ("format", "is not as clang-format writes it", "int  f( int a ) ;\n"),
    ("globals", None, "static const char *const names[] = {\"a\"};\nconst char *f(int i);\nconst char *f(int i)\n{\n    return names[i];\n}\n"),
    ("globals", "count is data that can change", "int f(void);\nint f(void)\n{\n    static int count;\n    return ++count;\n}\n"),
    ("globals", "names is data that can change", "extern const char *names[];\nconst char *names[] = {\"a\"};\n"),
    ("cppcheck", None, "int f(int a);\nint f(int a)\n{\n    return a;\n}\n"),
    ("cppcheck", "out of bounds", "int f(void);\nint f(void)\n{\n    int a[2] = {0};\n    return a[2];\n}\n"),
    ("tidy", None, "int f(int a);\nint f(int a)\n{\n    return a;\n}\n"),
    ("tidy", "null pointer", "int f(int a);\nint f(int a)\n{\n    int *p = 0;\n    return a ? *p : 0;\n}\n"),
]
TESTED_ALONE = {"hardening"}
wrong = []


def judge(label, expected, findings):
    texts = [f.text for f in findings if not f.warning]
    if expected is None and texts:
        wrong.append(f"{label}: found without reason: {texts[0]}")
    elif expected is not None and not any(expected in t for t in texts):
        wrong.append(f"{label}: did not find “{expected}”, but {texts}")


@contextlib.contextmanager
def folder(text):
    """A folder like the repository with one source file, its object in build/; the checks run inside."""
    home, settings = os.getcwd(), [os.path.abspath(n) for n in (".clang-format", ".clang-tidy", "tests/lint/cppcheck.txt")]
    with tempfile.TemporaryDirectory() as top:
        os.chdir(top)
        for d in ("internal/base", "tests/lint", f"{tools.B}/obj/internal/base"):
            os.makedirs(d)
        for path in settings:
            shutil.copy(path, "tests/lint" if path.endswith(".txt") else ".")
        files = {"internal/base/x.c": text, ".clang-tidy": open(".clang-tidy", encoding="utf-8").read(), f"{tools.B}/flags": "gcc -std=c11\n"}
        for path, content in files.items():
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)
        subprocess.run(["gcc", "-c", "-fPIE", "-O0", "-o", f"{tools.B}/obj/internal/base/x.o", "internal/base/x.c"], check=True)
        try:
            yield Tree(files)
        finally:
            os.chdir(home)


def hardening():
    """A plainly built program lacks everything; the Makefile's own flags make one that lacks nothing."""
    with open(os.path.join(tools.B, "flags"), encoding="utf-8") as f:
        flags = [w for w in f.read().split() if w.startswith(("-f", "-O2", "-D_FORTIFY"))]
    code = '#include <string.h>\n#include <stdio.h>\nint main(int n, char **v)\n{\n    char b[40];\n    memcpy(b, v[0], (unsigned)n);\n    return printf("%s", b);\n}\n'
    plain = ["-no-pie", "-fno-stack-protector", "-fcf-protection=none", "-Wl,-z,norelro,-z,lazy,-z,execstack,-rpath,/x"]
    hard = [*flags, "-pie", "-Wl,-z,relro,-z,now,-z,noexecstack"]
    for name, options, expected in (("plain", plain, 7), ("hard", hard, 0)):
        with tempfile.TemporaryDirectory() as top:
            program = os.path.join(top, name)
            subprocess.run(["gcc", "-x", "c", "-", "-o", program, *options], input=code, text=True, check=True, stderr=subprocess.DEVNULL)
            lacks = tools.hardening_of(program)
            if len(lacks) != expected:
                wrong.append(f"hardening: a {name} program lacks {lacks}")


def main():
    for check, expected, files in ROWS:
        judge(check, expected, CHECKS[check](Tree(files)))
    for check, expected, text in TOOL_ROWS:
        with folder(text) as tree:
            judge(check, expected, list(CHECKS[check](tree)))
    hardening()
    for check in set(CHECKS) - TESTED_ALONE:
        rows = [e for n, e, _ in [*ROWS, *TOOL_ROWS] if n == check]
        if not any(rows) or all(rows):
            wrong.append(f"{check}: has no row that must fail, or none that must pass")
    waivers, bad = read_waivers("banned a.c sprintf() : the reason, in a sentence\nbanned a.c sprintf()\nnonsense a.c b : with a good reason\n")
    if len(waivers) != 1 or [f.line for f in bad] != [2, 3]:
        wrong.append("waivers: a line without a reason, or for no check, is let through")
    print("\n".join(wrong) if wrong else f"{len(ROWS) + len(TOOL_ROWS) + 3} cases")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
