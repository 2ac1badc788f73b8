"""A program that asks people for access, and the browser of the person it asks: the flow in steps, each of which a test can bend."""
import base64
import hashlib
import html
import json
import re
import urllib.parse

from holdfast import PASSWORD
from people import Person

REFRESHING = {"grant_types": ["authorization_code", "refresh_token"]}
CALLBACK = "https://app.example.com/callback"
NOBODY = {"Authorization": None}
FORM = {"Authorization": None, "Content-Type": "application/x-www-form-urlencoded"}
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def challenge(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def encode(params):
    return urllib.parse.urlencode(params, quote_via=urllib.parse.quote)


def basic(client_id, secret):
    quoted = ":".join(urllib.parse.quote(x, safe="") for x in (client_id, secret))
    return "Basic " + base64.b64encode(quoted.encode()).decode()


def part_of(jwt, n):
    """The head (0) or the claims (1), unverified."""
    part = jwt.split(".")[n]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def claims_of(jwt):
    return part_of(jwt, 1)


def parameters(location):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query, keep_blank_values=True))


class Page:
    """What a browser makes of a page with one form: where it leads, what it sends, what can be read."""

    def __init__(self, answer):
        text = answer.data.decode()
        found = re.search(r'<form method="post" action="([^"]*)">(.*?)</form>', text, re.S)
        self.action = html.unescape(found[1]) if found else None
        inside = found[2] if found else ""
        self.fields = {html.unescape(n): html.unescape(v) for n, v in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', inside)}
        for name, options in re.findall(r'<select name="([^"]*)">(.*?)</select>', inside, re.S):
            self.fields[name] = html.unescape(re.search(r'<option value="([^"]*)">', options)[1])
        self.text = html.unescape(re.sub(r"<[^>]*>", " ", text))
        self.raw = text


class App:
    def __init__(self, server, made, callback=CALLBACK):
        self.server, self.callback = server, callback
        self.id, self.secret = made.get("clientId") or made["client_id"], made.get("clientSecret") or made.get("client_secret")
        if self.secret:
            server.secrets.append(self.secret)

    def ask(self, **changed):
        """Parameters of a good request; None leaves one out."""
        params = {"response_type": "code", "client_id": self.id, "redirect_uri": self.callback, "scope": "openid database", "state": "st-1", "nonce": "n-1",
                  "code_challenge": challenge(VERIFIER), "code_challenge_method": "S256", **changed}
        return {k: v for k, v in params.items() if v is not None}

    def post(self, path, params, auth="basic", headers=None):
        """auth: basic, post, none, or a value of the Authorization header."""
        params, head = dict(params), dict(FORM)
        if auth == "basic" and self.secret:
            head["Authorization"] = basic(self.id, self.secret)
        elif auth in ("post", "basic", "none"):
            params.setdefault("client_id", self.id)
            if auth == "post":
                params.setdefault("client_secret", self.secret)
        else:
            head["Authorization"] = auth
        a = self.server.call("POST", path, encode(params).encode() if isinstance(params, dict) else params, headers={**head, **(headers or {})})
        self.keep(a)
        return a

    def keep(self, answer):
        if answer.status == 200 and answer.data.startswith(b"{"):
            self.server.secrets += [answer.json[k] for k in ("access_token", "refresh_token", "id_token") if k in answer.json]

    def redeem(self, code, auth="basic", /, **changed):
        params = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback, "code_verifier": VERIFIER, **changed}
        return self.post("/oauth/token", {k: v for k, v in params.items() if v is not None}, auth)

    def refresh(self, token, auth="basic", **more):
        return self.post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": token, **more}, auth)

    def revoke(self, token, auth="basic", **more):
        return self.post("/oauth/revoke", {"token": token, **more}, auth)

    def introspect(self, token, auth="basic", **more):
        return self.post("/oauth/introspect", {"token": token, **more}, auth)


class Browser:
    """Follows the pages of one person."""

    def __init__(self, server, email, password):
        self.server, self.email, self.password, self.cookie = server, email, password, None
        server.secrets.append(password)

    def call(self, method, path, form=None, headers=None):
        head = {"Authorization": None, "Cookie": self.cookie, **(FORM if form is not None else {}), **(headers or {})}
        a = self.server.call(method, path, None if form is None else encode(form).encode(), headers=head)
        line = a.headers.get("set-cookie")
        if line:
            self.cookie = line.split(";")[0]
            self.server.secrets.append(self.cookie.split("=", 1)[1])
        code = parameters(a.headers.get("location", "")).get("code")
        if code:
            self.server.secrets.append(code)
        return a

    def authorize(self, params):
        return self.call("GET", "/oauth/authorize?" + (params if isinstance(params, str) else encode(params)))

    def sign_in(self, page, password=None):
        a = self.call("POST", page.action, {**page.fields, "email": self.email, "password": password or self.password})
        return self.call("GET", a.headers["location"]) if a.status == 303 and a.headers["location"].startswith("/") else a

    def decide(self, page, decision="allow", **changed):
        fields = {**page.fields, "decision": decision, **changed}
        return self.call("POST", page.action, {k: v for k, v in fields.items() if v is not None})

    def consent(self, params, **changed):
        """Through all pages: the answer that leads back to the program."""
        a = self.authorize(params)
        if a.status == 200 and b'action="/oauth/sign-in"' in a.data:
            a = self.sign_in(Page(a))
        if a.status == 200:
            a = self.decide(Page(a), **changed)
        return a

    def code(self, app, **changed):
        a = self.consent(app.ask(**changed))
        found = parameters(a.headers.get("location", "")).get("code")
        if not found:
            raise AssertionError(f"no code: {a} {a.headers}")
        return found


def register(server, callback=CALLBACK, **metadata):
    a = server.call("POST", "/oauth/register", {"client_name": "Notes", "redirect_uris": [callback], **metadata}, headers=NOBODY)
    if a.status != 201:
        raise AssertionError(a)
    return App(server, a.json, callback)


# --- What its suites share -----------------------------------------------------------------------------------------------

def owner(s):
    return Browser(s, "owner@example.com", PASSWORD)


def console(s):
    p = Person(s, "owner@example.com", PASSWORD)
    p.sign_in()
    return p


def app(s, name="App", **more):
    """One that belongs to the namespace."""
    a = console(s).ask("POST", "/api/namespaces/acme/oauth-clients", {"name": name, "redirectUris": [CALLBACK], **more})
    if a.status != 200:
        raise AssertionError(a)
    made = App(s, a.json["data"])
    made.row = a.json["data"]["id"]
    return made


def refused(checks, what, answer, status, error):
    """In the words of the standards, and never kept by a cache."""
    if checks.equal(f"{what}: status", answer.status, status):
        checks.equal(f"{what}: error", answer.json.get("error"), error)
        checks.that(f"{what}: said in words", answer.json.get("error_description"), answer)
        checks.equal(f"{what}: not cached", answer.headers.get("cache-control"), "no-store")
    else:
        print("    ", answer)


def on_page(checks, what, answer, status=400):
    """Told to the person; the browser is sent nowhere."""
    ok = answer.status == status and "location" not in answer.headers and answer.headers.get("content-type", "").startswith("text/html")
    checks.that(f"{what}: a page, no redirect", ok, (answer, answer.headers))
    strict(checks, what, answer)


def sent_back(checks, what, answer, error, state="st-1", callback=CALLBACK):
    where = answer.headers.get("location", "")
    got = parameters(where)
    ok = answer.status == 303 and where.startswith(callback + ("&" if "?" in callback else "?"))
    checks.that(f"{what}: sent back", ok, (answer, where))
    checks.equal(f"{what}: error, state and iss", (got.get("error"), got.get("state"), got.get("iss", "").startswith("http://127.0.0.1:")), (error, state, True))
    checks.that(f"{what}: no code", "code" not in got, got)


def strict(checks, what, answer):
    policy = answer.headers.get("content-security-policy", "")
    checks.that(f"{what}: no script, no frame", "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy, policy)
    checks.equal(f"{what}: headers", [answer.headers.get(h) for h in ("x-frame-options", "x-content-type-options", "cache-control")], ["DENY", "nosniff", "no-store"])
