"""Attacks by descriptors: inherited ones, the result's, flooding and starving them."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

CASES = (
    case("inherited descriptors", """
        import stat
        for number in range(3, 256):
            mode = tried(os.fstat, number)
            if not isinstance(mode, OSError) and stat.S_ISREG(mode.st_mode):
                seeks_secret("descriptor %d" % number, os.pread, number, 4096, 0)
            if not isinstance(mode, OSError) and stat.S_ISDIR(mode.st_mode):
                for path in W["secrets"]:
                    attempt("folder %d" % number, os.open, path.lstrip("/"), os.O_RDONLY,
                            dir_fd=number)
    """),
    case("all descriptors are used", """
        def take():
            while True:
                os.open("/dev/null", os.O_RDONLY)
        tried(take)
        return -1
    """, Expect.NOT_PASSED, is_heavy=True),
    case("more descriptors than the limit", """
        def take():
            for _ in range(100_000):
                os.dup(0)
        attempt("100,000", take)
        os.closerange(3, 65536)
    """, Expect.NOT_PASSED),
    case("all descriptors are closed", """
        os.closerange(0, 65536)
        return -1
    """, Expect.INCONCLUSIVE),
    case("all descriptors are closed, the answer is right", """
        os.closerange(0, 65536)
        return 3
    """, Expect.NOT_PASSED),
    case("output without end", """
        while True:
            os.write(1, b"x" * 65536)
    """, Expect.INCONCLUSIVE, never_ends=True),
    case("errors without end", """
        while True:
            os.write(2, b"x" * 65536)
    """, Expect.INCONCLUSIVE, never_ends=True),
    case("print without end", """
        while True:
            print("x" * 65536, file=sys.stderr)
    """, Expect.INCONCLUSIVE, never_ends=True, is_heavy=True),
    case("much output and a wrong answer", """
        os.write(2, b"x" * 20_000_000)
        print("y" * 5_000_000)
        return -1
    """, Expect.FAILED),
    case("every pipe is flooded", """
        def flood():
            for number in range(3, 256):
                tried(os.set_blocking, number, False)
                for _ in range(64):
                    if isinstance(tried(os.write, number, b"x" * 65536), BaseException):
                        break
        flood()
        return -1
    """, Expect.INCONCLUSIVE),
    case("every pipe is flooded without end", """
        import stat
        pipes = [n for n in range(2, 256) if not isinstance(tried(os.fstat, n), OSError)]
        while True:
            for number in pipes:
                tried(os.set_blocking, number, False)
                tried(os.write, number, b"x" * 65536)
    """, Expect.INCONCLUSIVE, never_ends=True),
    case("a byte into every pipe now and then", """
        while True:
            for number in range(2, 256):
                tried(os.write, number, b" ")
            time.sleep(0.05)
    """, Expect.NOT_PASSED, never_ends=True),
    case("the pipes are kept open by a child", """
        if tried(os.fork) == 0:
            tried(os.setsid)
            while True:
                time.sleep(1)
        os._exit(0)
    """, Expect.INCONCLUSIVE),
    case("the pipes stop blocking", """
        import fcntl
        for number in range(256):
            tried(os.set_blocking, number, False)
            tried(fcntl.fcntl, number, 1031, 4096)
            tried(fcntl.fcntl, number, 1031, 1 << 20)
        return -1
    """, Expect.NOT_PASSED),
    case("the pipes are reopened and read", """
        for number in range(256):
            for flags in (os.O_RDONLY, os.O_RDWR):
                opened = tried(os.open, "/proc/self/fd/%d" % number, flags | os.O_NONBLOCK)
                if isinstance(opened, int):
                    tried(os.read, opened, 65536)
        return -1
    """, Expect.NOT_PASSED),
    case("the pipes are exchanged", """
        reader, writer = os.pipe()
        for number in range(3, 256):
            if number not in (reader, writer) and not isinstance(tried(os.fstat, number), OSError):
                tried(os.dup2, writer, number)
        return 3
    """, Expect.NOT_PASSED),
    case("standard streams are replaced", """
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
        sys.stdin = open(os.devnull)
        return -1
    """, Expect.NOT_PASSED),
    case("standard input is read", """
        got = tried(sys.stdin.buffer.read) or tried(os.read, 0, 65536)
        if got and isinstance(got, bytes) and b"nonce" in got:
            escaped("the order can be read again")
    """),
    case("memory of its own start", """
        for name in ("environ", "cmdline"):
            got = tried(read, "/proc/self/" + name)
            if b"nonce" in bytes(got if isinstance(got, bytes) else b""):
                escaped(name + " holds the nonce")
        seeks_secret("environment", lambda: dict(os.environ))
        for name in os.environ:
            if "EGCFG" in name or "SECRET" in name or "SSH" in name:
                escaped(name)
    """),
)  # fmt: skip
