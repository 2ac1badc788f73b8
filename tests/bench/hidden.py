#!/usr/bin/env python3
"""Whether the clock tells another tenant's thing from one that never was: both are asked for in turn, in random order, and the medians
compared. Around 1.00 nothing is told; how far chance alone goes shows the ratio of two halves of the same samples.
Usage: hidden.py PATH-OF-HOLDFAST [SAMPLES]"""
import os
import random
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "matrix")]
from holdfast import Server
from routes import routes
from targets import Targets
from test_matrix import request
from world import World

# route, credential, part of the path: one of each way in which something can be missing
QUESTIONS = [("NS_GET", "stranger", "NS"), ("API_DATABASE_GET", "owner", "NS"), ("QUERY", "admin", "NS"), ("QUERY", "admin", "DB"), ("QUERY", "bound", "DB"),
             ("API_DATABASE_GET", "owner", "DB"), ("TOKEN_REVOKE", "owner", "ITEM"), ("TOKEN_ROTATE", "admin", "ITEM"), ("MEMBER_REMOVE", "owner", "ITEM"),
             ("INVITATION_ACCEPT", "owner", "ITEM"), ("OAUTH_CLIENT_DELETE", "owner", "ITEM"), ("APP_WITHDRAW", "owner", "ITEM"), ("POLICY_DELETE", "admin", "ITEM")]


def took(server, asked):
    began = time.perf_counter_ns()
    method, path, body, headers = asked
    server.call(method, path, body, headers=headers)
    return time.perf_counter_ns() - began


def main():
    samples = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with Server(sys.argv[1]) as s:
        world = World(s)
        targets, by_id = Targets(world), {r.id: r for r in routes(s)}
        for name, who, part in QUESTIONS:
            places = targets.elsewhere(by_id[name], part)
            asked = {p: request(by_id[name], world.credentials[who], places[p]) for p in ("another's", "never")}
            seen = {p: [] for p in asked}
            for _ in range(samples):
                for p in random.sample(sorted(asked), 2):
                    seen[p].append(took(s, asked[p]))
            theirs, never = (statistics.median(seen[p]) for p in ("another's", "never"))
            chance = statistics.median(seen["never"][::2]) / statistics.median(seen["never"][1::2])
            print(f"{name:20} {part:4} as {who:9} {theirs / 1000:6.0f} us against {never / 1000:6.0f} us: {theirs / never:.3f} (chance {chance:.3f})", flush=True)


if __name__ == "__main__":
    main()
