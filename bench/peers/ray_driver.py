"""Ray: two CPUs; `tasks`: one remote function call a unit, `actors`: two actors, one method call a unit."""

import os
import sys

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")

import driver
import ray


@ray.remote(num_cpus=1)
class Actor:
    def call(self, workload, x):
        return driver.WORKLOADS[workload](x)


def main(kind):
    ray.init(
        num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False, _node_ip_address="127.0.0.1",
        object_store_memory=200 * 2**20, runtime_env={"env_vars": {"PYTHONPATH": os.path.dirname(__file__)}},
    )
    remote = {name: ray.remote(num_cpus=1)(function) for name, function in driver.WORKLOADS.items()}
    by_hand = ray.remote(num_cpus=1)(driver.noops)
    actors = [Actor.remote(), Actor.remote()] if kind == "actors" else []

    def run(workload, count):
        if workload == driver.BY_HAND:
            return sum(len(batch) for batch in ray.get([by_hand.remote(batch) for batch in driver.batches(count)]))
        if actors:
            return len(ray.get([actors[x % 2].call.remote(workload, x) for x in range(count)]))
        return len(ray.get([remote[workload].remote(x) for x in range(count)]))

    try:
        driver.serve(ray.__version__, run)
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
