"""The benchmark's tasks, for Celery as it comes: prefork, one process a core, results in Redis."""
import os

import redis
from celery import Celery

url = os.environ["REDIS_URL"]
app = Celery("tasks", broker=url, backend=url)
done = redis.Redis.from_url(url)


@app.task(ignore_result=True)
def noop():
    done.incr("done")


@app.task
def value(n):
    return n


@app.task
def body(values):
    return len(values)
