"""A large control database for measurements: generate() fills the one that `holdfast init` made. What it writes is what the server
would have written: hash chains that hold, tokens that open, people who can sign in (all with the owner's password)."""
import hashlib
import os
import sqlite3
import struct
import time

NAMESPACES = 10_000
ACCOUNTS = 10_000       # all but one are members of acme, which may have 10,000
TOKENS = 100_000        # live, of them one in each further namespace
REVOKED = 5_000
INVITATIONS = 998       # acme's; 1,000 are allowed
AUDIT_ROWS = 1_000_000  # in acme's chain, and OTHER_ROWS in each further one
OTHER_ROWS = 10
RARE = "namespace.renamed"
ACTIONS = ["token.created"] * 6 + ["database.created"] * 3 + ["database.deleted"]
DAY_MS = 86_400_000


def text(value):
    if value is None:
        return b"n"
    raw = value.encode()
    return b"t" + struct.pack(">I", len(raw)) + raw


def chained(chain, count, begun_ms):
    """The columns of the table `audit`, chained as internal/audit/chain.h says."""
    digest, sha256, pack = bytes(32), hashlib.sha256, struct.pack
    client, address, tail = "bench/1.0", "203.0.113.7", '{"name":"a token","role":"readonly"}'
    constant = text(None) + text(client) + text(address)
    head, values = text(chain), text("a token") + text(None) + text(tail)
    for seq in range(1, count + 1):
        action = RARE if seq % 100_000 == 0 else ACTIONS[seq % 10]
        user, token = (f"usr_{seq % ACCOUNTS:026d}", None) if seq % 2 else (None, f"tok_{seq % TOKENS:026d}")
        kind, at = "user" if user else "token", begun_ms + seq * 1000
        row_id, request, target = f"aud_{seq:026d}", f"req_{seq:020d}", f"tok_{seq:026d}"
        encoded = b"".join((b"holdfast audit row 1\n", digest, head, b"i", pack(">q", seq), text(row_id), b"i", pack(">q", at), text(action),
                            text(kind), text(user), text(token), constant, text(request), text("token"), text(target), values))
        digest = sha256(encoded).digest()
        yield (chain, seq, row_id, at, action, kind, user, token, None, client, address, request, "token", target, "a token", None, tail,
               digest.hex())


def fill_chain(db, chain, count, begun_ms):
    db.execute("DELETE FROM audit WHERE chain = ?", (chain,))  # its times are later than those of the rows to come
    last = None
    made = chained(chain, count, begun_ms)

    def watched():
        nonlocal last
        for last in made:
            yield last

    db.executemany("INSERT INTO audit VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", watched())
    db.execute("INSERT OR REPLACE INTO audit_chain VALUES(?, ?, ?, ?, 0, ?)", (chain, count, last[3], last[17], begun_ms))


def secret_of(number):
    """Digest of a secret that nobody has."""
    return hashlib.sha256(b"bench secret %d" % number).hexdigest()


def fill_people(db, acme, now):
    owner, password_hash = db.execute("SELECT id, password_hash FROM account").fetchone()
    accounts = [f"usr_{i:026d}" for i in range(ACCOUNTS - 1)]
    db.executemany("INSERT INTO account(id, email, email_key, password_hash, created_at, name) VALUES(?1, ?2, ?2, ?3, ?4, '')",
                   ((a, email_of(i), password_hash, now) for i, a in enumerate(accounts)))
    db.execute("UPDATE account SET first_sign_in_at = ?", (now,))
    spaces = [f"ns_{i:026d}" for i in range(NAMESPACES)]
    db.executemany("INSERT INTO namespace(id, slug, name, created_at) VALUES(?,?,?,?)", ((n, f"bench-{i:06d}", "a namespace", now) for i, n in enumerate(spaces)))
    member = "INSERT INTO namespace_member(namespace_id, account_id, role, created_at, slug) VALUES(?,?,?,?,?)"
    slugs = [f"bench-{i:06d}" for i in range(NAMESPACES)]
    db.executemany(member, ((acme, a, "viewer", now, "acme") for a in accounts))
    db.executemany(member, ((n, accounts[i % len(accounts)], "owner", now, slugs[i]) for i, n in enumerate(spaces)))
    db.executemany(member, ((n, owner, "viewer", now, slugs[i]) for i, n in enumerate(spaces)))
    invite = "INSERT INTO invitation(id, namespace_id, email, email_key, role, hash, invited_by, created_at, expires_at) VALUES(?,?,?,?,?,?,?,?,?)"
    guests = [(f"inv_{i:026d}", acme if i < INVITATIONS else spaces[i - INVITATIONS]) for i in range(INVITATIONS + NAMESPACES)]
    db.executemany(invite, ((g, n, f"guest{i}@example.com", f"guest{i}@example.com", "viewer", secret_of(1_000_000 + i), owner, now, now + DAY_MS)
                            for i, (g, n) in enumerate(guests)))
    session = "INSERT INTO session(id, account_id, hash, created_at, seen_at, confirmed_at, expires_at, address, agent) VALUES(?,?,?,?,?,?,?,?,?)"
    db.executemany(session, ((f"ses_{i:026d}", accounts[i % len(accounts)], secret_of(2_000_000 + i), now, now, now, now + DAY_MS // 2, "203.0.113.7",
                              "bench/1.0") for i in range(2 * ACCOUNTS)))
    return spaces


def email_of(number):
    return f"person{number:06d}@example.com"


def fill_tokens(db, acme, spaces, now):
    """Every tenth has a table scope, every seventh addresses, every fifth claims; half of them expire one day."""
    def row(i, namespace, revoked_at):
        return (f"tok_{i:026d}", namespace, secret_of(i), "psql_live_1a2b…y9z0", f"token {i}", "readonly", i % 10 == 0, now, now + DAY_MS + i if i % 2 else None,
                revoked_at, "203.0.113.0/24 2001:db8::/32" if i % 7 == 0 else None, '{"tenant":"a"}' if i % 5 == 0 else None)

    insert = ("INSERT INTO token(id, namespace_id, hash, preview, name, role, has_table_scope, created_at, expires_at, revoked_at, addresses, claims)"
              " VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")
    more = len(spaces)
    db.executemany(insert, (row(i, spaces[i] if i < more else acme, None) for i in range(TOKENS - 1)))
    db.executemany(insert, (row(i, acme, now) for i in range(TOKENS, TOKENS + REVOKED)))
    db.execute("INSERT INTO token_table SELECT id, 'customers' FROM token WHERE has_table_scope = 1 UNION ALL SELECT id, 'orders' FROM token "
               "WHERE has_table_scope = 1")


def generate(data, audit_rows=AUDIT_ROWS):
    """Returns when the first of acme's audit rows happened, a second before the next."""
    now = int(time.time() * 1000)
    begun_ms = now - (audit_rows + 60) * 1000
    db = sqlite3.connect(os.path.join(data, "control.db"))
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -500000")
    acme = db.execute("SELECT id FROM namespace WHERE slug = 'acme'").fetchone()[0]
    spaces = fill_people(db, acme, now)
    fill_tokens(db, acme, spaces, now)
    db.execute("DELETE FROM audit_checkpoint")  # made anew at the server's start
    db.execute("UPDATE audit_chain SET signed_seq = 0, unsigned_at = 1")
    os.unlink(os.path.join(data, "audit.head"))
    fill_chain(db, acme, audit_rows, begun_ms)
    for namespace in spaces:
        fill_chain(db, namespace, OTHER_ROWS, begun_ms)
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return begun_ms
