"""Reads Debian's unicode-data package into three tables: blocks, scripts and the characters that belong to both."""
import bisect
import os

FOLDER = "/usr/share/unicode"

SCHEMA = [
    "CREATE TABLE blocks(id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE scripts(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE characters(
         code INTEGER PRIMARY KEY,
         hex TEXT NOT NULL UNIQUE,
         name TEXT NOT NULL,
         category TEXT NOT NULL,
         combining INTEGER NOT NULL,
         bidi TEXT NOT NULL,
         decomposition TEXT,
         uppercase INTEGER,
         lowercase INTEGER,
         block_id INTEGER REFERENCES blocks(id),
         script_id INTEGER REFERENCES scripts(id))""",
]


def lines(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
        for line in f:
            line = line.split("#", 1)[0].strip()
            if line:
                yield [part.strip() for part in line.split(";")]


def ranges(name):
    found = []
    for span, value, *_ in lines(name):
        first, _, last = span.partition("..")
        found.append((int(first, 16), int(last or first, 16), value))
    return sorted(found)


class Lookup:
    def __init__(self, spans, ids):
        self.spans, self.ids = spans, ids
        self.starts = [s[0] for s in spans]

    def __call__(self, code):
        at = bisect.bisect_right(self.starts, code) - 1
        if at < 0 or code > self.spans[at][1]:
            return None
        return self.ids[self.spans[at][2]]


def load():
    """→ (blocks, scripts, characters): lists of dicts, ready to be imported in this order."""
    block_spans, script_spans = ranges("Blocks.txt"), ranges("Scripts.txt")
    blocks = [{"id": i, "first": f, "last": l, "name": n} for i, (f, l, n) in enumerate(block_spans, 1)]
    scripts = [{"id": i, "name": n} for i, n in enumerate(sorted({s[2] for s in script_spans}), 1)]
    block_of = Lookup(block_spans, {b["name"]: b["id"] for b in blocks})
    script_of = Lookup(script_spans, {s["name"]: s["id"] for s in scripts})
    characters = []
    for f in lines("UnicodeData.txt"):
        code = int(f[0], 16)
        characters.append({
            "code": code, "hex": f[0], "name": f[10] if f[1] == "<control>" and f[10] else f[1], "category": f[2], "combining": int(f[3]),
            "bidi": f[4], "decomposition": f[5] or None, "uppercase": int(f[12], 16) if f[12] else None,
            "lowercase": int(f[13], 16) if f[13] else None, "block_id": block_of(code), "script_id": script_of(code)})
    return blocks, scripts, characters
