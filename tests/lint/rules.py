"""The checks that read the tree alone. Each takes a Tree and yields Findings; its docstring's first line is its title."""
import re

from tree import Finding

TOP_LEVEL = {"Makefile", "README.md", "cmd", "internal", "migrations", "policy", "tests", "web"}
NOT_SUITES = ("tests/bench/", "tests/lint/", "tests/fuzz/", "tests/lib/")


# --- layers ------------------------------------------------------------------------------------------------------

def layer_table(readme):
    """Folder → (layer, set of further folders it may include), from the table in internal/README.md."""
    table = {}
    for line in readme.text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"\d+", cells[0]):
            for folder in re.findall(r"`([^`]+)`", cells[1]):
                table[folder] = (int(cells[0]), set(re.findall(r"`([\w./-]+)`", cells[3])))
    return table


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "cmd" else parts[1]


def layers(tree):
    """a folder includes only lower layers, as the table of internal/README.md says"""
    readme = tree.get("internal/README.md")
    table = layer_table(readme) if readme else {}
    if not table:
        yield Finding("internal/README.md", 1, "holds no table of layers")
    for f in tree.c("internal", "cmd"):
        here = folder_of(f.path)
        if here == "cmd/embed":
            continue
        if here not in table:
            yield Finding(f.path, 1, f"the folder {here} has no row in the table of layers in internal/README.md")
            continue
        for line, quoted, name in f.includes():
            there = name.split("/")[0]
            if not quoted or there == here or "/" not in name or there not in table:
                continue
            if table[there][0] >= table[here][0] and not {there, name} & table[here][1]:
                yield Finding(f.path, line, f"layer {table[here][0]} ({here}) includes {name} of layer {table[there][0]}")


HEADER_OWNERS = {
    r"sqlite3(ext)?\.h": ("internal/sqlite", "internal/engine"),
    r"event2?/.*|event\.h|evhttp\.h": ("internal/work", "internal/http"),
    r"cjson/.*|cJSON\.h": ("internal/json",),
    r"jwt\.h": ("internal/crypto",),
    r"openssl/.*": ("internal/crypto", "internal/http"),
    r"argon2\.h": ("internal/crypto",),
    r"curl/.*": ("internal/http/libcurl.h",),
    r"seccomp\.h|linux/(seccomp|landlock|filter)\.h": ("internal/engine",),
}


def headers(tree):
    """a library's header is included in its owning folder or file alone"""
    for f in tree.c("internal", "cmd"):
        for line, _, name in f.includes():
            for pattern, owners in HEADER_OWNERS.items():
                if re.fullmatch(pattern, name) and not f"{f.path}/".startswith(tuple(o + "/" for o in owners)):
                    yield Finding(f.path, line, f"{name} belongs to {' and '.join(owners)}")


# --- banned calls --------------------------------------------------------------------------------------------------

BANNED = {
    "sprintf vsprintf strcpy strcat stpcpy gets": "writes without a bound: use strbuf",
    "strncpy strncat": "cuts silently: use strbuf or memcpy with a checked length",
    "strtok": "keeps state between calls: walk a struct str",
    "atoi atol atoll atof": "hides errors: use str_to_i64 or strtoll with its checks",
    "gmtime localtime asctime ctime mktime": "uses static memory or the local time zone: use base/clock",
    "system popen": "runs a shell",
    "rand srand random srandom drand48": "is predictable: use base/rand",
    "tmpnam mktemp tempnam": "is a race: use mkstemp",
    "alloca": "has no bound",
    "setjmp longjmp": "jumps over clean-up",
}
BANNED_OUTSIDE_BASE = {
    "snprintf vsnprintf": "cuts silently: use strbuf",
    "malloc calloc realloc strdup strndup": "returns NULL: use mem_alloc and its kin, or an arena",
    "time gettimeofday clock_gettime": "cannot be faked in a test: use base/clock",
    "assert": "goes away in production: use CHECK",
}
_SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|PRAGMA|ATTACH|VACUUM|WITH|SAVEPOINT|RELEASE)\b", re.I)
# %w and %Q are SQLite's own quoting of names and values, which a name that cannot be bound needs.
_CONVERSION = re.compile(r"%[-+0 #]*[\d.*]*(?:h|l|ll|z|j|t)?[sdiuxcqfgp](?![a-zA-Z])|%\.\*s")


# A statement's name may well begin a message to people.
_MESSAGES = re.compile(r"(err_set|err_field|log_\w+|refuse\w*|wrong_\w+|sqlerr_\w+)\($")


def _callee(f, offset):
    """What opens the argument list in which the offset stands: "err_set(", or "" outside of any."""
    depth = 0
    for i in range(offset - 1, max(offset - 400, 0), -1):
        depth += {")": 1, "(": -1}.get(f.code[i], 0)
        if depth < 0:
            return f.code[:i + 1]
        if f.code[i] in ";{}":
            break
    return ""


def _calls(f, table):
    for names, why in table.items():
        for m in re.finditer(rf"(?<![\w.>])({'|'.join(names.split())})\s*\(", f.code):
            yield Finding(f.path, f.line_of(m.start()), f"{m[1]}() {why}")


def banned(tree):
    """no call that C grew out of, no JSON and no SQL made by printf"""
    for f in tree.c("internal", "cmd"):
        yield from _calls(f, BANNED)
        if f.path.startswith("cmd/embed/"):
            continue
        if not f.path.startswith("internal/base/"):
            yield from _calls(f, BANNED_OUTSIDE_BASE)
        for m in re.finditer(r"(?<![\w.>])signal\s*\([^;]*", f.code):
            if not re.search(r"SIG_(IGN|DFL)", m[0]):
                yield Finding(f.path, f.line_of(m.start()), "signal() has unclear semantics: use sigaction")
        for offset, text in f.literals():
            line = f.line_of(offset)
            if (text.startswith(r'{\"') or r'{\"' in text and _CONVERSION.search(text)) and not f.path.startswith("internal/json/"):
                yield Finding(f.path, line, "JSON text written by hand: use jsonw")
            if _SQL.match(text) and _CONVERSION.search(text) and not _MESSAGES.search(_callee(f, offset)):
                yield Finding(f.path, line, "SQL with a printf conversion: bind the value")
    for f in tree.c("tests/unit", "tests/api"):
        yield from _calls(f, {"sleep usleep nanosleep": "is no synchronisation: wait for the event",
                              "skip": "counts as passed: a test that cannot run must say so by failing"})


_CLEANED = re.compile(r"\bAUTO_[A-Z]+\s+((?:\**\w+,\s*)*\**\w+);")


def cleanup(tree):
    """what is released at the end of its block has a value before the first way out"""
    for f in tree.c():
        for m in _CLEANED.finditer(f.code):
            for name in re.findall(r"\w+", m[1]):
                first = re.compile(rf"\breturn\b[^;]*|\b{name}\b").search(f.code, m.end())
                if first and first[0].startswith("return") and not re.search(rf"\b{name}\b", first[0]):
                    yield Finding(f.path, f.line_of(m.start()), f"{name} is released by a return that comes before its first use")


# --- sizes -----------------------------------------------------------------------------------------------------------

FILE_MAX, FILE_WARN, FUNCTION_MAX, FUNCTION_WARN, LONG_SHARE = 1000, 600, 100, 70, 0.05


def sizes(tree):
    """files under 1,000 lines, functions under 100, at most one function in twenty over 70"""
    functions = []
    for path, f in tree.files.items():
        if not path.endswith((".c", ".h", ".py", ".mjs", ".ts", ".tsx", ".awk")):
            continue
        lines = f.text.count("\n")
        if lines > FILE_WARN:
            yield Finding(path, 1, f"{lines} lines", warning=lines <= FILE_MAX)
        if path.endswith((".c", ".h")):
            functions += [(f, fn) for fn in f.functions]
    long = [(f, fn) for f, fn in functions if fn.lines > FUNCTION_WARN]
    for f, fn in long:
        yield Finding(f.path, fn.first, f"{fn.name} has {fn.lines} lines", warning=fn.lines <= FUNCTION_MAX)
    if len(long) > LONG_SHARE * len(functions):
        yield Finding("internal", 1, f"{len(long)} of {len(functions)} functions have over {FUNCTION_WARN} lines")


# --- marks, paths, names ------------------------------------------------------------------------------------------

# Written in pieces, so that this file does not find itself.
_MARKS = re.compile(r"\b(" + "|".join(["TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK"]) + r")\b")
_MACHINE = re.compile(r"(?:^|[^\w.])/(?:wo" r"rk|ro" r"ot|fa" r"rm|home/[a-z]+)/|/tmp/(?:bash_" r"jobs|te" r"am)")
_HOSTS = re.compile("|".join([r'"resol' r'ved": *"http', r"registry\.np" r"mjs", r"files\.pythonho" r"sted", r"pypi\.org/sim" r"ple",
                              r"deb\.deb" r"ian\.org", r"proxy\.gol" r"ang", r"static\.crat" r"es"]))


def marks(tree):
    """no unfinished marks, paths of one machine or registry hosts"""
    for path, f in tree.files.items():
        for pattern, what in ((_MARKS, "unfinished"), (_MACHINE, "a path of one machine"), (_HOSTS, "a package registry's host")):
            for m in pattern.finditer(f.text):
                yield Finding(path, f.line_of(m.start()), f"{what}: {m[0].strip()}")


def names(tree):
    """the top level holds what the map says; no utils, helpers, common or manager"""
    for path in tree.files:
        top = path.split("/")[0]
        if top not in TOP_LEVEL and not top.startswith("."):
            yield Finding(path, 1, f"{top} does not belong on the top level")
        if re.search(r"(^|[/_])(utils?|helpers?|common|misc|managers?)([/._]|$)", path):
            yield Finding(path, 1, "is named after nothing: a file is named after its subject")


def purpose(tree):
    """every C file begins by saying what it is for; a header is guarded by its own name"""
    for f in tree.c():
        own_header = re.sub(r"^(?:internal|tests)/(.*)\.c$", r'#include "\1.h"\n', f.path)  # which says it
        if not f.text.startswith(("/*", own_header)):
            yield Finding(f.path, 1, "does not begin with a comment that says what it is for")
        if f.path.endswith(".h") and f.path.startswith("internal/") and "/vendor/" not in f.path:
            guard = re.sub(r"\W", "_", f.path[len("internal/"):]).upper()
            if f"#ifndef {guard}\n#define {guard}\n" not in f.text:
                yield Finding(f.path, 1, f"its include guard is not {guard}")


def suites(tree):
    """every script that could run begins with #!, by which `make test` finds it"""
    for path, f in tree.files.items():
        if path.startswith("tests/") and path.count("/") == 2 and not path.startswith(NOT_SUITES) and not f.text.startswith("#!"):
            if "__main__" in f.text or path.endswith(("/run.py", ".sh")) or re.match(r".*/(test|last)_\w+\.(py|mjs|js)$", path):
                yield Finding(path, 1, "does not begin with #!, so `make test` takes it for a module")
