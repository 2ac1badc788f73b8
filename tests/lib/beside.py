"""What goes on beside a test, in threads that never outlive it.

    with beside(write, write) as answers:
        ...                      # meanwhile both write again and again
    checks.equal("no write failed", set(answers), {200})"""
import contextlib
import threading
import time


@contextlib.contextmanager
def beside(*steps, seconds=120, ended_by=()):
    """Each step runs again and again in a thread of its own until the block ends, however it ends; its last run begins after that.

    The list that is given grows by what the steps return, and is complete after the block. A step that raises is not called again;
    after a block that went well, what it raised is raised there, `ended_by` aside. So is a TimeoutError when the block took longer than `seconds`,
    after which no step begins, or when a step does not come back."""
    over, end, results, broken = threading.Event(), time.monotonic() + seconds, [], []

    def repeat(step):
        last = False
        try:
            while not last:
                last = over.is_set()
                if time.monotonic() > end:
                    raise TimeoutError(f"the test was not done within {seconds} s")
                results.append(step())
        except ended_by:
            pass
        except Exception as e:
            broken.append(e)
    threads = [threading.Thread(target=repeat, args=(step,), daemon=True) for step in steps]
    for t in threads:
        t.start()
    try:
        yield results
    finally:
        over.set()
        for t in threads:
            t.join(max(0, end - time.monotonic()) + 60)
    if any(t.is_alive() for t in threads):
        raise TimeoutError("a step does not come back")
    if broken:
        raise broken[0]
