"""Code that stands twice: runs of tokens in function bodies that are alike when names and literals are left out."""
import re

from tree import Finding

_TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\"[ ]*\"|'[ ]*'|->|<<=?|>>=?|[-+*/%&|^!=<>]=|&&|\|\||\+\+|--|\S")
_KEYWORDS = set("if else for while do switch case default return break continue goto sizeof struct enum union static const".split())
# Tokens of a run that is too long to stand twice: to the letter (about ten lines), and with names left out (about fifteen).
# A test may repeat more: each is read alone.
LIMITS = {("internal", "cmd"): (75, 110), ("tests",): (120, 220)}


def _tokens(f):
    """(token, token without its name, line) of every function body; a mark between bodies keeps runs inside one."""
    for fn in f.functions:
        line = fn.body_line
        for text in fn.body.split("\n"):
            for t in _TOKEN.findall(text):
                shape = t if t in _KEYWORDS or not re.match(r"\w", t) else ("n" if t[0].isdigit() else "i")
                yield t, shape, line
            line += 1
        yield None, None, fn.last


def _runs(stream, key, length):
    """Maximal pairs of equal runs of at least `length` tokens: (start, start, tokens)."""
    words = [key(t) for t in stream]
    seen, runs, covered = {}, [], set()
    breaks, last = [0] * (len(words) + 1), -1
    for i, w in enumerate(words):
        last = i if w is None else last
        breaks[i] = last
    for i in range(len(words) - length + 1):
        if breaks[i + length - 1] >= i:
            continue
        window = hash(tuple(words[i:i + length]))
        j = seen.setdefault(window, i)
        if j == i or i in covered or i < j + length or words[j:j + length] != words[i:i + length]:
            continue
        n = length
        while i + n < len(words) and words[i + n] is not None and words[i + n] == words[j + n] and j + n < i:
            n += 1
        covered.update(range(i, i + n - length + 1))
        runs.append((j, i, n))
    return runs


def duplicates(tree):
    """no fifteen lines that stand elsewhere under other names, no ten that stand elsewhere to the letter"""
    for folders, (same, alike) in LIMITS.items():
        stream, place = [], []
        for f in tree.c(*folders):
            for token, shape, line in _tokens(f):
                stream.append((token, shape))
                place.append((f.path, line))
        reported = set()
        for pick, length, how in ((0, same, "to the letter"), (1, alike, "under other names")):
            for j, i, n in _runs(stream, lambda t, p=pick: t[p], length):
                (there, there_line), (path, line) = place[j], place[i]
                if (path, line) not in reported:
                    reported.update(place[i:i + n])
                    yield Finding(path, line, f"{n} tokens stand {how} at {there}:{there_line} too")
