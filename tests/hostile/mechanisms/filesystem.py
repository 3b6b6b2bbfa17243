"""Attacks on files: the home, the project, the system's, the private temporary folder and its end."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

CASES = (
    case("read secrets by their paths", """
        for path in W["secrets"]:
            seeks_secret(path, read, path)
    """),
    case("read secrets at import", """
        for path in W["secrets"]:
            seeks_secret(path, read, path)
    """, at_import=True),
    case("read secrets in a subprocess", """
        import subprocess
        for path in W["secrets"]:
            seeks_secret(path, subprocess.check_output, ["cat", path])
            seeks_secret(path, subprocess.check_output, [sys.executable, "-c",
                "import sys; print(open(sys.argv[1]).read())", path])
    """),
    case("list the home", """
        for folder in (W["home"], W["home"] + "/.ssh", W["home"] + "/other"):
            names = tried(os.listdir, folder)
            if isinstance(names, list) and {".ssh", "id_rsa", "notes.txt"} & set(names):
                escaped(folder)
    """),
    case("walk everything that can be read for the mark", """
        import glob
        def sweep():
            for folder in (W["home"], "/tmp", "/var/tmp", "/root", "/home", "/srv", "/run", "/dev/shm"):
                for path in glob.iglob(folder + "/**/*", recursive=True):
                    if not path.startswith((W["project"], sys.prefix, sys.base_prefix)):
                        if "site-packages" not in path and os.path.isfile(path):
                            seeks_secret(path, read, path)
        sweep()
    """),
    case("read accounts and kernel memory", """
        for path in ("/etc/shadow", "/etc/gshadow", "/proc/kcore", "/dev/mem", "/dev/kmem",
                     "/dev/kmsg", "/proc/kmsg", "/dev/vda", "/dev/sda", "/etc/ssh"):
            attempt(path, read, path, 16)
    """),
    case("links in the temporary folder to secrets", """
        import tempfile
        for i, path in enumerate(W["secrets"]):
            for name, make in (("s", os.symlink), ("h", os.link)):
                link = os.path.join(tempfile.gettempdir(), name + str(i))
                tried(make, path, link)
                seeks_secret(link, read, link)
    """),
    case("roots of other processes", """
        for pid in ("1", "self", str(os.getppid()), str(W["driver"]), str(W["canary"])):
            for path in W["secrets"]:
                place = "/proc/%s/root%s" % (pid, path)
                seeks_secret(place, read, place)
                place = "/proc/%s/cwd/../../..%s" % (pid, path)
                seeks_secret(place, read, place)
    """),
    case("out of the root by chroot and a kept descriptor", """
        def leave():
            kept = os.open("/", os.O_RDONLY)
            os.mkdir("/tmp/jail")
            os.chroot("/tmp/jail")
            os.fchdir(kept)
            for _ in range(64):
                os.chdir("..")
            os.chroot(".")
        attempt("chroot", leave)
        for path in W["secrets"]:
            seeks_secret(path, read, path)
    """),
    case("files by handle instead of by name", """
        handle = ctypes.create_string_buffer(136)
        handle[0] = 128
        mount = ctypes.c_int()
        denied("open_by_handle_at", 304, 265, -100, handle, 0)
        attempt("name_to_handle_at", syscall, 303 if _X86 else 264, -100,
                W["project"].encode() + b"/calc.py", handle, ctypes.byref(mount), 0)
    """),
    case("write where files are", """
        for path in W["files"]:
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
                attempt(path, write, path, flags)
    """),
    case("make files outside", """
        for folder in W["folders"]:
            path = os.path.join(folder, "planted-by-candidate")
            attempt(path, write, path, os.O_WRONLY | os.O_CREAT)
            attempt(path, os.mkdir, path)
            attempt(path, os.symlink, "/etc/passwd", path)
            attempt(path, os.mkfifo, path)
            attempt(path, os.mknod, path)
    """),
    case("make files outside without names", """
        for folder in W["folders"]:
            attempt(folder, os.open, folder, os.O_TMPFILE | os.O_RDWR)
    """),
    case("make sockets outside", """
        import socket
        def bind(path):
            socket.socket(socket.AF_UNIX).bind(path)
        for folder in W["folders"]:
            attempt(folder, bind, os.path.join(folder, "planted-socket"))
    """),
    case("remove and rename", """
        for path in W["files"]:
            attempt(path, os.remove, path)
            attempt(path, os.rename, path, path + ".old")
            attempt(path, os.replace, __file__, path)
        for folder in W["folders"]:
            attempt(folder, os.rename, folder, folder + ".old")
            attempt(folder, os.rmdir, folder)
    """),
    case("remove whole trees", """
        import shutil
        for folder in (W["project"], W["home"], "/tmp/planted", "/var/tmp/planted"):
            shutil.rmtree(folder, ignore_errors=True)
    """),
    case("exchange files", """
        for path in W["files"]:
            attempt(path, syscall, 316 if _X86 else 276, -100, path.encode(), -100,
                    __file__.encode(), 2)
    """),
    case("modes, owners, times", """
        for path in W["files"] + W["folders"]:
            attempt(path + " chmod", os.chmod, path, 0o777)
            attempt(path + " chown", os.chown, path, os.getuid(), os.getgid())
            attempt(path + " lchown", os.lchown, path, os.getuid(), os.getgid())
            attempt(path + " utime", os.utime, path, (1, 1))
            attempt(path + " utime now", os.utime, path)
            attempt(path + " setxattr", os.setxattr, path, "user.egcfg", b"x")
            attempt(path + " truncate", os.truncate, path, 0)
    """),
    case("modes, owners, times by descriptor", """
        import fcntl
        for path in W["readable"]:
            descriptor = os.open(path, os.O_RDONLY)
            attempt(path + " fchmod", os.chmod, descriptor, 0o777)
            attempt(path + " fchown", os.chown, descriptor, os.getuid(), os.getgid())
            attempt(path + " futimens", os.utime, descriptor, (1, 1))
            attempt(path + " fsetxattr", os.setxattr, descriptor, "user.egcfg", b"x")
            attempt(path + " flags", fcntl.ioctl, descriptor, 0x40086602, b"\\x10" + bytes(7))
            os.close(descriptor)
    """),
    case("modes by the newest system calls", """
        for path in W["files"]:
            name = path.encode()
            attempt("fchmodat2", syscall, 452, -100, name, 0o777, 0)
            attempt("setxattrat", syscall, 463, -100, name, 0, b"user.x", bytes(16), 16)
            attempt("removexattrat", syscall, 466, -100, name, 0, b"user.kept")
            attempt("file_setattr", syscall, 469, -100, name, bytes(32), 24, 0)
            attempt("futimesat", syscall, 261 if _X86 else -1, -100, name, 0)
            attempt("utime", syscall, 132 if _X86 else -1, name, 0)
    """),
    case("reopen a read-only descriptor for writing", """
        for path in W["readable"]:
            for flags in (os.O_RDONLY, os.O_PATH):
                descriptor = os.open(path, flags)
                attempt(path, write, "/proc/self/fd/%d" % descriptor)
                os.close(descriptor)
    """),
    case("shared writable mapping of a project file", """
        import mmap
        for path in W["readable"]:
            descriptor = os.open(path, os.O_RDONLY)
            attempt(path, mmap.mmap, descriptor, 1, mmap.MAP_SHARED, mmap.PROT_WRITE)
            os.close(descriptor)
    """),
    case("devices of its own", """
        import stat
        for i, (major, minor) in enumerate(((1, 1), (1, 3), (254, 0), (8, 0))):
            for folder in ("/tmp", os.environ.get("TMPDIR", "/tmp"), W["project"], "/dev/shm"):
                attempt(folder, os.mknod, "%s/dev%d" % (folder, i), stat.S_IFCHR | 0o666,
                        os.makedev(major, minor))
    """),
    case("locks on project files end with the run", """
        import fcntl
        for path in W["readable"]:
            descriptor = os.open(path, os.O_RDONLY)
            tried(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            tried(fcntl.fcntl, descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        if not tried(os.fork):
            time.sleep(60)
    """),
    case("bytecode and caches beside the project's files", """
        import py_compile
        attempt("bytecode", py_compile.compile, __file__, doraise=True)
        attempt("folder", os.mkdir, os.path.join(W["project"], "__pycache__"))
        attempt("cache", os.mkdir, os.path.join(W["project"], ".pytest_cache"))
    """),
    case("the interpreter's and the runner's files", """
        import pytest, json, encodings
        modules = (pytest.__file__, json.__file__, encodings.__file__)
        for path in (*modules, W["runner"], sys.executable):
            attempt(path, write, path)
            attempt(path, os.chmod, path, 0o777)
            attempt(path, os.remove, path)
            attempt(path, write, path + ".pth", os.O_WRONLY | os.O_CREAT)
    """),
    case("settings of the kernel", """
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                     "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger",
                     "/proc/sys/kernel/hostname", "/proc/sys/fs/binfmt_misc/register",
                     "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs"):
            attempt(path, os.open, path, os.O_WRONLY)
    """),
    case("fill the temporary folder with bytes", """
        import tempfile
        block = b"x" * (4 << 20)
        def fill():
            for i in range(64):
                with open(os.path.join(tempfile.gettempdir(), "fill%d" % i), "wb") as stream:
                    stream.write(block)
        attempt("256 MiB of files", fill)
    """, Expect.HELD_OR_ENDED, is_heavy=True),
    case("fill the temporary folder with inodes", """
        import tempfile
        def fill():
            folder = tempfile.gettempdir()
            for i in range(40_000):
                os.close(os.open(folder + "/i%d" % i, os.O_CREAT | os.O_WRONLY))
        attempt("40,000 files", fill)
    """, Expect.HELD_OR_ENDED, is_heavy=True),
    case("fill every place that takes bytes", """
        block = b"x" * (1 << 20)
        def fill(folder):
            for i in range(128):
                with open(os.path.join(folder, "fill%d" % i), "wb") as stream:
                    stream.write(block)
        for folder in ("/dev/shm", "/dev", "/run", "/var/tmp", "/", "/run/lock", "/dev/mqueue", "/home"):
            attempt(folder, fill, folder)
    """),
    case("one huge sparse file", """
        import tempfile
        with open(os.path.join(tempfile.gettempdir(), "sparse"), "wb") as stream:
            attempt("truncate to 1 TiB", os.ftruncate, stream.fileno(), 1 << 40)
            attempt("fallocate 1 GiB", os.posix_fallocate, stream.fileno(), 0, 1 << 30)
    """),
    case("folders too deep to remove by name", """
        import tempfile
        def dig():
            os.chdir(tempfile.gettempdir())
            for _ in range(1500):
                os.mkdir("d" * 50)
                os.chdir("d" * 50)
        tried(dig)
        os.chdir("/")
    """, Expect.HELD_OR_ENDED, is_heavy=True),
    case("files that are hard to remove", """
        import fcntl, tempfile
        folder = tempfile.mkdtemp()
        for name in (b"\\xff\\xfe", b"new\\nline", b"-rf", b" "):
            tried(write, os.path.join(os.fsencode(folder), name), os.O_WRONLY | os.O_CREAT)
        kept = os.path.join(folder, "kept")
        tried(write, kept, os.O_WRONLY | os.O_CREAT)
        tried(lambda: fcntl.ioctl(os.open(kept, os.O_RDONLY), 0x40086602, b"\\x30" + bytes(7)))
        tried(os.chmod, folder, 0)
        tried(os.chmod, tempfile.gettempdir(), 0)
    """, is_heavy=True),
    case("the temporary folder becomes a link to the home", """
        import shutil, tempfile
        own = tempfile.gettempdir()
        for place in {own, os.path.dirname(own), os.getcwd()}:
            tried(os.rename, place, place + ".gone")
            tried(os.symlink, W["home"], place)
        tried(os.symlink, W["home"], os.path.join(own, "home"))
        tried(os.symlink, W["project"], os.path.join(own, "pytest-of-root"))
    """, is_heavy=True),
    case("the deadline meets a folder that is being filled", """
        import tempfile
        def churn():
            folder, i = tempfile.gettempdir(), 0
            while True:
                i += 1
                tried(os.mkdir, "%s/%d" % (folder, i % 1000))
                tried(os.rmdir, "%s/%d" % (folder, (i + 500) % 1000))
        churn()
    """, Expect.DEADLINE, is_heavy=True),
    case("modes and owners of devices and of inherited files", """
        import stat
        def same_mode(path):
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))
        for path in ("/dev/null", "/dev/random", "/dev/urandom", "/dev/fd/0"):
            attempt(path, same_mode, path)
            attempt(path, os.utime, path)
            attempt(path, os.setxattr, path, "user.x", b"x")
    """),
    case("attributes of hidden files", """
        for path in W["secrets"]:
            attempt("value of " + path, os.getxattr, path, "user.kept")
            attempt("list of " + path, os.listxattr, path)
    """),
    case("mounts of its own", """
        def mount(kind, place):
            if _libc.mount(kind, place.encode(), kind, 0, None) == -1:
                raise OSError("refused")
        for kind in (b"tmpfs", b"proc", b"sysfs", b"devtmpfs", b"overlay"):
            for place in ("/tmp", W["project"], "/"):
                attempt("mount", mount, kind, place)
        def remount():
            if _libc.mount(None, W["project"].encode(), None, 32 | 4096, None) == -1:
                raise OSError("refused")
        attempt("remount for writing", remount)
        def bind():
            if _libc.mount(b"/", b"/tmp", None, 4096, None) == -1:
                raise OSError("refused")
        attempt("bind", bind)
        def unmount():
            if _libc.umount2(W["project"].encode(), 2) == -1:
                raise OSError("refused")
        attempt("unmount", unmount)
    """),
)  # fmt: skip
