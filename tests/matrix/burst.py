"""Many requests at once over several connections: tens of thousands of answers that are refusals take a fraction of the time that
one after the other would, most of all on a busy machine. Bodies have a Content-Length; nothing streams."""
import socket

from holdfast import Answer

WIDTH = 24


class Burst:
    def __init__(self, server):
        self.address, self.open = ("127.0.0.1", server.port), {}

    def __call__(self, requests):
        """[(method, path, body, headers)] → [Answer], in that order."""
        answers = []
        for first in range(0, len(requests), WIDTH):
            some = requests[first:first + WIDTH]
            for at, request in enumerate(some):
                self.send(at, *request)
            answers += [self.receive(at, request[0] == "HEAD") for at, request in enumerate(some)]
        return answers

    def send(self, at, method, path, body, headers):
        if at not in self.open:
            self.open[at] = socket.create_connection(self.address, timeout=60)
        lines = [f"{method} {path} HTTP/1.1", "Host: %s:%d" % self.address, *(f"{k}: {v}" for k, v in headers.items() if v is not None)]
        if body is not None or method not in ("GET", "HEAD"):
            lines.append(f"Content-Length: {len(body or b'')}")
        self.open[at].sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def receive(self, at, headless):
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.more(at)
        head, _, data = got.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        left = 0 if headless else int(headers.get("content-length", 0))
        while len(data) < left:
            data += self.more(at)
        if len(data) != left or "transfer-encoding" in headers:
            raise AssertionError(f"more or less than was announced: {got}")
        if headers.get("connection") == "close":
            self.open.pop(at).close()
        return Answer(int(status.split()[1]), headers, data)

    def more(self, at):
        piece = self.open[at].recv(65536)
        if not piece:
            raise AssertionError("the connection ended inside an answer")
        return piece

    def close(self):
        for one in self.open.values():
            one.close()
