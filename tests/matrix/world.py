"""Three namespaces with everything in them, and one credential of each column of expected.def.

`acme` has the things that paths name; `other` belongs to the stranger and to the token of another tenant; `quarry` has of each kind
what nobody of acme may see, with `quarry` in its name. People, sessions and memberships are rows written into control.db, because
that is quick and because sessions must be of any age; everything else is made through the server."""
import hashlib
import hmac
import itertools
import json
import secrets
import sqlite3
import string
import time
import zlib

from holdfast import PASSWORD
from oauth import App, Browser, CALLBACK

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HOUR = 3600_000
CLAIMS = {"tenant": "a"}
SCHEMA = ["CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, total REAL)", "INSERT OR IGNORE INTO orders VALUES(1, 9.5)"]


def secret(prefix):
    """Well formed: see internal/crypto/token.h."""
    text = prefix + "".join(secrets.choice(BASE62) for _ in range(43))
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return text + digits


def email_of(name):
    return f"{name}@people.example.com"


def now():
    return int(time.time() * 1000)


class Credential:
    """`bearer` and `person` are put into headers as `forge` wants them; a person is (account, cookie's secret)."""

    def __init__(self, bearer=None, account=None, cookie=None, csrf_of=None, more=None, unconfirmed=0, db="books"):
        self.bearer, self.account, self.cookie, self.more, self.unconfirmed, self.db = bearer, account, cookie, more or {}, unconfirmed, db
        self.csrf_of = cookie if csrf_of is None else csrf_of  # "": the token is left out

    def headers(self, method):
        head = {"Authorization": self.bearer, **self.more}
        if self.cookie:
            head["Cookie"] = "holdfast=" + self.cookie
        if self.cookie and self.csrf_of and method != "GET":
            head["X-CSRF-Token"] = hmac.new(self.csrf_of.encode(), b"holdfast csrf", hashlib.sha256).hexdigest()
        return head


class World:
    def __init__(self, server):
        self.s, self.count = server, itertools.count(1)
        self.control = sqlite3.connect(f"file:{server.data}/control.db?mode=rw", uri=True, isolation_level=None, timeout=30)
        self.control.execute("PRAGMA foreign_keys = ON")
        self.ids = {"acme": self.one("SELECT id FROM namespace WHERE slug = 'acme'")}
        self.keeper = self.one("SELECT id FROM account")
        for slug in ("other", "quarry", "past", "quarry-past", "club"):
            self.ids[slug] = self.namespace(slug, self.keeper)
        self.tokens = {"acme": server.token, "other": server.mint("admin", namespace="other")["token"], "quarry": server.mint("admin", namespace="quarry")["token"]}
        for ns, db in (("acme", "books"), ("acme", "maps"), ("acme", "walled"), ("acme", "bin"), ("quarry", "quarry-vault"), ("quarry", "quarry-bin")):
            self.database(ns, db)
        self.made = {ns: self.things(ns, db, gone) for ns, db, gone in (("acme", "books", "bin"), ("quarry", "quarry-vault", "quarry-bin"))}
        self.marks = [b"quarry", *{name.encode() for pair in self.made["quarry"].values() for name in pair if name != "quarry-past"}]
        for db in ("maps", "walled"):
            self.ask(self.with_token("acme"), "POST", f"/v1/db/acme/{db}/batch", {"statements": [{"sql": x} for x in SCHEMA]})
        self.branch("acme", "books", "sibling")
        self.ask(self.with_token("acme"), "PUT", "/api/namespaces/acme/databases/walled/row-security", {"tableName": "orders", "enabled": True})
        self.policy_of_maps = self.policy("acme", "maps")["id"]
        self.credentials = {}
        self.people()
        self.api_tokens()
        self.apps()
        self.strangers()
        self.member(self.ids["past"], self.credentials["owner"].account, "owner")
        for slug in ("past", "quarry-past"):
            self.write("UPDATE namespace SET deleted_at = ? WHERE slug = ?", now(), slug)

    # --- Rows ---

    def one(self, sql, *values):
        row = self.control.execute(sql, values).fetchone()
        return row and row[0]

    def write(self, sql, *values):
        self.control.execute(sql, values)

    def new_id(self, prefix):
        return f"{prefix}_{now():013d}{next(self.count):013d}"

    def namespace(self, slug, owner):
        made = self.new_id("ns")
        self.write("INSERT INTO namespace(id, slug, name, created_at) VALUES(?, ?, ?, ?)", made, slug, slug, now())
        self.member(made, owner, "owner")
        return made

    def member(self, namespace, account, role):
        self.write("INSERT INTO namespace_member(namespace_id, account_id, role, created_at, slug) SELECT id, ?2, ?3, ?4, slug FROM namespace WHERE id = ?1",
                   namespace, account, role, now())

    def account(self, name):
        """With the password of every test."""
        made = self.new_id("usr")
        self.write("INSERT INTO account(id, email, email_key, password_hash, created_at, first_sign_in_at) SELECT ?1, ?2, ?2, password_hash, ?3, ?3"
                   " FROM account WHERE id = ?4", made, email_of(name), now(), self.keeper)
        return made

    def session(self, account, idle=0, old=0, unconfirmed=0):
        """The secret of a session that was made, used and confirmed so many milliseconds ago."""
        made, t = secret("hfs_"), now()
        self.s.secrets.append(made)
        self.write("INSERT INTO session VALUES(?, ?, ?, ?, ?, ?, ?, '', '')", self.new_id("ses"), account, hashlib.sha256(made.encode()).hexdigest(), t - old, t - idle,
                   t - unconfirmed, t - old + 12 * HOUR)
        return made

    def person(self, name, role=None, ns="acme", shared=None):
        account = self.account(name)
        if role:
            self.member(self.ids[ns], account, role)
        if shared:
            self.write("INSERT INTO database_share VALUES(?, ?, ?, ?)", self.made["acme"]["db"][1], account, shared, now())
        return Credential(account=account, cookie=self.session(account))

    def double(self, who):
        """Another account with the same rights and a session of its own, for what ends either."""
        n = next(self.count)
        account = self.account(f"double-{n}")
        for table, column in (("namespace_member", "namespace_id"), ("database_share", "database_id")):
            self.write(f"INSERT INTO {table}({column}, account_id, role, created_at) SELECT {column}, ?, role, created_at FROM {table} WHERE account_id = ?", account, who.account)
        return Credential(who.bearer, account, self.session(account, unconfirmed=who.unconfirmed), more=who.more, unconfirmed=who.unconfirmed)

    # --- Things ---

    def ask(self, who, method, path, body=None, status=200):
        a = self.s.call(method, path, body, headers=who.headers(method))
        if a.status != status:
            raise AssertionError((method, path, a))
        return a.json.get("data")

    def with_token(self, ns):
        return Credential(bearer=f"Bearer {self.tokens[ns]}")

    def lord(self):
        """Owner of everything, who just gave the password."""
        return Credential(account=self.keeper, cookie=self.session(self.keeper))

    def database(self, ns, slug):
        return self.ask(self.with_token(ns), "POST", "/v1/databases", {"slug": slug})

    def token(self, ns, **body):
        made = self.ask(self.with_token(ns), "POST", f"/api/namespaces/{ns}/tokens", {"name": f"token {next(self.count)} of {ns}", **body})
        self.s.secrets.append(made["token"])
        return made

    def forget(self):
        """Makes the server look up everybody anew: something was revoked."""
        self.ask(self.with_token("acme"), "DELETE", f"/api/namespaces/acme/tokens/{self.token('acme')['id']}")

    def snapshot(self, ns, db):
        return self.ask(self.with_token(ns), "POST", f"/v1/db/{ns}/{db}/snapshots", {"label": f"snapshot {next(self.count)}"})

    def archive(self, ns, db):
        return self.ask(self.with_token(ns), "POST", f"/v1/db/{ns}/{db}/archives", {"label": f"archive {next(self.count)}"})

    def branch(self, ns, db, ref):
        return self.ask(self.with_token(ns), "PUT", f"/v1/db/{ns}/{db}/branches/{ref}")

    def proposal(self, ns, db):
        made = self.ask(self.with_token(ns), "POST", f"/v1/db/{ns}/{db}/propose", {"sql": "DELETE FROM orders WHERE id = -1"})
        self.s.secrets.append(made["executionToken"])
        return made

    def applied(self, ns, db):
        made = self.proposal(ns, db)
        self.ask(self.with_token(ns), "POST", f"/v1/db/{ns}/{db}/apply", {"executionToken": made["executionToken"]})
        return made["proposalId"]

    def approval(self, ns, db):
        """Of a write that a rule holds: the table it is about has no other use."""
        token = self.with_token(ns)
        self.ask(token, "POST", f"/v1/db/{ns}/{db}/batch", {"statements": [{"sql": "CREATE TABLE IF NOT EXISTS held(a)"}]})
        if not any(r["tableGlob"] == "held" for r in self.ask(token, "GET", f"/v1/db/{ns}/{db}/approval-rules")):
            self.ask(token, "POST", f"/v1/db/{ns}/{db}/approval-rules", {"tableGlob": "held", "action": "require_approval"})
        a = self.s.call("POST", f"/v1/db/{ns}/{db}/query", {"sql": f"INSERT INTO held VALUES('of {ns}')"}, headers=token.headers("POST"))
        return a.json["approvalToken"]

    def policy(self, ns, db):
        return self.ask(self.with_token(ns), "POST", f"/api/namespaces/{ns}/databases/{db}/policies",
                        {"name": f"policy {next(self.count)} of {ns}", "tableName": "orders", "expression": "1", "enabled": False})

    def rule(self, ns, db):
        return self.ask(self.with_token(ns), "POST", f"/v1/db/{ns}/{db}/approval-rules", {"tableGlob": "nowhere", "action": "allow", "note": f"rule {next(self.count)}"})

    def invariant(self, ns, db):
        return self.ask(self.with_token(ns), "POST", f"/v1/db/{ns}/{db}/invariants", {"name": f"invariant {next(self.count)}", "sql": "SELECT 1 WHERE 0"})

    def invitation(self, ns, email):
        made = self.ask(self.lord(), "POST", f"/api/namespaces/{ns}/invitations", {"email": email, "role": "viewer"})
        made["secret"] = made["url"].rsplit("/", 1)[1]
        self.s.secrets.append(made["secret"])
        return made

    def client(self, ns, **body):
        made = self.ask(self.lord(), "POST", f"/api/namespaces/{ns}/oauth-clients", {"name": f"App {next(self.count)}", "redirectUris": [CALLBACK], **body})
        self.s.secrets.append(made["clientSecret"])
        return made

    def repo(self, ns):
        return self.ask(self.with_token(ns), "POST", f"/api/namespaces/{ns}/repos", {"repo": f"{ns}/repo-{next(self.count)}"})

    def grant(self, client, account):
        self.write("INSERT INTO oauth_grant(id, account_id, client_id, scope, created_at, given_at) VALUES(?, ?, ?, 'openid', ?, ?)", self.new_id("ogr"), account, client["id"],
                   now(), now())

    def things(self, ns, db, gone):
        """kind: (as paths name it, its other name)."""
        self.ask(self.with_token(ns), "POST", f"/v1/db/{ns}/{db}/batch", {"statements": [{"sql": x} for x in SCHEMA]})
        row = lambda slug: self.one("SELECT id FROM database WHERE namespace_id = ? AND slug = ?", self.ids[ns], slug)
        past = "past" if ns == "acme" else "quarry-past"
        made = {"ns": (ns, self.ids[ns]), "db": (db, row(db)), "gone": (gone, row(gone)), "past": (past, self.ids[past])}
        self.ask(self.with_token(ns), "DELETE", f"/v1/databases/{gone}")
        token, policy, client, invitation = self.token(ns, role="readonly", claims=CLAIMS), self.policy(ns, db), self.client(ns), self.invitation(ns, f"invited-{ns}@example.com")
        branch = self.branch(ns, db, "kept" if ns == "acme" else "kept-by-quarry")
        proposal, approval = self.proposal(ns, db), self.approval(ns, db)
        snapshot, archive = self.snapshot(ns, db), self.archive(ns, db)
        rule, invariant = self.rule(ns, db), self.invariant(ns, db)
        account, repo = self.account(f"victim-{ns}"), self.repo(ns)
        self.member(self.ids[ns], account, "viewer")
        self.write("INSERT INTO database_share VALUES(?, ?, 'editor', ?)", row(db), account, now())
        self.grant(client, account)
        self.session(account)
        session = self.one("SELECT id FROM session WHERE account_id = ?", account)
        return {**made, "token": (token["id"], token["name"]), "branch": (branch["branchRef"], branch["id"]), "snapshot": (snapshot["id"], snapshot["label"]), "archive": (archive["id"], archive["label"]), "policy": (policy["id"], policy["name"]), "approval": (approval, f"of {ns}"), "rule": (rule["id"], rule["note"]), "invariant": (invariant["id"], invariant["name"]), "proposal": (proposal["proposalId"], proposal["executionToken"]), "member": (account, email_of(f"victim-{ns}")),
                "invitation": (invitation["id"], invitation["email"]), "link": (invitation["secret"], invitation["id"]),
                "client": (client["id"], client["clientId"]), "app": (client["clientId"], client["id"]),
                "session": (session, row(db)), "repo": (repo["id"], repo["repo"])}

    # --- Credentials ---

    def people(self):
        keep = self.credentials
        for name, role, shared in (("viewer", "viewer", None), ("editor", "editor", None), ("manager", "admin", None), ("owner", "owner", None),
                                   ("widened", "viewer", "editor"), ("narrowed", "admin", "viewer"), ("removed", None, None)):
            keep[name] = self.person(name, role, shared=shared)
        keep["stranger"] = self.person("stranger", "owner", "other")
        keep["stale"] = self.person("stale", "owner")
        keep["stale"] = Credential(account=keep["stale"].account, cookie=self.session(keep["stale"].account, unconfirmed=HOUR), unconfirmed=HOUR)
        me = keep["owner"]
        own = lambda **more: Credential(account=me.account, cookie=me.cookie, **more)
        keep["without_csrf"], keep["csrf_of_another"] = own(csrf_of=""), own(csrf_of=keep["manager"].cookie)
        keep["other_origin"], keep["other_site"] = own(more={"Origin": "https://evil.example.com"}), own(more={"Sec-Fetch-Site": "cross-site"})
        keep["beside_malformed"] = own(bearer="Bearer nonsense")

    def bearer(self, **body):
        return Credential(bearer=f"Bearer {self.token('acme', **body)['token']}")

    def api_tokens(self):
        keep = self.credentials
        keep["readonly"], keep["readwrite"], keep["admin"] = (self.bearer(role=r) for r in ("readonly", "readwrite", "admin"))
        keep["with_claims"], keep["with_tables"] = self.bearer(claims=CLAIMS), self.bearer(tableScope=["orders"])
        keep["with_claims"].db = "walled"
        keep["bound"], keep["bound_other"] = self.bearer(database="books"), self.bearer(database="maps")
        keep["for_branches"], keep["bound_branch"] = self.bearer(kind="test"), self.bearer(database="books", branch="kept")
        keep["other_tenant"] = self.with_token("other")
        keep["elsewhere"] = self.bearer(allowedAddresses=["192.0.2.0/24"])
        keep["beside_readonly"] = Credential(keep["readonly"].bearer, keep["owner"].account, keep["owner"].cookie)

    def browser(self, name):
        b = Browser(self.s, email_of(name), PASSWORD)
        b.cookie = "holdfast=" + self.session(self.one("SELECT id FROM account WHERE email = ?", b.email))
        return b

    def access(self, client, name, scope="openid database"):
        """What the token endpoint answers when the person has said yes to everything."""
        app, more = App(self.s, client), {"database": "acme/books"} if "database" in scope else {}
        back = self.browser(name).consent(app.ask(scope=scope), **more)
        return app.redeem(back.headers["location"].split("code=")[1].split("&")[0]).json

    def apps(self):
        keep, made = self.credentials, lambda t: Credential(bearer="Bearer " + t["access_token"])
        client = self.client("acme", databaseMode="connect", refreshTokens=True)
        for name in ("held", "outcast", "regretful"):
            self.person(name, "editor")
        keep["app_of_owner"], keep["app_of_viewer"] = made(self.access(client, "owner")), made(self.access(client, "viewer"))
        for name in ("editor", "widened", "narrowed"):
            keep[f"app_of_{name}"] = made(self.access(client, name))
        keep["app_sign_in"] = made(self.access(client, "owner", "openid"))
        keep["of_suspended"], keep["app_of_removed"] = made(self.access(client, "held")), made(self.access(client, "outcast"))
        tokens = self.access(client, "regretful")
        keep["of_withdrawn_app"] = made(tokens)
        keep["refresh_token"] = Credential(bearer="Bearer " + self.access(client, "editor")["refresh_token"])
        account = lambda name: self.one("SELECT id FROM account WHERE email = ?", email_of(name))
        self.s.run("user", "suspend", email_of("held"), "--data", self.s.data)
        self.ask(self.lord(), "DELETE", f"/api/namespaces/acme/members/{account('outcast')}")
        regretful = Credential(account=account("regretful"), cookie=self.session(account("regretful")))
        self.ask(regretful, "DELETE", f"/api/me/connected-apps/{client['clientId']}")

    def strangers(self):
        keep, good = self.credentials, self.token("acme")
        bearer = lambda text: Credential(bearer=f"Bearer {text}")
        flip = lambda text: text[:20] + ("a" if text[20] != "a" else "b") + text[21:]
        keep["nobody"], keep["malformed"], keep["basic"] = Credential(), bearer("eyJhbGciOiJIUzI1NiJ9.e30.x"), Credential(bearer="Basic eDp5")
        keep["wrong_checksum"], keep["never_issued"] = bearer(flip(good["token"])), bearer(secret("psql_live_"))
        expired, revoked, rotated = self.token("acme", expiresIn=60), self.token("acme"), self.token("acme")
        self.write("UPDATE token SET expires_at = created_at WHERE id = ?", expired["id"])
        self.ask(self.with_token("acme"), "DELETE", f"/api/namespaces/acme/tokens/{revoked['id']}")
        self.ask(self.with_token("acme"), "POST", f"/api/namespaces/acme/tokens/{rotated['id']}/rotate", {"overlap": 0})
        keep["expired"], keep["revoked"], keep["rotated"] = (bearer(t["token"]) for t in (expired, revoked, rotated))
        keep["of_deleted_ns"] = bearer(self.s.mint("admin", namespace="past")["token"])
        keep["session_as_bearer"] = bearer(keep["owner"].cookie)
        keep["cookie_malformed"], keep["token_as_cookie"] = Credential(cookie=flip(keep["owner"].cookie)), Credential(cookie=good["token"])
        keep["cookie_unknown"] = Credential(cookie=secret("hfs_"))
        owner = keep["owner"].account
        keep["signed_out"] = Credential(cookie=self.session(owner))
        self.ask(keep["signed_out"], "POST", "/api/auth/sign-out")
        keep["idle"], keep["outlived"] = Credential(cookie=self.session(owner, idle=HOUR)), Credential(cookie=self.session(owner, old=12 * HOUR))
        for name, role in (("suspended", "owner"), ("deleted", "admin")):
            keep[name] = self.person(name, role)
        self.write("UPDATE account SET suspended_at = ? WHERE id = ?", now(), keep["suspended"].account)
        self.ask(keep["deleted"], "POST", "/api/auth/delete-user")

    # --- What must not change ---

    # Times of use, the signing of the audit log and the purging of what is over happen by themselves.
    VOLATILE = {"session": {"seen_at"}, "token": {"last_used_at"}, "audit_chain": {"signed_seq", "unsigned_at"}}

    def state(self, databases):
        """Everything in control.db; `databases` also what is in them."""
        found = {}
        for (table,) in self.control.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'audit_checkpoint'").fetchall():
            rows = self.control.execute(f"SELECT * FROM {table}" + (f" WHERE expires_at > {now()}" if table == "session" else ""))
            shown = [i for i, c in enumerate(rows.description) if c[0] not in self.VOLATILE.get(table, ())]
            found[table] = hashlib.sha256(repr(sorted(repr([row[i] for i in shown]) for row in rows)).encode()).hexdigest()
        for ns, db in (("acme", "books"), ("acme", "books-kept"), ("acme", "books-sibling"), ("acme", "walled"), ("quarry", "quarry-vault")) if databases else ():
            for path in (f"/v1/db/{ns}/{db}/export?format=sql", f"/v1/db/{ns}/{db}/describe", f"/api/namespaces/{ns}/databases/{db}/policies"):
                a = self.s.call("GET", path, headers=self.with_token(ns).headers("GET"))
                found[path] = a.data if "export" in path else json.dumps(a.json.get("data"))
        return found
