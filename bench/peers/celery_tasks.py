"""The Celery application: Redis as broker and for results, as its documentation advises for short tasks."""

import os

import celery
import driver

url = os.environ["BENCH_REDIS"]
app = celery.Celery("celery_tasks", broker=url, backend=url)
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    worker_prefetch_multiplier=128,
    task_acks_late=False,
    task_track_started=False,
    task_send_sent_event=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
TASKS = {name: app.task(name=name)(function) for name, function in driver.WORKLOADS.items()}
noops = app.task(name=driver.BY_HAND)(driver.noops)
