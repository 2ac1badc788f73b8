"""One run of wrk against one server, pinned to the other core."""
import os
import subprocess

from servers import HERE, LOAD_CPU, Server
from table import SECONDS

# wrk goes before everything else on its core where that is allowed, so that what it measures is the server
FIRST = ["chrt", "-f", "1"] if subprocess.run(["chrt", "-f", "1", "true"], stderr=subprocess.DEVNULL).returncode == 0 else []


def load(server: Server, kind, connections=64, paths=None, seconds=SECONDS, table="customers"):
    """Requests per second, p50 ms, p99 ms."""
    listing = os.path.join(server.dir, "paths")
    with open(listing, "w") as f:
        f.write("\n".join(paths or server.paths) + "\n")
    env = dict(os.environ, BENCH_KIND=kind, BENCH_SHAPE=server.shape, BENCH_PATHS=listing, BENCH_TOKEN=server.token,
               BENCH_TABLE=table)
    out = subprocess.run(FIRST + ["taskset", "-c", LOAD_CPU, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", os.path.join(HERE, "load.lua"),
                          f"http://127.0.0.1:{server.port}"], env=env, text=True, stdout=subprocess.PIPE, check=True).stdout
    rate, p50, p99, errors = [l for l in out.splitlines() if l.startswith("RESULT ")][0].split()[1:]
    if int(errors) or float(rate) < 1:
        raise RuntimeError(f"{type(server).__name__} failed {kind} requests:\n{out}\n{server.complaints()}")
    return float(rate), float(p50), float(p99)
