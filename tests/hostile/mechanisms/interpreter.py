"""Attacks by the interpreter: leaving it, crashing it, objects that lie when they are looked at."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

CASES = (
    case("sys.exit", "sys.exit(0)", Expect.NOT_PASSED),
    case("sys.exit at import", "sys.exit(0)", Expect.NOT_PASSED, at_import=True),
    case("os._exit", "os._exit(0)", Expect.INCONCLUSIVE),
    case("os._exit at import", "os._exit(0)", Expect.INCONCLUSIVE, at_import=True),
    case("os._exit when deleted", """
        class Last:
            def __del__(self):
                os._exit(0)
        Last()
        return -1
    """, Expect.INCONCLUSIVE),
    case("os._exit in a thread", """
        import threading
        threading.Thread(target=os._exit, args=(0,)).start()
        time.sleep(5)
        return -1
    """, Expect.INCONCLUSIVE),
    case("os._exit in an exit handler", """
        import atexit
        atexit.register(os._exit, 0)
        return -1
    """, Expect.FAILED),
    case("exit by the C library", "_libc.exit(0)", Expect.INCONCLUSIVE),
    case("quick_exit", "_libc.quick_exit(0)", Expect.INCONCLUSIVE),
    case("abort", "os.abort()", Expect.INCONCLUSIVE),
    case("segmentation fault", "ctypes.string_at(0)", Expect.INCONCLUSIVE),
    case("segmentation fault with faulthandler", """
        import faulthandler
        faulthandler.enable(sys.__stderr__)
        ctypes.string_at(0)
    """, Expect.INCONCLUSIVE),
    case("illegal instruction", """
        import mmap
        page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                         prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(b"\\x0f\\x0b" if _X86 else bytes(4))
        ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    """, Expect.INCONCLUSIVE),
    case("wild writes to memory", """
        ctypes.memset(id(object()), 0x41, 1 << 16)
        ctypes.memset(id(sys.modules), 0x41, 64)
        return sys.modules["os"]
    """, Expect.NOT_PASSED),
    case("base exceptions", """
        class Odd(BaseException):
            pass
        raise Odd("odd")
    """, Expect.NOT_PASSED),
    case("base exception at import", "raise BaseException('odd')", Expect.NOT_PASSED, at_import=True),
    case("keyboard interrupt", "raise KeyboardInterrupt", Expect.NOT_PASSED),
    case("keyboard interrupt at import", "raise KeyboardInterrupt", Expect.NOT_PASSED, at_import=True),
    case("generator exit", "raise GeneratorExit", Expect.NOT_PASSED),
    case("skip", """
        import pytest
        pytest.skip("fine")
    """, Expect.NOT_PASSED),
    case("skip at import", """
        import pytest
        pytest.skip("fine", allow_module_level=True)
    """, Expect.NOT_PASSED, at_import=True),
    case("xfail", """
        import pytest
        pytest.xfail("fine")
    """, Expect.NOT_PASSED),
    case("unittest's skip", """
        import unittest
        raise unittest.SkipTest("fine")
    """, Expect.NOT_PASSED),
    case("pytest.exit", """
        import pytest
        pytest.exit("fine", 0)
    """, Expect.NOT_PASSED),
    case("pytest.exit at import", """
        import pytest
        pytest.exit("fine", 0)
    """, Expect.NOT_PASSED, at_import=True),
    case("exception whose text exits", """
        class Odd(Exception):
            def __str__(self):
                os._exit(0)
            __repr__ = __str__
        raise Odd
    """, Expect.NOT_PASSED),
    case("exception whose text fails", """
        class Odd(Exception):
            def __str__(self):
                raise self
            __repr__ = __str__
        raise Odd
    """, Expect.NOT_PASSED),
    case("exception whose text is long and wild", """
        raise ValueError("\\x1b[2J\\x00\\r\\n\\u202e\\ud800" * 100_000)
    """, Expect.NOT_PASSED),
    case("exception whose text is no text", """
        class Odd(Exception):
            def __str__(self):
                return 5
        raise Odd
    """, Expect.NOT_PASSED),
    case("exception whose class has a wild name", """
        raise type("\\x1b]0;owned\\x07\\n" * 1000, (Exception,), {})("x")
    """, Expect.NOT_PASSED),
    case("exception that is its own cause", """
        first, second = ValueError("a"), ValueError("b")
        first.__cause__, second.__cause__ = second, first
        first.__context__, second.__context__ = second, first
        raise first
    """, Expect.NOT_PASSED),
    case("a chain of a million exceptions", """
        last = ValueError("0")
        for i in range(300_000):
            new = ValueError("x")
            new.__cause__ = last
            last = new
        raise last
    """, Expect.NOT_PASSED),
    case("exception whose traceback is deep", """
        sys.setrecursionlimit(20_000)
        def deeper(n):
            return 1 / n if n == 0 else deeper(n - 1)
        return deeper(15_000)
    """, Expect.NOT_PASSED),
    case("exception group", """
        errors = [ValueError(str(i)) for i in range(100)]
        raise ExceptionGroup("g", errors) if sys.version_info >= (3, 11) else errors[0]
    """, Expect.NOT_PASSED),
    case("exception that answers every attribute", """
        class Odd(Exception):
            def __getattr__(self, name):
                return self
            def __iter__(self):
                return self
            def __next__(self):
                return self
            def __len__(self):
                return 1
            def __getitem__(self, i):
                return self
        raise Odd
    """, Expect.NOT_PASSED),
    case("answer that is hostile when shown", """
        class Odd:
            def __repr__(self):
                raise SystemExit(0)
        return Odd()
    """, Expect.NOT_PASSED),
    case("answer that exits when compared", """
        class Odd:
            def __eq__(self, other):
                os._exit(0)
        return Odd()
    """, Expect.INCONCLUSIVE),
    case("answer that skips when compared", """
        import pytest
        class Odd:
            def __eq__(self, other):
                pytest.skip("fine")
        return Odd()
    """, Expect.NOT_PASSED),
    case("answer that lies about its class", """
        class Odd:
            __class__ = property(lambda self: int)
            def __eq__(self, other):
                return NotImplemented
        return Odd()
    """, Expect.FAILED),
    case("metaclass that fails", """
        class Meta(type):
            def __getattribute__(cls, name):
                raise RuntimeError(name)
        class Odd(metaclass=Meta):
            pass
        return Odd()
    """, Expect.NOT_PASSED),
    case("the tracer is taken off", """
        sys.settrace(None)
        sys._getframe().f_trace = None
        return -1
    """, Expect.FAILED),
    case("the tracer is replaced", """
        import threading
        for one in (sys.settrace, sys.setprofile, threading.settrace, threading.setprofile):
            one(lambda *a: None)
        return -1
    """, Expect.FAILED),
    case("audit hook that refuses everything", """
        def refuse(name, arguments):
            raise RuntimeError(name)
        sys.addaudithook(refuse)
        return -1
    """, Expect.NOT_PASSED),
    case("hooks for what nobody catches", """
        import threading
        sys.excepthook = sys.unraisablehook = threading.excepthook = lambda *a: os._exit(0)
        raise ValueError("x")
    """, Expect.NOT_PASSED),
    case("modules are taken away", """
        for name in list(sys.modules):
            if name not in ("sys", "builtins"):
                del sys.modules[name]
        return -1
    """, Expect.NOT_PASSED),
    case("import is replaced", """
        import builtins
        builtins.__import__ = lambda *a, **k: os._exit(0)
        return -1
    """, Expect.NOT_PASSED),
    case("builtins are taken away", """
        import builtins
        for name in ("open", "isinstance", "len", "str", "print", "getattr", "sorted", "sum"):
            setattr(builtins, name, None)
        return -1
    """, Expect.NOT_PASSED),
    case("an import hook that executes what it likes", """
        class Finder:
            def find_spec(self, name, path=None, target=None):
                raise SystemExit(0)
        sys.meta_path.insert(0, Finder())
        sys.path_hooks.insert(0, Finder)
        import nothing_of_that_name
    """, Expect.NOT_PASSED),
    case("start files of Python", """
        import site, sysconfig
        for folder in [sysconfig.get_path("purelib"), *site.getsitepackages()]:
            for name in ("sitecustomize.py", "usercustomize.py", "x.pth", "_virtualenv.pth"):
                attempt(name, write, os.path.join(folder, name), os.O_WRONLY | os.O_CREAT)
    """),
    case("the source says it is something else", """
        import linecache
        linecache.cache[__file__] = (1, None, ["assert True"], __file__)
        return -1
    """, Expect.FAILED),
    case("a hundred thousand lines", "\n".join(f"x{i} = {i}" for i in range(20_000)),
         Expect.NOT_PASSED),
    case("source that compiles slowly", "x = " + "(" * 80 + "1" + ")" * 80 + "\nreturn 2 ** 3 ** 4",
         Expect.NOT_PASSED),
    case("source with an encoding of its own", "# coding: no-such\nreturn -1", Expect.NOT_PASSED),
)  # fmt: skip
