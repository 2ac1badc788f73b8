"""What a SQLite database holds, read by Python's own SQLite, in a form that compares exactly: types, bits of reals, bytes of text, rowids."""
import os
import sqlite3
import struct

ROWID_NAMES = ["rowid", "_rowid_", "oid"]


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def exact(kind, v):
    return (kind, struct.pack("<d", v)) if kind == b"real" else (kind, v)


def content(h, rowids=True, only=None, own=False):
    """All that a database says, in values that compare exactly; `only` these tables, `own` with the full-text tables that test_fidelity makes."""
    h.text_factory = bytes
    objects = h.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2").fetchall()
    said = {"schema": objects if only is None else []}
    for _, name, without, kind in h.execute("SELECT schema, name, wr, type FROM pragma_table_list WHERE schema = 'main'").fetchall():
        name = name.decode()
        if kind != b"table" or name.startswith("sqlite_") or only is not None and name not in only:
            continue
        info = h.execute("SELECT name, hidden, pk, type FROM pragma_table_xinfo(?)", (name,)).fetchall()
        columns = [c[0].decode("utf-8", "surrogateescape") for c in info]
        free = [n for n in ROWID_NAMES if n not in [c.lower() for c in columns]]
        picks = ([free[0]] if rowids and not without and free else []) + [ident(c) for c in columns]
        wide = ", ".join(f"typeof({p}), {p}" for p in picks)
        rows = [tuple(exact(r[i], r[i + 1]) for i in range(0, len(r), 2)) for r in h.execute(f"SELECT {wide} FROM {ident(name)}")]
        said[name] = sorted(rows, key=repr)
    if only is None:
        said["user_version"] = h.execute("PRAGMA user_version").fetchone()
        said["application_id"] = h.execute("PRAGMA application_id").fetchone()
        said["sequence"] = sorted(h.execute("SELECT name, seq FROM sqlite_sequence").fetchall()) if any(b"sqlite_sequence" == r[0] for r in h.execute("SELECT name FROM sqlite_schema")) else []
        said["integrity"] = h.execute("PRAGMA integrity_check").fetchall()
    if own:
        said["search"] = [h.execute(f"SELECT rowid FROM {t} WHERE {t} MATCH ? ORDER BY 1", (w,)).fetchall() for t in ("own", "ext") for w in ("running", "dogs", "number", "good")]
        said["config"] = h.execute("SELECT k, v FROM own_config WHERE k <> 'version' ORDER BY 1").fetchall()
        said["words"] = h.execute("SELECT count(*) FROM words").fetchall()
    return said


def opened(s, data, tag):
    path = os.path.join(s.dir, f"{tag}.sqlite")
    with open(path, "wb") as f:
        f.write(data)
    return sqlite3.connect(path)
