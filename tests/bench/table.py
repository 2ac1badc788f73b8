"""The table that a run fills: one row for each figure, printed as it comes and saved at the end. What is compared is measured in turn."""
import json
import os
import statistics
import sys

QUICK = "--quick" in sys.argv
ROUNDS, SECONDS = (3, 2) if QUICK else (5, 4)
rows = []


def row(work, against, value, goal, note=""):
    met = None if goal is None else (value >= goal[1] if goal[0] == ">=" else value < goal[1] if goal[0] == "<" else value <= goal[1])
    text = "" if goal is None else f"{goal[0]} {goal[1]:g}"
    rows.append({"work": work, "against": against, "value": value, "goal": text, "met": met, "note": note})
    print(f"  {work} | {against} | {value:.3g} | {text} | {'' if met is None else 'yes' if met else 'NO'} | {note}", flush=True)


def rounds(jobs, count=ROUNDS):
    """Runs named jobs in turn, `count` times; name → list of results."""
    seen = {name: [] for name in jobs}
    for _ in range(count):
        for name, job in jobs.items():
            seen[name].append(job())
    return seen


def ratio(a, b, pick=lambda r: r[0]):
    return statistics.median(pick(x) / pick(y) for x, y in zip(a, b))


def save(build):
    with open(os.path.join(build, "bench", "results.json"), "w") as f:
        json.dump(rows, f, indent=1)
    lines = ["| work | against | measured | goal | met |", "|---|---|---|---|---|"]
    lines += [f"| {r['work']} | {r['against']} | {r['value']:.3g} | {r['goal']} | {'' if r['met'] is None else 'yes' if r['met'] else 'no'} |" for r in rows]
    with open(os.path.join(build, "bench", "results.md"), "w") as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(lines))
