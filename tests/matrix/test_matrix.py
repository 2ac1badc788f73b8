#!/usr/bin/env python3
"""Every route with every credential: each cell of expected.def, by name and by id, on what is one's own, another tenant's and
nobody's. What is refused changes nothing; what is another's looks like what never was, to the byte and in the work that it
costs. Usage: test_matrix.py PATH-OF-HOLDFAST"""
import os
import re
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from holdfast import Checks, Server, binary_argument
from oauth import App, Page
from routes import routes
from burst import Burst
from table import CODES, Table
from targets import Targets
from world import World

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
MEASURED = ("admin", "bound", "stranger", "owner")
OUTSIDE = ("other_tenant", "stranger", "removed")
NEVER_OTHERWISE = "never, otherwise named"
PER_ANSWER = ("date", "x-request-id", "content-length")


def request(route, who, target):
    if target.get("db") == "books":
        target = {**target, "db": who.db}
    path = re.sub(r"\{(\w+)\}", lambda m: urllib.parse.quote(target[m[1]], safe=""), route.template)
    method, path, body, head = route.request(path, target["number"], target["body"])
    return method, path, body, {**head, **who.headers(method)}


def no_leak(world, asked, answer):
    """Nothing that only `quarry` knows may be in an answer, unless it was in the path."""
    text, path = answer.data + repr(answer.headers).encode(), urllib.parse.unquote(asked[1]).encode()
    leaked = [mark for mark in world.marks if mark in text and mark not in path]
    if leaked:
        raise AssertionError(f"{asked[:2]} tells what is another's: {leaked} {answer}")
    return answer


def call(world, route, who, target):
    method, path, body, headers = asked = request(route, who, target)
    return no_leak(world, asked, world.s.call(method, path, body, headers=headers))


def burst(world, route, pairs):
    """The answers to [(credential, target)]."""
    asked = [request(route, world.credentials[name], target) for name, target in pairs]
    return [no_leak(world, *one) for one in zip(asked, world.burst(asked))]


def shown(answer):
    try:
        body = answer.json
        return answer.status, body.get("code") or body.get("error")
    except ValueError:
        return answer.status, None


def expect(checks, route, what, answer, cell, status):
    if cell == ".":
        return checks.equal(what, answer.status, status)
    want, seen = CODES[cell.lower()], shown(answer)
    page = answer.headers.get("content-type", "").startswith("text/html")
    if page or cell == "I" and not answer.data:  # a page says it in words, OAuth nothing to who sent no bearer
        want = want[0], None
    if cell == "u":  # a bearer is asked for where one opens something
        want, seen = (*want, route.bearer), (*seen, answer.headers.get("www-authenticate", "").startswith("Bearer "))
    return checks.equal(what, seen, want)


def blank(answer, target):
    """All of the answer but what differs between any two, with the names in the path taken out."""
    body = re.sub(rb'"requestId":"[^"]*"', b"", answer.data)
    for name in sorted((v for v in target.values() if isinstance(v, str)), key=len, reverse=True):
        body = body.replace(name.encode(), b"?")
    return answer.status, sorted((k, v) for k, v in answer.headers.items() if k not in PER_ANSWER), body


def work(world):
    """How often requests went to a worker so far, and how many statements they ran there."""
    text = world.s.call("GET", "/metrics").data
    return [int(re.search(rb"\n%s (\d+)\n" % name, text)[1]) for name in (b"holdfast_worker_jobs_total", b"holdfast_control_statements_total")]


def same_work(checks, world, route, name, part, places):
    """What was known by heart may be forgotten in between, which costs more: so the least of several."""
    seen, before = {}, work(world)
    for _ in range(5):
        for place, target in places.items():
            call(world, route, world.credentials[name], target)
            after = work(world)
            seen[place] = min(seen.get(place, after), [a - b for a, b in zip(after, before)])
            before = after
        if len(set(map(tuple, seen.values()))) == 1:
            break
    for place in places:  # what form a name has can be told without looking
        missing = NEVER_OTHERWISE if place.endswith("otherwise named") else "never"
        checks.equal(f"{route.id} as {name}: {part} {place} costs what a missing one does", seen[place], seen[missing])


def refused(checks, world, route, cells, status, here):
    where = f" at {here['db']}" if "db" in here else ""
    names = [name for name, cell in cells.items() if cell != "."] * 2  # looked up the first time, remembered the second
    for name, a in zip(names, burst(world, route, [(name, here) for name in names])):
        expect(checks, route, f"{route.id} as {name}{where}: {cells[name]}", a, cells[name], status)
    if route.method == "GET":
        asked = [("HEAD", *request(route, world.credentials[name], here)[1:]) for name in names]
        for name, a in zip(names, world.burst(asked)):
            checks.equal(f"HEAD of {route.id} as {name}{where}: {cells[name]}", a.status, CODES[cells[name].lower()][0])


def named_in_body(checks, world, table, targets, route):
    """For whoever may use the route at all."""
    places = targets.named(route)
    names = [name for name, cell in table.rows[route.id][1].items() if cell in ".FB" and places]
    calls = [(name, place) for place in places for name in names]
    answers = burst(world, route, [(name, places[place]) for name, place in calls])
    seen = {c: blank(a, places[c[1]]["body"]) for c, a in zip(calls, answers)}
    for (name, place), a in zip(calls, answers):
        checks.that(f"{route.id} as {name}, its body naming {place}: refused", a.status in (400, 403, 404), a)
        checks.equal(f"{route.id} as {name}, its body naming {place}: looks like what never was", seen[name, place], seen[name, "never"])
    for name in set(names) & set(MEASURED):
        same_work(checks, world, route, name, "body", places)


def one_route(checks, world, table, targets, route):
    status, cells = table.rows[route.id]
    world.forget()
    unsafe = route.method in UNSAFE
    before = world.state(unsafe and route.in_database) if unsafe else None
    refused(checks, world, route, cells, status, targets.standing(route))
    branches = [(target, table.at_branch(route, own)) for target, own in targets.branches(route)]
    for target, there in branches:
        refused(checks, world, route, there, status, target)
    for part in targets.misleading(route):
        elsewhere(checks, world, table, targets, route, part)
    named_in_body(checks, world, table, targets, route)
    if unsafe:
        checks.equal(f"{route.id}: what was refused changed nothing", world.state(route.in_database), before)
    for name, cell in cells.items():
        if cell == ".":
            who, target = targets.fresh(route, world.credentials[name])
            expect(checks, route, f"{route.id} as {name}: allowed", call(world, route, who, target), cell, status)
    for target, there in branches if route.method != "DELETE" and "{id}" not in route.template else ():
        for name in (name for name, cell in there.items() if cell == "."):
            a = call(world, route, world.credentials[name], {**target, "number": next(world.count), **targets.there(route, world.credentials[name], target["db"])})
            expect(checks, route, f"{route.id} as {name}: allowed at {target['db']}", a, ".", status)


def looks_missing(name, cell, part):
    """Whether even what the path should lead to looks so to this one: it is not told its role there."""
    return cell in "nf" and (name in OUTSIDE if part == "NS" else name != "widened")


def elsewhere(checks, world, table, targets, route, part):
    cells = table.elsewhere(route, part)
    places = targets.elsewhere(route, part)
    calls = [(name, place, target) for place, target in places.items() for name in cells]
    here = targets.standing(route)
    calls += [(name, "as it should be", here) for name, cell in cells.items() if cell == table.rows[route.id][1][name] and looks_missing(name, cell, part)]
    answers = burst(world, route, [(name, target) for name, _, target in calls])
    seen = {(name, place): blank(a, target) for (name, place, target), a in zip(calls, answers)}
    for (name, place, _), a in zip(calls, answers):
        expect(checks, route, f"{route.id} as {name}, {part} {place}: {cells[name]}", a, cells[name], table.rows[route.id][0])
        checks.equal(f"{route.id} as {name}: {part} {place} looks like what never was", seen[name, place], seen[name, "never"])
    for name in MEASURED:
        if cells[name] in "nf":
            same_work(checks, world, route, name, part, places)


def given_to_apps(checks, world):
    """What people give to apps is chosen in a form, which can be sent with any name."""
    for mode, member, form in (("connect", "database", "{}/{}"), ("provision", "namespace", "{}")):
        app, b = App(world.s, world.client("acme", databaseMode=mode)), world.browser("owner")
        page = Page(b.authorize(app.ask(scope="database")))
        seen = {}
        for place, pair in (("never", ("never", "never")), ("another's", ("quarry", "quarry-vault")), ("nowhere in another's", ("quarry", "never")), ("another's in mine", ("acme", "quarry-vault")),
                            ("deleted", ("acme", "bin")), ("in what is deleted", ("past", "books"))):
            name = form.format(*pair)
            if name != "acme":
                a = b.decide(page, **{member: name})
                checks.equal(f"{mode}: {place} is refused", a.status, 403)
                seen[place] = blank(a, {"name": name})
        for place, found in seen.items():
            checks.equal(f"{mode}: {place} looks like what never was", found, seen["never"])


def main():
    checks, table, began = Checks(), Table(), time.monotonic()
    with Server(binary_argument(), args=["--signup", "invite"]) as s:
        world = World(s)
        world.burst = Burst(s)
        targets = Targets(world)
        listed = routes(s)
        checks.equal("every route has its row", sorted(r.id for r in listed), sorted(table.rows))
        told = s.call("GET", "/v1/databases", token=world.tokens["quarry"]).data
        checks.that("what is another's is told to whoever owns it", all(mark in told for mark in world.marks[:1]), told)
        checks.equal("every column has its credential", sorted(c[2] for c in table.columns), sorted(world.credentials))
        for route in listed:
            checks.part(one_route, checks, world, table, targets, route)
        checks.part(given_to_apps, checks, world)
        print(f"{len(listed)} routes x {len(table.columns)} credentials, {time.monotonic() - began:.1f} s")
        world.burst.close()
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
