"""The files under check, and just enough of C's grammar to see code without comments, its literals, includes and functions."""
import dataclasses
import functools
import re
import subprocess


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    text: str
    warning: bool = False

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


@dataclasses.dataclass(frozen=True)
class Function:
    name: str
    first: int  # lines, counted from 1
    last: int
    body_line: int
    body: str   # code between the braces, comments and literals blanked

    @property
    def lines(self):
        return self.last - self.first + 1


_LEXEMES = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
_STRINGS = re.compile(r'"(?:\\.|[^"\\\n])*"(?:\s*(?:PRI[a-zA-Z0-9]+\s*)?"(?:\\.|[^"\\\n])*")*')


def _blank(text):
    return "".join(c if c == "\n" else " " for c in text)


class File:
    def __init__(self, path, text):
        self.path, self.text = path, text

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    @functools.cached_property
    def uncommented(self):
        """The text with comments blanked, every offset kept."""
        return _LEXEMES.sub(lambda m: _blank(m[0]) if m[0][0] == "/" else m[0], self.text)

    @functools.cached_property
    def code(self):
        """The text with comments blanked and the inside of literals replaced by spaces, every offset kept."""
        return _LEXEMES.sub(lambda m: _blank(m[0]) if m[0][0] == "/" else m[0][0] + " " * (len(m[0]) - 2) + m[0][0], self.text)

    def includes(self):
        """(line, quoted or not, name) of every #include."""
        return [(self.line_of(m.start(2)), m[1] == '"', m[2]) for m in _INCLUDE.finditer(self.uncommented)]

    def literals(self):
        """(offset, text) of every string literal, adjacent ones as one, escapes as written."""
        return [(m.start(), "".join(re.findall(r'"((?:\\.|[^"\\\n])*)"', m[0])))
                for m in _STRINGS.finditer(self.uncommented)]

    @functools.cached_property
    def functions(self):
        code = _DIRECTIVE.sub(lambda m: _blank(m[0]), self.code)
        found, depth, start, opened, name = [], 0, 0, 0, None
        for m in re.finditer(r"[{};]", code):
            at, c = m.start(), m[0]
            if c == "{":
                if depth == 0:
                    head = code[start:at]
                    called = re.search(r"([A-Za-z_]\w*)\s*\((?!\()", head)
                    is_function = called and "=" not in head and head.rstrip().endswith(")")
                    name, opened = (called[1], at) if is_function else (None, at)
                    first = start + len(head) - len(head.lstrip())
                depth += 1
            elif c == "}":
                depth -= 1
                if depth == 0:
                    if name:
                        found.append(Function(name, self.line_of(first), self.line_of(at), self.line_of(opened), code[opened + 1:at]))
                    start = at + 1
            elif depth == 0:
                start = at + 1
        return found


class Tree:
    """Files by path: the repository's, or (in the self-test) strings."""

    def __init__(self, files):
        self.files = {path: File(path, text) for path, text in files.items()}

    @classmethod
    def of_repository(cls):
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True,
                                stdout=subprocess.PIPE, text=True).stdout.split("\0")
        files = {}
        for path in sorted(filter(None, listed)):
            try:
                with open(path, encoding="utf-8") as f:
                    files[path] = f.read()
            except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
                files[path] = ""  # binary (a fuzz corpus) or just deleted: nothing to read, its name still counts
        return cls(files)

    def get(self, path):
        return self.files.get(path)

    def c(self, *folders):
        """The C files and headers below the folders named (all of them: no argument)."""
        return [f for p, f in self.files.items()
                if p.endswith((".c", ".h")) and (not folders or p.startswith(tuple(d + "/" for d in folders)))]
