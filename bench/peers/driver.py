"""What each driver here speaks: one JSON line in (`{"workload", "count"}`), one out (`{"seconds"}`), after a greeting."""

import json
import subprocess
import sys
import time

BATCH = 1000


def noop(x):
    return x


def spin(seconds):
    # By the clock: contention does not make these units longer, which favours the engine that is measured.
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def spin10(x):
    spin(0.010)
    return x


def spin50(x):
    spin(0.050)
    return x


def process(x):
    return subprocess.run(["/bin/true"], check=True).returncode


def noops(xs):
    return [noop(x) for x in xs]


def batches(count):
    return [list(range(start, min(start + BATCH, count))) for start in range(0, count, BATCH)]


WORKLOADS = {"no-op": noop, "10 ms": spin10, "50 ms": spin50, "process": process}
BY_HAND = "no-op, batched by hand"


def serve(version, run):
    """`run(workload, count)` returns when every result is in the caller's hands, and how many there are."""
    answer({"version": version})
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.perf_counter()
        results = run(asked["workload"], asked["count"])
        seconds = time.perf_counter() - began
        if results != asked["count"]:
            raise RuntimeError(f"{results} of {asked['count']} results")
        answer({"seconds": seconds})


def answer(message):
    # Engines print to stdout as they like: ours is told apart by its mark.
    sys.stdout.write("\x1e" + json.dumps(message) + "\n")
    sys.stdout.flush()
