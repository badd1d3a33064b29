"""HyperQueue: a server and a worker with two cores, one job of many program tasks, their output thrown away."""

import shutil
import tempfile
from importlib.metadata import version

import driver
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

PROGRAMS = {
    "no-op": ["/bin/true"],
    "process": ["/bin/true"],
    "10 ms": ["/bin/sleep", "0.010"],
    "50 ms": ["/bin/sleep", "0.050"],
}


def main():
    folder = tempfile.mkdtemp(prefix="talkoot-bench-hq-")
    try:
        with LocalCluster(server_dir=folder, worker_config=WorkerConfig(cores=2)) as cluster:
            client = cluster.client()

            def run(workload, count):
                job = Job(default_workdir=folder)
                for _ in range(count):
                    job.program(PROGRAMS[workload], stdout=None, stderr=None)
                submitted = client.submit(job)
                client.wait_for_jobs([submitted])
                client.forget(submitted)
                return count

            driver.serve(version("hyperqueue"), run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
