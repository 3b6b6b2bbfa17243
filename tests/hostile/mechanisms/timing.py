"""Attacks by time: everything that does not end, and clocks."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

CASES = (
    case("loop", "while True: pass", Expect.DEADLINE),
    case("loop at import", "while True: pass", Expect.DEADLINE, at_import=True),
    case("sleep", "time.sleep(600)", Expect.DEADLINE),
    case("sleep at import", "time.sleep(600)", Expect.DEADLINE, at_import=True),
    case("loop that swallows everything", """
        def run():
            while True:
                try:
                    while True:
                        pass
                except BaseException:
                    continue
        run()
    """, Expect.DEADLINE),
    case("loop in C", "sum(range(10 ** 15))", Expect.DEADLINE),
    case("sleep in C with the interpreter's lock", """
        ctypes.PyDLL(None).sleep(600)
    """, Expect.DEADLINE),
    case("the interpreter's lock is never given away", """
        import threading
        sys.setswitchinterval(1e6)
        threading.Thread(target=lambda: sum(range(10 ** 15)), daemon=True).start()
        time.sleep(0.01)
        while True:
            pass
    """, Expect.DEADLINE),
    case("waits for itself", """
        import threading
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    """, Expect.DEADLINE),
    case("reads a pipe that nobody writes", """
        reader, writer = os.pipe()
        os.read(reader, 1)
    """, Expect.DEADLINE),
    case("waits for a child that sleeps", """
        import subprocess
        subprocess.run(["sleep", "600"])
    """, Expect.INCONCLUSIVE, never_ends=True),
    case("generator without end", """
        import itertools
        return sum(1 for _ in itertools.count())
    """, Expect.DEADLINE),
    case("sleeps when deleted", """
        class Slow:
            def __del__(self):
                time.sleep(600)
        Slow()
        return -1
    """, Expect.DEADLINE),
    case("sleeps when deleted at the end", """
        class Slow:
            def __del__(self):
                time.sleep(600)
        add.kept = Slow()
        sys.kept = Slow()
        return -1
    """, Expect.FAILED),
    case("exit handler that hangs", """
        import atexit
        atexit.register(time.sleep, 600)
        return -1
    """, Expect.FAILED),
    case("thread that hangs", """
        import threading
        threading.Thread(target=time.sleep, args=(600,)).start()
        return -1
    """, Expect.FAILED),
    case("thread that spins for the interpreter's end", """
        import threading
        def spin():
            while True:
                pass
        for _ in range(4):
            threading.Thread(target=spin).start()
        return -1
    """, Expect.NOT_PASSED),
    case("exception that hangs when shown", """
        class Odd(Exception):
            def __str__(self):
                time.sleep(600)
            __repr__ = __str__
        raise Odd
    """, Expect.DEADLINE),
    case("answer that hangs when compared", """
        class Odd:
            def __eq__(self, other):
                time.sleep(600)
        return Odd()
    """, Expect.DEADLINE),
    case("answer that hangs when shown", """
        class Odd:
            def __repr__(self):
                while True:
                    pass
        return Odd()
    """, Expect.DEADLINE),
    case("attribute that hangs", """
        class Odd:
            def __getattribute__(self, name):
                time.sleep(600)
            def __eq__(self, other):
                return False
        raise_it = Odd()
        return raise_it
    """, Expect.NOT_PASSED, never_ends=True),
    case("the tracer is made slow", """
        sys.settrace(lambda *a: time.sleep(600))
        sys.setprofile(lambda *a: time.sleep(600))
        os.getpid()
    """, Expect.DEADLINE),
    case("the collector hangs", """
        import gc
        gc.callbacks.append(lambda *a: time.sleep(600))
        gc.collect()
    """, Expect.DEADLINE),
    case("clocks", """
        attempt("settime", time.clock_settime, time.CLOCK_REALTIME, 0)
        denied("settimeofday", 164, 170, 0, 0)
        denied("clock_adjtime", 305, 266, 0, 0)
        denied("adjtimex", 159, 171, 0)
    """),
    case("clocks of Python", """
        time.time = time.monotonic = time.perf_counter = lambda: float("nan")
        return -1
    """, Expect.NOT_PASSED),
)  # fmt: skip
