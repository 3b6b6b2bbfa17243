"""Attacks that only a zygote makes possible: on it, on what is parked beside, on the next run.

In tiers that start a process for each run there is nobody near, and most of them find nothing.
"""

from __future__ import annotations

from dataclasses import replace

from tests.hostile.cases import LONG_SECONDS, Case, Expect, case
from tests.hostile.mechanisms import forging
from tests.hostile.mechanisms.forging import ORDER

NEAR = """
def near():
    names = tried(os.listdir, "/proc")
    pids = map(int, filter(str.isdigit, names if isinstance(names, list) else ()))
    return [pid for pid in pids if pid not in (1, RUN, os.getpid())]
RUN = os.getpid()
own = os.environ["TMPDIR"]
is_parked = len(os.path.basename(own)) == 16
"""
SIGNAL = """
for pid in near():
    for number in (0, signal.SIGUSR1, signal.SIGCONT, signal.SIGSTOP, signal.SIGTERM,
                   signal.SIGKILL):
        attempt("signal %d to %d" % (number, pid), os.kill, pid, number)
        attempt("signal %d to group %d" % (number, pid), os.killpg, pid, number)
        attempt("tgkill", syscall, 234 if _X86 else 131, pid, pid, int(number))
"""
LOOK = """
for pid in near():
    place = "/proc/%d/" % pid
    for flags in (os.O_RDONLY, os.O_RDWR):
        attempt("mem of %d" % pid, os.open, place + "mem", flags)
    for name in ("maps", "environ", "auxv", "stack", "syscall", "pagemap"):
        attempt(name, lambda: read(place + name)[0])
    for name in ("cwd", "root", "exe", "fd/0", "fd/1", "fd/2"):
        attempt(name, os.readlink, place + name)
    for number in range(3, 256):
        for flags in (os.O_RDONLY, os.O_RDWR):
            attempt("descriptor", os.open, place + "fd/%d" % number, flags | os.O_NONBLOCK)
    denied("ptrace attach", 101, 117, 16, pid, 0, 0)
    denied("ptrace seize", 101, 117, 0x4206, pid, 0, 0)
    denied("process_vm_readv", 310, 270, pid, 0, 0, 0, 0, 0)
    denied("process_vm_writev", 311, 271, pid, 0, 0, 0, 0, 0)
    denied("pidfd_open", 434, 434, pid, 0)
    denied("move_pages", 279, 239, pid, 0, 0, 0, 0, 0)
"""
FRAMES = f"""{ORDER}
import struct
def framed(data):
    return struct.pack(">I", len(data)) + data
"""
FOLDERS = """
def names_in_memory():
    import re
    found = set()
    for line in read("/proc/self/maps", 1 << 20).decode().splitlines():
        place, mode = line.split()[:2]
        first, last = (int(part, 16) for part in place.split("-"))
        if mode.startswith("rw") and last - first < 1 << 28:
            with open("/proc/self/mem", "rb") as memory:
                memory.seek(first)
                text = tried(memory.read, last - first)
            text = text if isinstance(text, bytes) else b""
            found |= {*re.findall(rb"/tmp(?:/egcfg)?(?:/[0-9a-f]{16}){1,2}", text)}
    return sorted(map(os.fsdecode, found - {os.fsencode(own), b"/tmp", b"/tmp/egcfg"}))
"""

UNCONFINED = f"""{NEAR}
import struct
COLLECTION = os.getpid()
everybody = near
def near():
    found = []
    for pid in everybody():
        told = tried(read, "/proc/%d/stat" % pid)
        parent = int(told.rpartition(b")")[2].split()[1]) if isinstance(told, bytes) else 0
        if COLLECTION not in (pid, parent):
            found.append(pid)
    return found
def instruction(code, value, yes=0, no=0):
    return struct.pack("=HBBI", code, yes, no, value)
program = b"".join((
    instruction(0x20, 0), instruction(0x15, 446, 1), instruction(0x15, 157 if _X86 else 167, 1, 4),
    instruction(0x06, 0x00050000), instruction(0x20, 16), instruction(0x15, 22, 0, 1),
    instruction(0x06, 0x00050000), instruction(0x06, 0x7FFF0000)))
code = ctypes.create_string_buffer(program, len(program))
class Program(ctypes.Structure):
    _fields_ = [("n", ctypes.c_ushort), ("code", ctypes.c_void_p)]
tried(_libc.prctl, 22, 2, ctypes.byref(Program(len(program) // 8, ctypes.addressof(code))), 0, 0)


def add(a, b):
{"".join("    " + line + chr(10) for line in (SIGNAL + LOOK).strip().splitlines())}
    above = os.path.dirname(os.path.dirname(own))
    if is_parked and above not in ("/", "/tmp"):
        attempt("list " + above, os.listdir, above)
        attempt("write in " + above, write, above + "/x", os.O_WRONLY | os.O_CREAT)
    held()
"""
"""At import a filter that lets what confines the children do nothing, and say that it succeeded."""


def framed(expression: str) -> str:
    return f"{FRAMES}\nsend({expression})\nos._exit(0)"


def lasting(name: str, body: str) -> Case:
    """At the module's import, which succeeds: what it has done stays in the collection."""
    return case(name, body, Expect.FAILED, at_import=True, is_heavy=True)


FRAMED = tuple(
    replace(
        one,
        name=f"{one.name}, framed",
        source=one.source.replace(
            "def send(data):\n",
            "def send(data):\n        data = len(data).to_bytes(4, 'big') + data\n",
        ),
    )
    for one in forging.CASES
    if one.expect is not Expect.FORGEABLE and one.source.endswith("os._exit(0)\n")
)
"""What forges a record, as a zygote's child would write it."""
CASES = (
    case("signals to whoever is near", NEAR + SIGNAL),
    case("signals to whoever is near, from a child", NEAR + f"""
def act():
{"".join("    " + line + chr(10) for line in SIGNAL.strip().splitlines())}
    os._exit(1 if _escapes else 0)
if in_child(act):
    escaped("a signal")
"""),
    case("signals to whoever is near, at import", NEAR + SIGNAL, at_import=True),
    case("memory and descriptors of whoever is near", NEAR + LOOK),
    case("memory and descriptors of whoever is near, at import", NEAR + LOOK, at_import=True),
    case("files beside its own folder", NEAR + """
if is_parked:
    for folder in (os.path.dirname(own), "/tmp"):
        attempt("list " + folder, os.listdir, folder)
        for name in ("x", "egcfg/x", "calc.py", "0" * 16):
            path = os.path.join(folder, name)
            attempt("write " + path, write, path, os.O_WRONLY | os.O_CREAT)
            attempt("folder " + path, os.mkdir, path)
            attempt("link " + path, os.symlink, "/etc/passwd", path)
            attempt("pipe " + path, os.mkfifo, path)
            attempt("moved to " + path, os.rename, own, path)
    attempt("its own folder is removed", os.rmdir, own)
for path in ("/tmp/x", "/tmp/egcfg/x", own + "/x"):
    tried(write, path, os.O_WRONLY | os.O_CREAT)
tried(os.makedirs, own + "/a/b/c")
"""),
    case("folders of siblings by names that are left in memory", NEAR + FOLDERS + """
if is_parked:
    for path in names_in_memory():
        if not own.startswith(path):
            attempt("list " + path, os.listdir, path)
            attempt("write in " + path, write, path + "/x", os.O_WRONLY | os.O_CREAT)
            attempt("remove " + path, os.rmdir, path)
            tried(os.utime, path, (1, 1))
            tried(os.chmod, path, 0)
"""),
    case("files for the next collection, at import", NEAR + """
for path in ("/tmp/x", "/tmp/egcfg/x", os.path.dirname(own) + "/x"):
    attempt(path, write, path, os.O_WRONLY | os.O_CREAT) if is_parked else None
    tried(write, path, os.O_WRONLY | os.O_CREAT)
tried(write, own + "/x", os.O_WRONLY | os.O_CREAT)
""", at_import=True),
    lasting("files that stay, at import", """
for path in ("/tmp/x", "/tmp/egcfg/x", os.environ["TMPDIR"] + "/x"):
    tried(write, path, os.O_WRONLY | os.O_CREAT)
tried(os.makedirs, os.environ["TMPDIR"] + "/a" * 50)
"""),
    case("descriptors that lead to others", NEAR + """
import socket, stat
n_sockets = 0
for number in range(3, 1024):
    found = tried(os.fstat, number)
    if isinstance(found, BaseException):
        continue
    if stat.S_ISSOCK(found.st_mode):
        n_sockets += 1
        one = socket.socket(fileno=os.dup(number))
        one.setblocking(False)
        got = tried(one.recvmsg, 4096, 4096)
        if not isinstance(got, BaseException) and (got[0] or got[1]):
            escaped("something is said to descriptor %d" % number)
        attempt("socket %d again" % number, os.open, "/proc/self/fd/%d" % number, os.O_RDWR)
    elif is_parked and not stat.S_ISCHR(found.st_mode):
        escaped("descriptor %d is %o" % (number, found.st_mode))
if n_sockets > 1:
    escaped("it has %d sockets" % n_sockets)
"""),
    case("descriptors are sent to the server", """
import socket
for number in range(3, 1024):
    if not isinstance(tried(os.fstat, number), BaseException):
        for many in ([0, 1, 2] * 80, [number] * 100):
            one = tried(lambda: socket.socket(fileno=os.dup(number)))
            if not isinstance(one, BaseException):
                tried(socket.send_fds, one, [b"x"], many)
                tried(socket.send_fds, one, [bytes(4)], many)
""", Expect.NOT_PASSED),
    case("what is shared with the parent", """
import fcntl, gc, resource
for number in range(256):
    for flags in (os.O_NONBLOCK, os.O_ASYNC, os.O_APPEND, os.O_NONBLOCK | os.O_APPEND | os.O_ASYNC):
        tried(fcntl.fcntl, number, fcntl.F_SETFL, flags)
    tried(fcntl.flock, number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    tried(os.lseek, number, 7, os.SEEK_SET)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.setitimer(signal.ITIMER_VIRTUAL, 0.01, 0.01)
os.umask(0o777)
os.chdir("/")
gc.disable()
os.environ.clear()
tried(resource.setrlimit, resource.RLIMIT_FSIZE, (0, 0))
tried(os.setpgid, 0, os.getppid())
"""),
    case("back into the parent's loop", """
import atexit
os._exit = sys.exit = lambda *_: None
os.waitpid = os.wait = lambda *_: (0, 0)
atexit.register(lambda: time.sleep(600))
""", Expect.NOT_PASSED, never_ends=True),
    case("back into the parent's loop by an exception", """
class Up(BaseException):
    pass
def again(*_):
    raise Up
os._exit = again
raise Up
""", Expect.NOT_PASSED),
    case("back into the parent's loop by its frames", """
frame = sys._getframe()
while frame.f_back is not None:
    frame = frame.f_back
    for name in ("descriptor", "channel", "nursery", "plan"):
        found = frame.f_locals.get(name)
        fork = getattr(found, "fork", None)
        tried(fork, 1, 0, lambda end: time.sleep(600)) if fork else None
        end = getattr(found, "end", None)
        tried(end, 1, "/tmp", 0) if end else None
""", Expect.NOT_PASSED),
    case("commands to the parents", f"""{FRAMES}
import json
for number in range(5):
    for command in ({{"do": "end", "number": number, "folder": "/tmp", "patience": 0}},
                    {{"do": "look", "number": number}}, {{"do": "preload", "modules": ["calc"]}}):
        send(framed(json.dumps(command).encode()))
""", Expect.NOT_PASSED),
    case("more confinement", """
denied("landlock_create_ruleset", 444, 444, 0, 0, 1)
denied("landlock_add_rule", 445, 445, 0, 0, 0, 0)
denied("landlock_restrict_self", 446, 446, 0, 0)
denied("seccomp", 317, 277, 0, 0, 0)
denied("PR_SET_SECCOMP", 157, 167, 22, 2, 0, 0, 0)
denied("PR_SET_PDEATHSIG", 157, 167, 1, 0, 0, 0, 0)
denied("PR_SET_CHILD_SUBREAPER", 157, 167, 36, 1, 0, 0, 0)
denied("PR_SET_PTRACER", 157, 167, 0x59616D61, -1, 0, 0, 0)
"""),
    case("its folder is full", NEAR + """
def fill():
    for i in range(6):
        with open("%s/%d" % (own, i), "wb") as stream:
            while True:
                stream.write(bytes(1 << 20))
def breed():
    for i in range(10_000):
        open("%s/f%d" % (own, i), "wb").close()
tried(fill)
tried(breed)
""", Expect.HELD_OR_ENDED, is_heavy=True),
    case("its folder is deep, and locked", NEAR + """
os.chdir(own)
def dig():
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
tried(dig)
tried(os.chmod, ".", 0)
tried(os.chmod, own, 0)
""", Expect.HELD_OR_ENDED),
    case("all folders above are locked", NEAR + """
folder = own
while folder != "/":
    tried(os.chmod, folder, 0)
    tried(os.utime, folder, (1, 1))
    folder = os.path.dirname(folder)
"""),
    case("all folders above are opened to everybody", NEAR + """
folder = own
while folder != "/":
    tried(os.chmod, folder, 0o1777)
    folder = os.path.dirname(folder)
"""),
    case("a daemon that waits for the next run", NEAR + """
if tried(os.fork) == 0:
    tried(os.setsid)
    if tried(os.fork) == 0:
        while True:
            for pid in near():
                tried(os.kill, pid, signal.SIGKILL)
            tried(write, own + "/x", os.O_WRONLY | os.O_CREAT)
            time.sleep(0.001)
    os._exit(0)
"""),
    lasting("a daemon at import, and all is well", """
if tried(os.fork) == 0:
    tried(os.setsid)
    time.sleep(600)
    os._exit(0)
"""),
    lasting("a daemon of nobody's at import, and all is well", """
if tried(os.fork) == 0:
    tried(os.setsid)
    if tried(os.fork) == 0:
        time.sleep(600)
    os._exit(0)
"""),
    lasting("a daemon after the import, by a timer", """
def breed(*_):
    signal.setitimer(signal.ITIMER_REAL, 0)
    if tried(os.fork) == 0:
        tried(os.setsid)
        time.sleep(600)
        os._exit(0)
signal.signal(signal.SIGALRM, breed)
signal.setitimer(signal.ITIMER_REAL, 0.2)
"""),
    lasting("a collection that answers for its children", """
import builtins
for name, module in list(sys.modules.items()):
    if name.endswith("nursery"):
        module.odd_traces = lambda *_: ""
        module.has_strays = lambda *_: False
        module.waited = lambda *_: 0
"""),
    Case("children of a collection that only seem to be confined", UNCONFINED, Expect.HELD,
         LONG_SECONDS),
    case("a framed record with a guessed nonce", framed("framed(record(nonce='0' * 32))"),
         Expect.INCONCLUSIVE),
    case("a frame without end", framed("b'\\xff' * 4 + b'x' * 100_000"), Expect.INCONCLUSIVE),
    case("half a frame", framed("framed(record())[:-5]"), Expect.INCONCLUSIVE),
    case("a frame that is parked", framed("framed(b'{\"parked\": true}')"), Expect.INCONCLUSIVE),
    case("a frame that has ended", framed("framed(b'{\"ended\": 1, \"code\": 0, \"odd\": \"\"}')"),
         Expect.INCONCLUSIVE),
    case("a frame of endless depth", framed("framed(b'[' * 60_000)"), Expect.INCONCLUSIVE),
    case("a frame that asks for a slower way", framed(
        "framed(b'{\"slow\": \"x\", \"nonce\": \"%s\"}' % str(order()['nonce']).encode())"),
        Expect.INCONCLUSIVE),
    case("the very record, framed", framed("framed(record())"), Expect.FORGEABLE),
    case("the very record, framed, and the process goes on", f"""{FRAMES}
send(framed(record()))
time.sleep(600)
""", Expect.FORGEABLE, never_ends=True),
    *FRAMED,
)  # fmt: skip
