#!/usr/bin/env python3
"""Every route with every credential: each cell of expected.def, by name and by id, on what is one's own, another tenant's and
nobody's. What is refused changes nothing; what is another's looks like what never was, to the byte and in the work that it
costs. Usage: test_matrix.py PATH-OF-HOLDFAST"""
import collections
import os
import re
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from routes import routes
from table import CODES, Table
from targets import Targets
from world import World

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
PER_ANSWER = ("date", "x-request-id", "content-length")


def call(world, route, who, target):
    path = re.sub(r"\{(\w+)\}", lambda m: urllib.parse.quote(target[m[1]], safe=""), route.template)
    return route.call(world.s, path, target.get("body"), who.headers(route.method), target.get("number", 0))


def shown(answer):
    try:
        body = answer.json
        return answer.status, body.get("code") or body.get("error")
    except ValueError:
        return answer.status, None


def expect(checks, what, answer, cell, status):
    if cell == ".":
        return checks.equal(what, answer.status, status)
    want, seen = CODES[cell.lower()], shown(answer)
    page = answer.headers.get("content-type", "").startswith("text/html")
    if page or cell == "I" and not answer.data:  # a page says it in words, OAuth nothing to who sent no bearer
        want = want[0], None
    return checks.equal(what, seen, want)


def blank(answer, target):
    """All of the answer but what differs between any two, with the names in the path taken out."""
    body = re.sub(rb'"requestId":"[^"]*"', b"", answer.data)
    for name in target.values():
        if isinstance(name, str):
            body = body.replace(name.encode(), b"?")
    return answer.status, sorted((k, v) for k, v in answer.headers.items() if k not in PER_ANSWER), body


def one_route(checks, world, table, targets, route):
    status, cells = table.rows[route.id]
    unsafe = route.method in UNSAFE
    before = world.state(unsafe and route.in_database) if unsafe else None
    here = targets.standing(route)
    for name, cell in cells.items():
        if cell != ".":
            expect(checks, f"{route.id} as {name}: {cell}", call(world, route, world.credentials[name], here), cell, status)
    for part in targets.parts(route):
        elsewhere(checks, world, table, targets, route, part)
    if unsafe:
        checks.equal(f"{route.id}: what was refused changed nothing", world.state(route.in_database), before)
    for name, cell in cells.items():
        if cell == ".":
            who, target = targets.fresh(route, world.credentials[name])
            expect(checks, f"{route.id} as {name}: allowed", call(world, route, who, target), cell, status)


def elsewhere(checks, world, table, targets, route, part):
    cells = table.elsewhere(route, part)
    places = targets.elsewhere(route, part)
    for name, cell in cells.items():
        answers = {}
        for place, target in places.items():
            a = call(world, route, world.credentials[name], target)
            expect(checks, f"{route.id} as {name}, {part} {place}: {cell}", a, cell, table.rows[route.id][0])
            answers[place] = blank(a, target)
        for place in places:
            checks.equal(f"{route.id} as {name}: {part} {place} looks like what never was", answers[place], answers["never"])


def main():
    checks, table, began = Checks(), Table(), time.monotonic()
    with Server(binary_argument(), args=["--signup", "invite"]) as s:
        world = World(s)
        targets = Targets(world)
        listed = routes(s)
        checks.equal("every route has its row", sorted(r.id for r in listed), sorted(table.rows))
        checks.equal("every column has its credential", sorted(c[2] for c in table.columns), sorted(world.credentials))
        for route in listed:
            checks.part(one_route, checks, world, table, targets, route)
        print(f"{len(listed)} routes x {len(table.columns)} credentials, {time.monotonic() - began:.1f} s")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
