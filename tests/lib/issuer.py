"""An issuer of OpenID Connect tokens on loopback: discovery, keys, tokens of any shape. Real HTTP (or HTTPS), port 0; openssl signs.

    with Issuer() as issuer, Server(binary, args=["--trust-issuer", "github=" + issuer.url]) as s:
        token = issuer.mint(github("octo/widgets", 74, 65))

`issuer.counts` says how often each path was asked for. keys rotate(), the issuer goes down() and comes up() again on the same port, `answers[path]`
replaces an answer by (status, headers, body; a header that is None is left out), `hold()` lets requests wait. Standard library and the openssl command alone."""
import base64
import collections
import contextlib
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

DISCOVERY, JWKS = "/.well-known/openid-configuration", "/jwks"
AUDIENCE = "persql"


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def github(repository, repository_id, owner_id, **more):
    """Claims of a job of GitHub Actions, as far as they matter."""
    return {"sub": f"repo:{repository}:ref:refs/heads/main", "repository": repository, "repository_id": str(repository_id),
            "repository_owner": repository.split("/")[0], "repository_owner_id": str(owner_id), "ref": "refs/heads/main",
            "ref_type": "branch", "event_name": "push", "workflow": "CI", "run_id": "1", **more}


def gitlab(project_path, project_id, namespace_id, **more):
    return {"sub": f"project_path:{project_path}:ref_type:branch:ref:main", "project_path": project_path, "project_id": str(project_id),
            "namespace_id": str(namespace_id), "namespace_path": project_path.rsplit("/", 1)[0], "ref": "main", "ref_type": "branch", **more}


def google(email, sub="104823", **more):
    return {"sub": sub, "email": email, "email_verified": True, "azp": sub, **more}


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True, timeout=60).stdout


class Key:
    """`alg` is RS256 or ES256; `bits` of RSA."""
    made = 0

    def __init__(self, folder, alg="RS256", bits=2048):
        Key.made += 1
        self.alg, self.kid = alg, f"key-{Key.made}"
        self.path = os.path.join(folder, self.kid + ".pem")
        kind = ("RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}") if alg == "RS256" else ("EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        openssl("genpkey", "-algorithm", *kind, "-out", self.path)

    @property
    def jwk(self):
        more = {"kid": self.kid, "alg": self.alg, "use": "sig"}
        if self.alg == "RS256":
            modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip().split("=")[1]
            return {"kty": "RSA", "n": b64(bytes.fromhex(modulus)), "e": "AQAB", **more}
        point = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
        return {"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:]), **more}

    @property
    def public_pem(self):
        return openssl("pkey", "-in", self.path, "-pubout")

    def sign(self, text):
        der = openssl("dgst", "-sha256", "-sign", self.path, data=text.encode())
        return der if self.alg == "RS256" else b"".join(number.to_bytes(32, "big") for number in integers(der))


def integers(der):
    """The two numbers of an ECDSA signature: SEQUENCE { INTEGER, INTEGER }, each shorter than 128 bytes."""
    at, found = 2, []
    while len(found) < 2:
        length = der[at + 1]
        found.append(int.from_bytes(der[at + 2:at + 2 + length], "big"))
        at += 2 + length
    return found


class Issuer:
    """`path` is that of its URL ("" none); tls=True serves HTTPS with a certificate that only `ca_file` vouches for."""

    def __init__(self, path="", tls=False, host="127.0.0.1"):
        self.path, self.tls, self.host, self.port = path, tls, host, 0
        self.dir = tempfile.mkdtemp(prefix="holdfast-issuer-")
        self.keys = [Key(self.dir), Key(self.dir, "ES256")]
        self.counts, self.answers = collections.Counter(), {}
        self.max_age = None
        self.asked = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()
        self.server = None

    def __enter__(self):
        if self.tls:
            self.make_certificate()
        self.up()
        return self

    def __exit__(self, *exc):
        self.gate.set()
        self.down()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}{self.path}"

    # --- Serving

    def make_certificate(self):
        self.ca_file, self.tls_key = os.path.join(self.dir, "cert.pem"), os.path.join(self.dir, "tls.pem")
        name = f"IP:{self.host}" if self.host[0].isdigit() else f"DNS:{self.host}"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=issuer", "-addext", f"subjectAltName={name}",
                "-keyout", self.tls_key, "-out", self.ca_file)

    def up(self):
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                issuer.answer(self)

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

            def handle_error(self, *_):
                pass  # whoever asked went away

        self.server = Listener(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.ca_file, self.tls_key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def down(self):
        """Connections are refused from now on."""
        if self.server:
            self.server.shutdown()
            self.thread.join(10)
            self.server.server_close()
            self.server = None

    @contextlib.contextmanager
    def hold(self):
        """Requests wait until the block is left."""
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()

    def wait_asked(self, path, times=1, seconds=10):
        """Until the path (without the issuer's own) was asked for that often."""
        with self.asked:
            return self.asked.wait_for(lambda: self.counts[path] >= times, seconds)

    def document(self, path):
        if path == DISCOVERY:
            return {"issuer": self.url, "jwks_uri": self.url + JWKS, "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "ES256"]}
        return {"keys": [key.jwk for key in self.keys]} if path == JWKS else None

    def answer(self, request):
        path = request.path[len(self.path):]
        with self.asked:
            self.counts[path] += 1
            self.asked.notify_all()
        self.gate.wait(60)
        document = self.document(path)
        headers = {"Content-Type": "application/json"}
        if self.max_age is not None:
            headers["Cache-Control"] = f"public, max-age={self.max_age}"
        status, more, body = self.answers.get(path, (200 if document else 404, {}, document or {}))
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close", **more}.items():
            if value is not None:
                request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(ConnectionError, socket.timeout):
            request.wfile.write(body)

    # --- Tokens

    def rotate(self, alg="RS256"):
        """From now on another key signs, and the old ones are gone."""
        self.keys = [Key(self.dir, alg)]
        return self.keys[0]

    def claims(self, more=None, lives=600):
        now = int(time.time())
        made = {"iss": self.url, "aud": AUDIENCE, "sub": "robot", "iat": now, "nbf": now, "exp": now + lives}
        made.update(more or {})
        return {k: v for k, v in made.items() if v is not None}

    def mint(self, more=None, key=None, head=None, lives=600):
        """A token with these claims beside the usual ones; None leaves one out."""
        key = key or self.keys[0]
        head = {"alg": key.alg, "typ": "JWT", "kid": key.kid, **(head or {})}
        text = b64({k: v for k, v in head.items() if v is not None}) + "." + b64(self.claims(more, lives))
        return text + "." + b64(key.sign(text))
