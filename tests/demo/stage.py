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
