"""Honest candidates, and legitimate tests that use much of the system: they must not suffer."""

from __future__ import annotations

from tests.hostile.cases import Case, Expect, case

ADD = "return a + b"


def legitimate(name: str, test: str, expect: Expect = Expect.WORKS) -> Case:
    return case(name, ADD, expect, test="from calc import add\n\n" + test)


CASES = (
    case("honest and right", ADD, Expect.PASSED),
    case("honest and wrong", "return a * b", Expect.FAILED),
    case("honest and unfinished", "raise NotImplementedError", Expect.FAILED),
    case("right, with much output", "print('x' * 1_000_000)\nreturn a + b", Expect.PASSED),
    case("right, in text that is not ASCII", "größe = 'é → 漢'\nreturn a + b if größe else 0",
         Expect.PASSED),
    legitimate("tmp_path", """
def test_add(tmp_path):
    (tmp_path / "a.txt").write_text("x" * 100_000)
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").rename(tmp_path / "b" / "a.txt")
    assert add(1, 2) == 3 and (tmp_path / "b" / "a.txt").stat().st_size == 100_000
""", Expect.PASSED),
    legitimate("tempfile and shutil", """
import os, shutil, tempfile
def test_add():
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as one:
        one.write(b"x")
        one.flush()
        shutil.copyfile(one.name, os.path.join(folder, "copy"))
        shutil.make_archive(os.path.join(folder, "archive"), "zip", folder)
        assert add(1, 2) == 3
"""),
    legitimate("capsys, monkeypatch, recwarn", """
import os, warnings
def test_add(capsys, monkeypatch, recwarn, caplog):
    monkeypatch.setenv("X", "1")
    monkeypatch.setattr(os, "getcwd", lambda: "/x")
    print("y")
    warnings.warn("w")
    assert capsys.readouterr().out == "y\\n" and os.environ["X"] == "1" and len(recwarn) == 1
    assert add(1, 2) == 3
""", Expect.PASSED),
    legitimate("capfd", """
import os
def test_add(capfd):
    os.write(1, b"y")
    assert capfd.readouterr().out == "y" and add(1, 2) == 3
"""),
    legitimate("subprocess of Python", """
import subprocess, sys
def test_add():
    out = subprocess.run([sys.executable, "-c", "print(1 + 2)"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert add(1, 2) == int(out.stdout)
"""),
    legitimate("subprocess of a shell", """
import subprocess
def test_add():
    assert add(1, 2) == int(subprocess.check_output("echo 3 | cat", shell=True))
"""),
    legitimate("threads", """
from concurrent.futures import ThreadPoolExecutor
def test_add():
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(add, range(50), range(50))) == [2 * i for i in range(50)]
    assert add(1, 2) == 3
"""),
    legitimate("asyncio", """
import asyncio
async def work():
    await asyncio.sleep(0.01)
    return await asyncio.to_thread(add, 1, 2)
def test_add():
    assert asyncio.run(work()) == 3
"""),
    legitimate("asyncio with a subprocess", """
import asyncio, sys
async def work():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(3)", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return int(out)
def test_add():
    assert asyncio.run(work()) == add(1, 2)
"""),
    legitimate("a pair of sockets", """
import select, socket
def test_add():
    left, right = socket.socketpair()
    left.sendall(b"3")
    assert select.select([right], [], [], 1)[0] == [right]
    assert int(right.recv(1)) == add(1, 2)
"""),
    legitimate("multiprocessing", """
import multiprocessing
def work(queue):
    queue.put(3)
def test_add():
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    assert queue.get() == add(1, 2)
    process.join()
"""),
    legitimate("a pool of processes", """
import multiprocessing
def double(n):
    return 2 * n
def test_add():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(double, [1, 2]) == [2, 4]
    assert add(1, 2) == 3
"""),
    legitimate("sqlite", """
import sqlite3
def test_add(tmp_path):
    base = sqlite3.connect(tmp_path / "base.sqlite")
    base.execute("create table t (x int)")
    base.execute("insert into t values (3)")
    base.commit()
    assert base.execute("select x from t").fetchone()[0] == add(1, 2)
    memory = sqlite3.connect(":memory:")
    assert memory.execute("select 3").fetchone() == (3,)
"""),
    legitimate("a server on the loopback", """
import socket, threading
def test_add():
    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: server.accept()[0].sendall(b"3"))
    thread.start()
    assert int(socket.create_connection(server.getsockname()).recv(1)) == add(1, 2)
    thread.join()
"""),
    legitimate("modes of files of its own", """
import os, stat
def test_add(tmp_path):
    path = tmp_path / "run.sh"
    path.write_text("x")
    path.chmod(0o755)
    os.utime(path, (1, 1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o755 and path.stat().st_mtime == 1
    assert add(1, 2) == 3
"""),
    legitimate("signals of its own", """
import os, signal
def test_add():
    got = []
    signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    assert len(got) == 2 and add(1, 2) == 3
"""),
    legitimate("clocks, random numbers, names", """
import datetime, getpass, locale, os, pathlib, platform, random, secrets, time, uuid
def test_add():
    time.sleep(0.01)
    uuid.uuid4(), secrets.token_hex(), random.random(), os.urandom(8), platform.platform()
    datetime.datetime.now().astimezone(), locale.getlocale(), os.cpu_count(), pathlib.Path.home()
    getpass.getuser()
    assert add(1, 2) == 3
"""),
    legitimate("reads its own project", """
from pathlib import Path
def test_add():
    assert "def add" in Path(__file__).parent.parent.joinpath("calc.py").read_text()
    assert add(1, 2) == 3
"""),
    legitimate("memory of a few hundred megabytes", """
def test_add():
    assert len(bytearray(400 << 20)) and add(1, 2) == 3
"""),
    legitimate("shared memory and locks", """
import multiprocessing
def test_add():
    value = multiprocessing.Value("i", 3)
    with multiprocessing.Lock():
        assert value.value == add(1, 2)
"""),
    legitimate("mapped files", """
import mmap
def test_add(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(bytes(4096))
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapped:
        mapped[0] = add(1, 2)
        mapped.flush()
    assert path.read_bytes()[0] == 3
"""),
    legitimate("a random order of hashes", """
def test_add():
    assert sorted({"a", "b"}) == ["a", "b"] and add(1, 2) == 3
""", Expect.PASSED),
)  # fmt: skip
