"""measure.py chord|noop <count>: does the work once and prints how many milliseconds it took."""
import subprocess
import sys
import time

from celery import chord, group
from tasks import app, body, done, noop, value

LIMIT = 600
WORKER = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "ERROR"]


def run_chord(count):
    began = time.monotonic()
    assert chord([value.s(n) for n in range(count)])(body.s()).get(timeout=LIMIT, interval=0.005) == count
    return time.monotonic() - began


def until_done(count):
    deadline = time.monotonic() + LIMIT
    while int(done.get("done") or 0) < count:
        assert time.monotonic() < deadline, "the worker does not get ready"
        time.sleep(0.002)
    return time.monotonic()


def main(kind, count):
    if kind == "noop":
        group(noop.s() for _ in range(count)).apply_async()
    worker = subprocess.Popen(WORKER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if kind == "noop":
            took = -until_done(1) + until_done(count)
        else:
            run_chord(10)
            took = run_chord(count)
    finally:
        worker.terminate()
        worker.wait()
    app.close()
    print(took * 1000)


main(sys.argv[1], int(sys.argv[2]))
