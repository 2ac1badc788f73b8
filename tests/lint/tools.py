"""The checks that run a program: formatter, analysers, and a look at what was built. `B` in the environment is the build folder."""
import concurrent.futures
import hashlib
import os
import re
import shlex
import subprocess

from tree import Finding

B = os.environ.get("B", "build")
CACHE = os.path.join(B, "lint")
_DIAGNOSTIC = re.compile(r"^([^\s:][^:\n]*):(\d+):(?:\d+:)? (?:warning|error|performance|portability): (.*)$", re.M)


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")


def c_files(tree, *folders):
    return [f.path for f in tree.c(*folders) if f.path.endswith(".c")]


def format(tree):
    """clang-format changes nothing"""
    first = {}
    for path, line, _ in _DIAGNOSTIC.findall(run("clang-format", "--dry-run", *[f.path for f in tree.c()]).stderr):
        first.setdefault(path, int(line))
    for path, line in first.items():
        yield Finding(path, line, f"is not as clang-format writes it: clang-format -i {path}")


# --- clang-tidy, with its verdicts kept by content ---------------------------------------------------------------------

def _flags():
    """What the build compiles with, warnings and gcc's own options aside: clang-tidy has its own."""
    with open(os.path.join(B, "flags"), encoding="utf-8") as f:
        words = shlex.split(f.read())[1:]
    keep, words = [], iter(words)
    for w in words:
        if w == "-isystem":
            keep += [w, next(words)]
        elif w.startswith(("-I", "-D", "-std=")) and "FORTIFY" not in w:
            keep.append(w)
    return keep + ["-Itests"]


def closure(tree, path, seen=None):
    """The file and every project file it includes, directly or not."""
    seen = set() if seen is None else seen
    f = tree.get(path)
    if f is None or path in seen:
        return seen
    seen.add(path)
    for _, quoted, name in f.includes():
        if quoted:
            for root in (os.path.dirname(path), "internal", "policy", "tests"):
                closure(tree, os.path.normpath(os.path.join(root, name)), seen)
    return seen


def _tidy_key(tree, path, salt):
    digest = hashlib.sha256(salt.encode())
    for p in sorted(closure(tree, path)):
        digest.update(p.encode() + b"\0" + tree.get(p).text.encode() + b"\0")
    return os.path.join(CACHE, "tidy", digest.hexdigest()[:32])


def _tidy_one(path, key, flags):
    if os.path.exists(key):
        with open(key, encoding="utf-8") as f:
            return f.read()
    done = run("clang-tidy", "--quiet", path, "--", *flags)
    output = done.stdout if not done.returncode or done.stdout else f"{path}:1:1: error: clang-tidy failed: {done.stderr[-300:]}"
    with open(key + f".{os.getpid()}", "w", encoding="utf-8") as f:
        f.write(output)
    os.replace(f.name, key)
    return output


def tidy(tree):
    """clang-tidy finds nothing (.clang-tidy says what it looks for)"""
    flags = _flags()
    salt = run("clang-tidy", "--version").stdout + "".join(f.text for p, f in tree.files.items() if p.endswith(".clang-tidy")) + repr(flags)
    os.makedirs(os.path.join(CACHE, "tidy"), exist_ok=True)
    paths = c_files(tree, "internal", "cmd", "tests")
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        outputs = list(pool.map(lambda p: _tidy_one(p, _tidy_key(tree, p, salt), flags), paths))
    found = set()
    for output in outputs:
        for path, line, text in _DIAGNOSTIC.findall(output):
            found.add((os.path.relpath(path), int(line), text))
    return [Finding(*f) for f in sorted(found)]


def cppcheck(tree):
    """cppcheck finds nothing"""
    work = os.path.join(CACHE, "cppcheck")
    os.makedirs(work, exist_ok=True)
    defines = [w for w in _flags() if w.startswith(("-I", "-D"))]
    done = run("cppcheck", "--quiet", "--enable=warning,performance,portability", "--std=c11", f"--cppcheck-build-dir={work}",
               f"-j{len(os.sched_getaffinity(0))}", "--inline-suppr", "--suppressions-list=tests/lint/cppcheck.txt",
               "--template={file}:{line}: {severity}: {message} [{id}]", *defines, *c_files(tree, "internal", "cmd", "tests"))
    if done.returncode:
        yield Finding("tests/lint/cppcheck.txt", 1, f"cppcheck failed: {done.stdout[-200:]}{done.stderr[-200:]}")
    for path, line, text in sorted(set(_DIAGNOSTIC.findall(done.stderr))):
        yield Finding(path, int(line), text)


# --- what was built ------------------------------------------------------------------------------------------------------

_SYMBOL = re.compile(r"^[0-9a-f]+ \S.{6} (\.\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$", re.M)


def mutable_symbols(objdump):
    """Names of the data symbols that can be written after start."""
    for section, name in _SYMBOL.findall(objdump):
        if re.match(r"\.(data|bss|tdata|tbss)\b", section) and not section.startswith(".data.rel.ro") and not name.startswith("."):
            yield name.split(".")[0]


def globals(tree):
    """no data of file or function scope that can change, but what waivers.txt names with its reason"""
    for path in c_files(tree, "internal", "cmd/holdfast"):
        built = os.path.join(B, "obj", path[:-2] + ".o")
        if not os.path.exists(built):
            yield Finding(path, 1, f"is not built: {built} is missing")
            continue
        for name in sorted(set(mutable_symbols(run("objdump", "-t", built).stdout))):
            at = re.search(rf"\b{re.escape(name)}\b", tree.get(path).code)
            yield Finding(path, tree.get(path).line_of(at.start()) if at else 1, f"{name} is data that can change: pass it, or make it const")


# What leaves no trace in the linked file (Debian's start-up objects are without control-flow protection, so the linker drops its mark).
HARDENING_FLAGS = ("-fstack-protector-strong", "-fstack-clash-protection", "-fPIE", "-D_FORTIFY_SOURCE=2")


def hardening_of(path):
    """What the ELF file lacks."""
    headers, dynamic = run("readelf", "-hlW", path).stdout, run("readelf", "-dW", path).stdout
    symbols = run("readelf", "-sW", path).stdout
    stack = re.search(r"GNU_STACK.*", headers)
    checks = {
        "is not position-independent (PIE)": "Type:                              DYN" in headers and "PIE" in dynamic,
        "has no RELRO": "GNU_RELRO" in headers,
        "binds lazily (no -z now)": "NOW" in dynamic,
        "has an executable stack": stack and "RWE" not in stack[0],
        "has text relocations": "TEXTREL" not in dynamic,
        "has a run path": "RPATH" not in dynamic and "RUNPATH" not in dynamic,
        "was built without stack protector": "__stack_chk_fail" in symbols,
        "was built without _FORTIFY_SOURCE": re.search(r"__\w+_chk\b(?<!stack_chk)", symbols.replace("__stack_chk_fail", "")),
        "has a segment that is both writable and executable": not re.search(r"LOAD .* RWE ", headers),
    }
    return [what for what, good in checks.items() if not good]


def hardening(tree):
    """the program is hardened: PIE, full RELRO, stack protector, stack clash and control-flow protection"""
    program = os.path.join(B, "holdfast")
    with open(os.path.join(B, "flags"), encoding="utf-8") as f:
        flags = f.read().split()
    expected = HARDENING_FLAGS + (("-fcf-protection=full",) if os.uname().machine == "x86_64" else ())
    for flag in expected:
        if flag not in flags:
            yield Finding("Makefile", 1, f"compiles without {flag}")
    if not os.path.exists(program):
        yield Finding(program, 1, "is not built")
        return
    for what in hardening_of(program):
        yield Finding(program, 1, what)
