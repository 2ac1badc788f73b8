"""Where the path of each route leads: to something that stands, for whoever is refused; to something fresh, for whoever may end or
change it; elsewhere, for what everybody is refused."""
from holdfast import PASSWORD
from world import CLAIMS, email_of, now, secret

# What {id} is in the routes whose names begin so; the longest fits first.
ITEMS = {"APPROVAL_": "approval", "API_APPROVAL_": "approval", "INBOX_": "approval", "APPROVE_PAGE": "approval", "POLICY_": "policy", "RULE_": "rule", "API_RULE_": "rule", "INVARIANT_": "invariant", "API_INVARIANT_": "invariant", "PROPOSAL_": "proposal", "API_PROPOSAL_": "proposal", "MEMBER_": "member", "SHARE_": "member", "INVITATION_REVOKE": "invitation", "INVITATION_ACCEPT": "link", "INVITE_PAGE": "link",
         "TOKEN_": "token", "REPO_": "repo", "BRANCH_": "branch", "API_BRANCH_": "branch", "SNAPSHOT_": "snapshot", "API_SNAPSHOT_": "snapshot", "ARCHIVE_": "archive", "API_ARCHIVE_": "archive", "OAUTH_CLIENT_": "client", "APP_": "app", "NS_RESTORE": "past"}
# kind: a name that never was, and one of the other form.
NEVER = {"approval": ("appr_0", "never"), "ns": ("never", "ns_0"), "db": ("never", "db_0"), "gone": ("never", "db_0"), "past": ("never", "ns_0"), "policy": ("pol_0", "never"), "rule": ("rule_0", "never"), "invariant": ("inv_0", "never"), "proposal": ("prop_0", "never"), "member": ("usr_0", "never@example.com"),
         "invitation": ("inv_0", "never@example.com"), "token": ("tok_0", "never"), "client": ("oc_0", "psqlrp_s00_0"), "app": ("psqlrp_s00_0", "oc_0"), "link": (None, "inv_0"),
         "repo": ("repo_0", "never/was"), "branch": ("never", "db_0"), "snapshot": ("snap_0", "never"), "archive": ("arch_0", "never"), "session": ("ses_0", "never")}
# Where what tests/lib/routes.py sends names things of another server.
BODIES = {"SIGN_IN": {"email": email_of("victim-acme"), "password": PASSWORD}, "SESSION_MINT": {"databaseSlug": "books", "userId": "user_{n}"}}
# Members of bodies that name a thing: what else is sent, and the kind of thing.
NAMED = {"TOKEN_CREATE": ("database", {}, "db"), "USER_PROVISION": ("template", {"subject": "user_{n}"}, "db"), "SESSION_MINT": ("databaseSlug", {"userId": "user_{n}"}, "db"),
         "SESSION_END": ("id", {}, "session")}
ENDS_SESSION = ("SIGN_OUT", "SESSION_END", "SESSION_END_OTHERS", "PASSWORD_CONFIRM", "PASSWORD_CHANGE", "ACCOUNT_DELETE", "INVITATION_ACCEPT")


class Targets:
    def __init__(self, world):
        self.w = world

    def kind(self, route, part):
        if part == "ITEM":
            return next(kind for name, kind in ITEMS.items() if route.id.startswith(name))
        return "ns" if part == "NS" else "gone" if route.id == "DATABASE_RESTORE" else "db"

    def parts(self, route):
        return [part for part, name in (("NS", "{ns}"), ("DB", "{db}"), ("ITEM", "{id}")) if name in route.template]

    def misleading(self, route):
        """Parts that may lead elsewhere: what PUT makes need not be there."""
        return [part for part in self.parts(route) if part != "ITEM" or not route.id.endswith("BRANCH_PUT")]

    def name(self, part):
        return {"NS": "ns", "DB": "db", "ITEM": "id"}[part]

    def standing(self, route):
        found = {self.name(part): self.w.made["acme"][self.kind(route, part)][0] for part in self.parts(route)}
        return {**found, "body": BODIES.get(route.id), "number": next(self.w.count)}

    def elsewhere(self, route, part):
        """{place: target}"""
        kind, found = self.kind(route, part), {}
        never, odd = NEVER[kind]
        theirs, mine = self.w.made["quarry"][kind], self.w.made["acme"][kind]
        for place, name in (("never", never or secret("hfi_")), ("never, otherwise named", odd), ("another's", theirs[0]), ("another's, otherwise named", theirs[1]),
                            ("own, otherwise named", mine[1])):
            found[place] = {**self.standing(route), self.name(part): name}
        if kind in ("ns", "db"):
            found["deleted"] = {**self.standing(route), self.name(part): self.w.made["acme"]["past" if kind == "ns" else "gone"][0]}
        if kind == "proposal":
            found["another database's"] = {**self.standing(route), "id": self.w.proposal("acme", "maps")["proposalId"]}
        if kind == "approval" and "{db}" in route.template:
            found["another database's"] = {**self.standing(route), "id": self.w.approval("acme", "maps")}
        if kind == "policy":
            found["another database's"] = {**self.standing(route), "id": self.w.policy_of_maps}
        return found

    def branches(self, route):
        """[(target, whether it is the one that a credential is bound to)], by both names of a branch; [] where branches have no place."""
        if not ("{ns}" in route.template and "{db}" in route.template and route.bearer) or "BRANCH" in route.id:
            return []
        names = [f"books{dot}{ref}" for dot in "-." for ref in ("kept", "sibling")]
        return [({**self.standing(route), "db": name}, name.endswith("kept")) for name in names]

    def named(self, route):
        """The same for what the body names; {} where it names nothing."""
        if route.id not in NAMED:
            return {}
        member, others, kind = NAMED[route.id]
        theirs, mine, never = self.w.made["quarry"][kind], self.w.made["acme"][kind], NEVER[kind]
        names = {"never": never[0], "never, otherwise named": never[1], "another's": theirs[0], "another's, otherwise named": theirs[1], "own, otherwise named": mine[1]}
        return {place: {**self.standing(route), "body": {member: name, **others}} for place, name in names.items()}

    def fresh(self, route, who):
        """(credential, target) for one call that may do whatever the route does."""
        target = self.standing(route)
        if who.account and route.id in ENDS_SESSION:
            who = self.w.double(who)
        make = getattr(self, route.id.removeprefix("API_").lower(), None)
        if make:
            target.update(make(who))
        return who, target

    # --- One function for each route that needs something of its own; named after it ---

    def database_delete(self, who):
        slug = f"db-{next(self.w.count)}"
        self.w.database("acme", slug)
        return {"db": slug}

    def database_restore(self, who):
        target = self.database_delete(who)
        self.w.ask(self.w.with_token("acme"), "DELETE", f"/v1/databases/{target['db']}")
        return target

    def token_revoke(self, who):
        return {"id": self.w.token("acme", role="readonly", claims=CLAIMS)["id"]}

    token_rotate = token_revoke

    def snapshot_delete(self, who):
        return {"id": self.w.snapshot("acme", who.db or "books")["id"]}

    def archive_delete(self, who):
        return {"id": self.w.archive("acme", who.db or "books")["id"]}

    archive_download = archive_delete

    def branch_delete(self, who):
        return {"id": self.w.branch("acme", who.db or "books", f"ref-{next(self.w.count)}")["branchRef"]}

    def there(self, route, who, db):
        """What a call in that database needs of its own."""
        kind = route.id.removeprefix("API_")
        return getattr(self, kind.lower())(who, db) if kind in ("APPLY", "UNDO") else {}

    def propose_as(self, who, db, sql):
        path = f"/api/namespaces/acme/databases/{db or who.db or 'books'}"
        return path, self.w.ask(who, "POST", path + "/propose", {"sql": sql})

    def apply(self, who, db=None):
        made = self.propose_as(who, db, "DELETE FROM orders WHERE id = -1")[1]
        return {"body": {"executionToken": made["executionToken"]}}

    def undo(self, who, db=None):
        """Something that it applied itself."""
        path, made = self.propose_as(who, db, f"INSERT INTO orders(id) VALUES({10**6 + next(self.w.count)})")
        self.w.ask(who, "POST", path + "/apply", {"executionToken": made["executionToken"]})
        return {"body": {"tokenId": made["tokenId"], "from": made["createdAt"]}}

    def proposal_withdraw(self, who):
        return {"id": self.w.proposal("acme", "books")["proposalId"]}

    def proposal_undo(self, who):
        return {"id": self.w.applied("acme", "books")}

    def inbox_decide(self, who):
        return {"id": self.w.approval("acme", "books")}

    def policy_update(self, who):
        return {"id": self.w.policy("acme", "books")["id"]}

    policy_delete = policy_update

    def rule_update(self, who):
        return {"id": self.w.rule("acme", "books")["id"]}

    rule_delete = rule_update

    def rule_replace(self, who):
        """All of them again: other routes are tested with these."""
        rules = self.w.ask(self.w.with_token("acme"), "GET", f"/v1/db/acme/{who.db or 'books'}/approval-rules")
        return {"body": {"rules": [{k: r[k] for k in ("id", "order", "tableGlob", "action", "note")} for r in rules]}}

    def invariant_delete(self, who):
        return {"id": self.w.invariant("acme", "books")["id"]}

    def member_update(self, who):
        return {"id": self.w.person(f"member-{next(self.w.count)}", "viewer", shared="viewer").account}

    member_remove = share_set = share_remove = member_update

    def invitation_revoke(self, who):
        return {"id": self.w.invitation("acme", f"invited-{next(self.w.count)}@example.com")["id"]}

    def invitation_accept(self, who):
        return {"id": self.w.invitation("club", self.w.one("SELECT email FROM account WHERE id = ?", who.account))["secret"]}

    def repo_unbind(self, who):
        return {"id": self.w.repo("acme")["id"]}

    def oauth_client_update(self, who):
        return {"id": self.w.client("acme")["id"]}

    oauth_client_secret = oauth_client_delete = oauth_client_update

    def app_withdraw(self, who):
        client = self.w.client("club")
        self.w.grant(client, who.account)
        return {"id": client["clientId"]}

    def own_namespace(self, who):
        slug = f"ns-{next(self.w.count)}"
        self.w.member(self.w.namespace(slug, self.w.keeper), who.account, "owner")
        return {"ns": slug, "id": slug}

    ns_update = ns_delete = ns_leave = own_namespace

    def ns_restore(self, who):
        target = self.own_namespace(who)
        self.w.write("UPDATE namespace SET deleted_at = ? WHERE slug = ?", now(), target["id"])
        return target

    def session_end(self, who):
        self.w.session(who.account)
        return {"body": {"id": self.w.one("SELECT max(id) FROM session WHERE account_id = ?", who.account)}}

    def account_delete(self, who):
        return {}
