"""What a bearer check costs the loop when the cache knows the bearer (bearer_check.c)."""
import os
import statistics
import subprocess
import tempfile

from servers import SERVER_CPU
from table import row, rounds


def measure(build):
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as d:
        def run():
            command = ["taskset", "-c", SERVER_CPU, os.path.join(build, "bench", "bearer_check"), os.path.join(d, "control.gen")]
            return [float(w) / 1000 for w in subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.split()]

        seen = rounds({"check": run}, 5)["check"]
    row("bearer check from the cache", "µs of processor, one bearer", statistics.median(r[0] for r in seen), ("<=", 2))
    row("bearer check from the cache", "µs of processor, 20,000 in random order", statistics.median(r[1] for r in seen), ("<=", 2))
