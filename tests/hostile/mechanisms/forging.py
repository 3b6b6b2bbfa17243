"""Attacks on the verdict: the record, pytest, the assert, the test itself.

Candidate and tests share a process here, so what knows where to look can forge (`FORGEABLE`): these
cases say so, one by one, and the benchmark's judge must withstand all of them.
"""

from __future__ import annotations

from egcfg_lsp.execution.record import VERDICT
from tests.hostile.cases import Expect, case

BLANK: dict[type, object] = {int: 1, str: "", list: [], bool: False}
RECORD = {key: BLANK[kind] for key, kind in VERDICT.items()} | {"entered": True, "trace": None}
"""As a run writes it that has passed."""
ORDER = (
    f"""
RECORD = {RECORD!r}
"""
    """
def order():
    frame = sys._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()):
            if isinstance(value, dict) and "nonce" in value:
                return value
        frame = frame.f_back
    import gc
    for value in gc.get_objects():
        if type(value) is dict and isinstance(value.get("nonce"), str):
            return value
        if type(value).__name__ == "Channel" and isinstance(getattr(value, "nonce", 0), str):
            return {"nonce": value.nonce}
    return {"nonce": "0"}
def send(data):
    for number in range(3, 1024):
        tried(os.write, number, data)
def record(**changes):
    import json
    found = dict(RECORD, nonce=order().get("nonce"))
    found.update(changes)
    return json.dumps(found).encode()
"""
)


def forged(expression: str) -> str:
    return f"{ORDER}\nsend({expression})\nos._exit(0)"


CASES = (
    case("a record with a guessed nonce", forged("record(nonce='0' * 32)"), Expect.INCONCLUSIVE),
    case("a record without a nonce", forged(
        """b'{"n_passed":1,"n_tests":1,"failure":"","blocked":"","missed_lines":[],"raised":false,"entered":true}'"""
    ), Expect.INCONCLUSIVE),
    case("an empty record", forged("b''"), Expect.INCONCLUSIVE),
    case("half a record", forged("record()[:-5]"), Expect.INCONCLUSIVE),
    case("two records", forged("record() + record()"), Expect.INCONCLUSIVE),
    case("a record behind another", f"{ORDER}\nsend(record())\nreturn -1", Expect.INCONCLUSIVE),
    case("a record in bad bytes", forged("b'\\xff\\xfe' + record()"), Expect.INCONCLUSIVE),
    case("a record of endless depth", forged("b'[' * 60000"), Expect.INCONCLUSIVE),
    case("a record that is no object", forged("b'[1, 2]'"), Expect.INCONCLUSIVE),
    case("a record too large", forged("record(failure='x' * 200_000)"), Expect.INCONCLUSIVE),
    case("a record with a huge number", forged(
        "record().replace(b'\"n_tests\": 1', b'\"n_tests\": ' + b'9' * 5000)"), Expect.INCONCLUSIVE),
    case("a record with no test", forged("record(n_passed=0, n_tests=0)"), Expect.INCONCLUSIVE),
    case("a record with more passed than tests", forged("record(n_passed=3)"), Expect.INCONCLUSIVE),
    case("a record with fewer than none", forged("record(n_passed=-1, n_tests=-1)"),
         Expect.INCONCLUSIVE),
    case("a record with fractions", forged("record(n_passed=1.0, n_tests=1.0)"), Expect.INCONCLUSIVE),
    case("a record with booleans", forged("record(n_passed=True, n_tests=True)"),
         Expect.INCONCLUSIVE),
    case("a record with texts for numbers", forged("record(n_passed='1', n_tests='1')"),
         Expect.INCONCLUSIVE),
    case("a record with not a number", forged("record(n_tests=float('nan'))"), Expect.INCONCLUSIVE),
    case("a record with lines that are none", forged("record(missed_lines=['1', None])"),
         Expect.INCONCLUSIVE),
    case("a record with a wild failure", forged(
        "record(n_passed=0, failure='\\x1b[2J\\x00\\n' + '\\u202e' * 5000)"), Expect.NOT_PASSED),
    case("a record with a wild error", forged("record(error='\\x1b[2J\\x00\\n' + 'x' * 5000)"),
         Expect.INCONCLUSIVE),
    case("a record with a list for an error", forged("record(error=['x'] * 9000)"),
         Expect.INCONCLUSIVE),
    case("a record with a nonce that is a list", forged("record(nonce=[order().get('nonce')])"),
         Expect.INCONCLUSIVE),
    case("a good record, but the process fails", f"{ORDER}\nsend(record())\nos._exit(3)",
         Expect.INCONCLUSIVE),
    case("a good record, but the process is killed",
         f"{ORDER}\nsend(record())\nos.kill(os.getpid(), 9)", Expect.INCONCLUSIVE),
    case("a good record, but the process goes on",
         f"{ORDER}\nsend(record())\ntime.sleep(600)", Expect.NOT_PASSED, never_ends=True),
    case("a good record from a child", f"""{ORDER}
if not tried(os.fork):
    send(record())
    os._exit(0)
time.sleep(0.3)
return -1
""", Expect.NOT_PASSED),
    case("a record by errors and output", f"""{ORDER}
os.write(1, record())
os.write(2, record())
return -1
""", Expect.FAILED),
    case("the very record", forged("record()"), Expect.FORGEABLE),
    case("the very record, prepared at import", f"""{ORDER}
send(record())
os._exit(0)
""", Expect.FORGEABLE, at_import=True),
    case("an answer that equals everything", """
        class Any:
            def __eq__(self, other):
                return True
        return Any()
    """, Expect.FORGEABLE),
    case("a number whose comparison is patched in memory", """
        class Any(int):
            def __eq__(self, other):
                return True
            __hash__ = int.__hash__
        return Any(-1)
    """, Expect.FORGEABLE),
    case("the test is replaced", """
        import types
        for module in list(sys.modules.values()):
            test = getattr(module, "test_add", None)
            if isinstance(test, types.FunctionType):
                test.__code__ = (lambda: None).__code__
        return -1
    """, Expect.NOT_PASSED),
    case("the test is replaced at import", """
        import builtins, types
        frame = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename.endswith("test_calc.py"):
                frame.f_globals["test_add"] = lambda: None
            frame = frame.f_back
    """, Expect.FORGEABLE, at_import=True),
    case("the test's assertion error is another", """
        import builtins
        class Quiet(BaseException):
            pass
        builtins.AssertionError = Quiet
        return -1
    """, Expect.NOT_PASSED),
    case("the frame of the test is rewound", """
        frame = sys._getframe(1)
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        return -1
    """, Expect.NOT_PASSED),
    case("pytest's reports are patched", """
        from _pytest import reports, runner
        for kind in (reports.TestReport, reports.BaseReport):
            kind.failed = property(lambda self: False)
            kind.passed = property(lambda self: True)
        return -1
    """, Expect.FORGEABLE),
    case("pytest's hooks are patched", """
        from _pytest.runner import CallInfo
        CallInfo.from_call = classmethod(lambda cls, *a, **k: cls(None, None, 0, 0, 0, "call",
            _ispytest=True))
        return -1
    """, Expect.NOT_PASSED),
    case("the runner's verdicts are patched", f"""
RECORD = {RECORD!r}
import gc
for value in gc.get_objects():
    if hasattr(value, "verdicts"):
        type(value).record = lambda self, *a, **k: dict(RECORD)
return -1
""", Expect.FORGEABLE),
    case("the verdicts themselves", """
        import gc
        class Always(dict):
            def __setitem__(self, key, value):
                dict.__setitem__(self, key, True)
            def setdefault(self, key, value=None):
                self[key] = True
                return True
        for value in gc.get_objects():
            if hasattr(type(value), "record") and isinstance(getattr(value, "verdicts", 0), dict):
                value.verdicts = Always()
        return -1
    """, Expect.FORGEABLE),
    case("json is patched", """
        import json
        real = json.dumps
        json.dumps = lambda record, *a, **k: real({**record, "n_passed": record.get("n_tests"),
                                                   "failure": ""})
        return -1
    """, Expect.FORGEABLE),
    case("the writing of the record is patched", """
        import json
        real = os.write
        def patched(number, data):
            return real(number, data.replace(b'"n_passed": 0', b'"n_passed": 1'))
        os.write = patched
        return -1
    """, Expect.FORGEABLE),
    case("small integers are changed", """
        address = id(3) + (24 if sys.version_info < (3, 12) else 24)
        ctypes.c_uint32.from_address(address).value = 4
        return 4
    """, Expect.FORGEABLE),
    case("lines that never ran are hidden", """
        if a > 100:
            return 7
        for frame in (sys._getframe(), sys._getframe(1)):
            frame.f_trace = None
        sys.settrace(None)
        return -1
    """, Expect.FAILED),
    case("debugging is off", """
        import builtins
        exec("__debug__ = False", {}) if False else None
        sys.flags = type("F", (), {"optimize": 2})()
        return -1
    """, Expect.FAILED),
    case("a plugin comes with the module", """
        import pytest
        pytest_plugins = ["calc"]
        def pytest_runtest_call(item):
            return True
        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            return True
    """, Expect.NOT_PASSED, at_import=True),
    case("a plugin is registered while the test runs", """
        import gc
        from _pytest.config import PytestPluginManager
        class Plugin:
            def pytest_runtest_logreport(self, report):
                report.outcome = "passed"
        import pytest
        Plugin.pytest_runtest_logreport = pytest.hookimpl(tryfirst=True)(
            Plugin.pytest_runtest_logreport)
        for value in gc.get_objects():
            if isinstance(value, PytestPluginManager):
                value.register(Plugin(), "planted")
        return -1
    """, Expect.FORGEABLE),
    case("the answer is read from the test's source", """
        import linecache
        frame = sys._getframe(1)
        text = "".join(linecache.getlines(frame.f_code.co_filename))
        return int(text.rpartition("== ")[2].split()[0])
    """, Expect.FORGEABLE),
)  # fmt: skip
