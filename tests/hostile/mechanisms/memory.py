"""Attacks by memory: sizes beyond the limit by every way there is, deep recursion, shared memory."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

CASES = (
    case("one huge block", """
        attempt("64 GiB", bytearray, 64 << 30)
        attempt("a string", lambda: "x" * (64 << 30))
        attempt("3 GiB", bytearray, 3 << 30)
    """),
    case("list without end", """
        kept = []
        while True:
            kept.append(bytearray(16 << 20))
    """, Expect.NOT_PASSED, never_ends=True, is_heavy=True),
    case("list without end that swallows its errors", """
        kept = []
        while True:
            tried(lambda: kept.append(bytearray(16 << 20)))
    """, Expect.INCONCLUSIVE, never_ends=True, is_heavy=True),
    case("string doubled", """
        text = "x"
        while True:
            text += text
    """, Expect.NOT_PASSED),
    case("a number without end", """
        return 9 ** 9 ** 9
    """, Expect.DEADLINE),
    case("the digits of a number", """
        return len(str(7 ** 10_000_000))
    """, Expect.NOT_PASSED),
    case("shared anonymous memory", """
        import mmap
        def share():
            return [populated(1 << 28) for _ in range(12)]
        def populated(size):
            one = mmap.mmap(-1, size)
            one.madvise(23)
            return one
        attempt("3 GiB", share)
    """, is_heavy=True),
    case("files in memory", """
        def fill():
            kept = []
            for i in range(56):
                kept.append(os.memfd_create("m%d" % i))
                os.posix_fallocate(kept[-1], 0, 60 << 20)
        attempt("3.3 GiB", fill)
    """, is_heavy=True),
    case("memory of many children", """
        def hold():
            kept = bytearray(b"x") * (200 << 20)
            time.sleep(60)
        for _ in range(3):
            if tried(os.fork) == 0:
                hold()
        time.sleep(60)
    """, Expect.INCONCLUSIVE, never_ends=True, is_heavy=True),
    case("System V shared memory", """
        import ctypes
        denied("shmget", 29, 194, 0, 1 << 20, 0o1666)
        denied("semget", 64, 190, 0, 1, 0o1666)
        denied("msgget", 68, 186, 0, 0o1666)
        tried(syscall, 29 if _X86 else 194, 0x7777, 1 << 20, 0o1666)
        tried(syscall, 68 if _X86 else 186, 0x7777, 0o1666)
        tried(syscall, 64 if _X86 else 190, 0x7777, 1, 0o1666)
    """),
    case("POSIX shared memory and queues", """
        from multiprocessing import shared_memory
        tried(shared_memory.SharedMemory, name="planted", create=True, size=1 << 20)
        tried(syscall, 240 if _X86 else 180, b"planted", 0o102, 0o666, 0)
    """),
    case("locked memory", """
        import mmap
        one = mmap.mmap(-1, 512 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        address = ctypes.addressof(ctypes.c_char.from_buffer(one))
        if _libc.mlock(ctypes.c_void_p(address), 512 << 20) == 0:
            escaped("512 MiB locked")
        if _libc.mlockall(3) == 0:
            escaped("mlockall")
    """),
    case("deep recursion", """
        def deeper(n):
            return deeper(n + 1)
        return deeper(0)
    """, Expect.FAILED),
    case("recursion without a limit", """
        sys.setrecursionlimit(1 << 30)
        def deeper(n):
            return [deeper(n + 1)]
        return deeper(0)
    """, Expect.NOT_PASSED, never_ends=True),
    case("recursion in C", """
        kept = []
        for _ in range(1_000_000):
            kept = [kept]
        sys.setrecursionlimit(1 << 30)
        return repr(kept)
    """, Expect.NOT_PASSED),
    case("a nested list as the answer", """
        kept = []
        for _ in range(100_000):
            kept = [kept]
        return kept
    """, Expect.NOT_PASSED),
    case("a huge list as the answer", """
        return list(range(5_000_000))
    """, Expect.NOT_PASSED),
    case("a huge text as the answer", """
        return "x" * 100_000_000
    """, Expect.NOT_PASSED),
    case("a stack for each of many threads", """
        import threading
        threading.stack_size(512 << 20)
        def start():
            for _ in range(32):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        tried(start)
        return -1
    """, Expect.NOT_PASSED),
    case("regular expression that never ends", """
        import re
        return re.match(r"(a+)+$", "a" * 64 + "b")
    """, Expect.DEADLINE),
    case("a small archive that unpacks to a huge one", """
        import zlib
        packed = zlib.compress(bytes(1 << 28))
        kept = []
        while True:
            kept.append(zlib.decompress(packed))
    """, Expect.NOT_PASSED, never_ends=True, is_heavy=True),
)  # fmt: skip
