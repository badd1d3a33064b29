"""Dask distributed: two single-threaded worker processes, `client.map` and `client.gather`."""

import dask
import distributed
import driver


def main():
    dask.config.set({"distributed.admin.low-level-log-length": 0, "distributed.diagnostics.nvml": False})
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, silence_logs="ERROR"
    )
    client = distributed.Client(cluster)

    def run(workload, count):
        if workload == driver.BY_HAND:
            futures = client.map(driver.noops, driver.batches(count), pure=False)
            return sum(len(batch) for batch in client.gather(futures))
        futures = client.map(driver.WORKLOADS[workload], range(count), pure=False)
        return len(client.gather(futures))

    try:
        driver.serve(distributed.__version__, run)
    finally:
        client.close()
        cluster.close()


if __name__ == "__main__":
    main()
