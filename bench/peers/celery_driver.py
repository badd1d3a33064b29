"""Celery: a Redis server of its own, a prefork worker of two, `group(...)` and its `get`."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import driver


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    folder = tempfile.mkdtemp(prefix="talkoot-bench-celery-")
    port = free_port()
    os.environ["BENCH_REDIS"] = f"redis://127.0.0.1:{port}/0"
    redis_server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    worker = None
    try:
        import redis

        for _ in range(100):
            try:
                redis.Redis(port=port).ping()
                break
            except redis.exceptions.ConnectionError:
                time.sleep(0.05)
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--pool", "prefork", "--concurrency", "2",
             "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"],
            cwd=os.path.dirname(os.path.abspath(__file__)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        import celery
        from celery_tasks import TASKS, noops

        def run(workload, count):
            if workload == driver.BY_HAND:
                results = celery.group(noops.s(batch) for batch in driver.batches(count)).apply_async().get()
                return sum(len(batch) for batch in results)
            return len(celery.group(TASKS[workload].s(x) for x in range(count)).apply_async().get())

        driver.serve(celery.__version__, run)
    finally:
        for process, how in ((worker, signal.SIGQUIT), (redis_server, signal.SIGTERM)):
            if process is not None:
                process.send_signal(how)
                process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
