"""How the demo speaks: each request is printed as one would type it, with its answer, and each answer is checked."""
import json

from holdfast import Server

checks = {"passed": 0, "failed": 0}


def check(what, ok):
    checks["passed" if ok else "failed"] += 1
    if not ok:
        print(f"  ✗ {what}")


def heading(title):
    print(f"\n\033[1m{title}\033[0m")


def fold(text, width=160, most=12):
    out = [line if len(line) <= width else line[:width] + " …" for line in text.splitlines()]
    return out[:most] + ([f"… {len(out) - most} more lines"] if len(out) > most else [])


class Demo(Server):
    def send(self, method, path, body=None, content_type="application/json", token=None):
        answer = self.call(method, path, body, token=token, headers={"Content-Type": content_type} if body is not None else {})
        return answer.status, answer.data


def told(what, status, data, expect, quiet=False):
    """Prints an answer and returns it, decoded where it is JSON."""
    text = data.decode()
    check(f"{what}: status {status}, expected {expect}: {text[:300]}", status == expect)
    print(f"  → {status}")
    if not quiet:
        for line in fold(text):
            print("    " + line)
    try:
        return json.loads(text)
    except ValueError:
        return text


def asked(title, method, path, body):
    heading(title)
    print(f"  {method} {path}")
    if body is not None:
        print("  " + json.dumps(body, ensure_ascii=False)[:400])


def show(server, title, method, path, body=None, expect=200, quiet=False, token=None):
    """One request as a person sees it."""
    asked(title, method, path, body)
    return told(f"{method} {path}", *server.send(method, path, body, token=token), expect, quiet)


def show_person(person, title, method, path, body=None, expect=200, quiet=False):
    """The same with a person's session in place of a token."""
    asked(title, method, path, body)
    answer = person.ask(method, path, body)
    return told(f"{method} {path}", answer.status, answer.data, expect, quiet)


def show_rows(changes, most=3):
    """Changed rows as a person reads them: what stands before an arrow is no more."""
    total = sum(t[op] for t in changes["tables"] for op in ("insert", "update", "delete"))
    for row in changes["rows"][:most]:
        before, after = row.get("before") or {}, row.get("after") or {}
        changed = [f"{k} {json.dumps(before.get(k))} → {json.dumps(after.get(k))}" for k in {**before, **after} if before.get(k) != after.get(k)]
        print(f"    {row['op']} {row['table']} {json.dumps(row['key'])}: {', '.join(changed)}")
    if total > most:
        print(f"    … {total - most} more rows")


def show_command(server, title, *words):
    heading(title)
    print("  holdfast " + " ".join(words).replace(server.dir, "…"))
    done = server.run(*words, check=False)
    check(f"holdfast {words[0]}: {done.stderr}", done.returncode == 0)
    for line in fold(done.stdout):
        print("    " + line)
    return done.stdout
