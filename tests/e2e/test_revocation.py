#!/usr/bin/env python3
"""A revoked token is refused by the very next request, whatever thread or cache would answer it: many connections use it without a pause
while it ends, by the route and by the command in another process. Usage: test_revocation.py PATH-OF-HOLDFAST"""
import sys
import threading
import time

from holdfast import Checks, Server

CONNECTIONS, ROUNDS = 24, 8
TOKENS = "/api/namespaces/acme/tokens"
# Answered on the loop, by an engine, on a worker.
ASKS = [("GET", "/v1/whoami", None), ("POST", "/v1/db/acme/main/query", {"sql": "SELECT 1"}), ("GET", "/v1/databases", None)]


class Users:
    """CONNECTIONS threads that use one token; when each request began, and its answer."""

    def __init__(self, s, token):
        self.s, self.token, self.ended, self.seen = s, token, threading.Event(), []
        self.used = threading.Barrier(CONNECTIONS + 1)
        self.threads = [threading.Thread(target=self.use, args=(i,)) for i in range(CONNECTIONS)]
        for t in self.threads:
            t.start()
        self.used.wait(60)  # every connection was let in once: the token is in every cache that there is

    def ask(self, ask):
        begun = time.monotonic()
        answer = self.s.call(*ask, token=self.token)
        self.seen.append((begun, answer.status))
        return answer.status

    def use(self, number):
        ask = ASKS[number % len(ASKS)]
        self.ask(ask)
        self.used.wait(60)
        while not self.ended.is_set():
            self.ask(ask)
        self.ask(ask)

    def after(self, when):
        """Statuses of what began after `when`, one at least on each connection; and how many were let in before."""
        self.ended.set()
        for t in self.threads:
            t.join(60)
        return [status for begun, status in self.seen if begun > when], sum(1 for begun, status in self.seen if begun <= when and status == 200)


def by_route(s, made):
    return s.call("DELETE", f"{TOKENS}/{made['id']}").status == 200


def by_command(s, made):
    return s.run("token", "revoke", "--data", s.data, made["id"]).returncode == 0


def by_rotation(s, made):
    return s.call("POST", f"{TOKENS}/{made['id']}/rotate", {"overlap": 0}).status == 200


def next_request(checks, s):
    for what, end in (("route", by_route), ("command", by_command), ("rotation", by_rotation)):
        late, refused, before = [], 0, 0
        for _ in range(ROUNDS):
            made = s.mint("readwrite")
            users = Users(s, made["token"])
            done = end(s, made)
            when = time.monotonic()
            statuses, used = users.after(when)
            checks.that(f"ended by {what}", done)
            late += [status for status in statuses if status != 401]
            refused += len(statuses)
            before += used
        checks.equal(f"let in after the end by {what}", late, [])
        checks.that(f"by {what}: each connection was used before and refused after", refused >= ROUNDS * CONNECTIONS and before >= ROUNDS * CONNECTIONS,
                    (refused, before))


def main():
    checks = Checks()
    with Server(sys.argv[1]) as s:
        checks.part(next_request, checks, s)
        checks.equal("it stops well", s.stop(), 0)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
