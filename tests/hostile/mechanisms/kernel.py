"""Attacks on the kernel's surface: calls that no test needs must be refused before they are looked at."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

CASES = (
    case("new namespaces", """
        for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("pid", 0x20000000),
                           ("net", 0x40000000), ("ipc", 0x8000000), ("uts", 0x4000000),
                           ("cgroup", 0x2000000), ("time", 0x80)):
            denied("unshare " + name, 272, 97, flag)
            denied("user and " + name, 272, 97, flag | 0x10000000)
    """),
    case("clone into new namespaces", """
        for flag in (0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000, 0x2000000):
            def clone():
                pid = syscall(56 if _X86 else 220, flag | 17, 0, 0, 0, 0)
                if pid == 0:
                    os._exit(0)
            attempt("clone %x" % flag, clone)
        denied("clone3", 435, 435, 0, 0)
    """),
    case("other processes' namespaces", """
        for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            for pid in ("1", str(os.getppid()), str(W["driver"])):
                descriptor = tried(os.open, "/proc/%s/ns/%s" % (pid, name), os.O_RDONLY)
                if isinstance(descriptor, int):
                    attempt("setns " + name, syscall, 308 if _X86 else 268, descriptor, 0)
        denied("setns", 308, 268, -1, 0)
    """),
    case("mounts", """
        denied("mount", 165, 40, 0, 0, 0, 0, 0)
        denied("umount2", 166, 39, 0, 0)
        denied("pivot_root", 155, 41, 0, 0)
        denied("open_tree", 428, 428, -1, 0, 0)
        denied("move_mount", 429, 429, -1, 0, -1, 0, 0)
        denied("fsopen", 430, 430, 0, 0)
        denied("fsconfig", 431, 431, -1, 0, 0, 0, 0)
        denied("fsmount", 432, 432, -1, 0, 0)
        denied("fspick", 433, 433, -1, 0, 0)
        denied("mount_setattr", 442, 442, -1, 0, 0, 0, 0)
        denied("open_tree_attr", 467, 467, -1, 0, 0, 0, 0)
        denied("chroot", 161, 51, 0)
    """),
    case("keys", """
        denied("add_key", 248, 217, 0, 0, 0, 0, 0)
        denied("request_key", 249, 218, 0, 0, 0, 0)
        denied("keyctl", 250, 219, 0, 0, 0, 0, 0)
        tried(syscall, 248 if _X86 else 217, b"user", b"planted", b"x", 1, -4)
    """),
    case("programs in the kernel", """
        denied("bpf", 321, 280, 0, 0, 0)
        denied("perf_event_open", 298, 241, 0, 0, -1, -1, 0)
        denied("userfaultfd", 323, 282, 0)
        denied("fanotify_init", 300, 262, 0, 0)
        denied("memfd_secret", 447, 447, -1)
    """),
    case("debugging", """
        denied("ptrace", 101, 117, 0, 0, 0, 0)
        denied("process_vm_readv", 310, 270, os.getpid(), 0, 0, 0, 0, 0)
        denied("process_vm_writev", 311, 271, os.getpid(), 0, 0, 0, 0, 0)
        denied("kcmp", 312, 272, 0, 0, 0, 0, 0)
        denied("process_madvise", 440, 440, -1, 0, 0, 0, 0)
        denied("process_mrelease", 448, 448, -1, 0)
        denied("pidfd_getfd", 438, 438, -1, 0, 0)
    """),
    case("the machine", """
        denied("kexec_load", 246, 104, 0, 0, 0, 0)
        denied("kexec_file_load", 320, 294, -1, -1, 0, 0, 0)
        denied("init_module", 175, 105, 0, 0, 0)
        denied("finit_module", 313, 273, -1, 0, 0)
        denied("delete_module", 176, 106, 0, 0)
        denied("reboot", 169, 142, 0, 0, 0, 0)
        denied("swapon", 167, 224, 0, 0)
        denied("swapoff", 168, 225, 0)
        denied("acct", 163, 89, 0) if os.getuid() else None
        denied("quotactl", 179, 60, 0, 0, 0, 0)
        denied("quotactl_fd", 443, 443, -1, 0, 0, 0)
        denied("syslog", 103, 116, 10, 0, 0)
        denied("sethostname", 170, 161, 0, 0) if os.getuid() else None
        denied("setdomainname", 171, 162, 0, 0) if os.getuid() else None
        denied("vhangup", 153, 58)
        denied("iopl", 172, None, 0)
        denied("ioperm", 173, None, 0, 0, 0)
        denied("lookup_dcookie", 212, 18, 0, 0, 0)
    """),
    case("name of the machine", """
        import socket
        tried(socket.sethostname, "planted")
        tried(syscall, 171 if _X86 else 162, b"planted", 7)
    """),
    case("personality and old calls", """
        denied("personality", 135, 92, 0x0400000)
        denied("modify_ldt", 154, None, 0, 0, 0)
        denied("uselib", 134, None, 0)
        denied("ustat", 136, None, 0, 0)
        denied("sysfs", 139, None, 3, 0, 0)
        denied("_sysctl", 156, None, 0)
        denied("nfsservctl", 180, 42, 0, 0, 0)
    """),
    case("placing and moving of memory of others", """
        denied("migrate_pages", 256, 238, W["canary"], 0, 0, 0)
        denied("move_pages", 279, 239, W["canary"], 0, 0, 0, 0, 0)
    """),
    case("handles of files", """
        denied("name_to_handle_at", 303, 264, -100, 0, 0, 0, 0)
        denied("open_by_handle_at", 304, 265, -1, 0, 0)
    """),
    case("system calls of the future", """
        for number in (480, 500, 511, 600, 1000, 4095, 100_000, 1 << 29):
            try:
                syscall(number, 0, 0, 0, 0, 0, 0)
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.EPERM):
                    escaped(number)
            else:
                escaped(number)
    """),
    case("system calls of the x32 kind", """
        for number in (0, 39, 41, 56, 62, 101, 165, 272, 512, 521, 539, 547):
            if _X86:
                attempt("x32 %d" % number, syscall, 0x40000000 | number, 0, 0, 0, 0, 0)
        return -1 if not _escapes else held()
    """, Expect.NOT_PASSED),
    case("system calls of the 32-bit kind", """
        import mmap
        code = b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3"
        page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                         prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        if _X86 and ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0:
            escaped("getpid by int 0x80")
        return -1 if not _escapes else held()
    """, Expect.NOT_PASSED),
    case("system calls of the 32-bit kind: a socket", """
        import mmap
        code = (b"\\x53\\xb8\\x67\\x01\\x00\\x00\\xbb\\x02\\x00\\x00\\x00"
                b"\\xb9\\x01\\x00\\x00\\x00\\x31\\xd2\\xcd\\x80\\x5b\\xc3")
        page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                         prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        if _X86 and ctypes.CFUNCTYPE(ctypes.c_int)(address)() >= 0:
            escaped("socket by int 0x80")
        return -1 if not _escapes else held()
    """, Expect.NOT_PASSED),
    case("the filter cannot be taken off", """
        if status("Seccomp") not in ("2", None):
            escaped("no filter is in force")
        tried(_libc.prctl, 38, 0, 0, 0, 0)
        tried(_libc.prctl, 22, 0, 0, 0, 0)
        tried(_libc.prctl, 4, 1, 0, 0, 0)
        denied("unshare", 272, 97, 0x10000000)
        code = "import ctypes; l = ctypes.CDLL(None); raise SystemExit(0 if l.unshare(0x10000000) else 9)"
        import subprocess
        if getattr(tried(subprocess.run, [sys.executable, "-c", code]), "returncode", 0) == 9:
            escaped("not in force in a subprocess")
    """),
    case("the filter holds in threads", """
        import threading
        def inner():
            denied("unshare in a thread", 272, 97, 0x10000000)
            attempt("mount in a thread", syscall, 165 if _X86 else 40, 0, 0, 0, 0, 0)
            for path in W["secrets"]:
                seeks_secret(path, read, path)
        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()
    """),
    case("filters for sockets", """
        import socket, struct
        left, right = socket.socketpair()
        code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0xFFFF))
        program = struct.pack("@HP", 1, ctypes.addressof(code))
        attempt("classic BPF", left.setsockopt, socket.SOL_SOCKET, 26, program)
        attempt("reuse-port BPF", left.setsockopt, socket.SOL_SOCKET, 51, program)
    """),
    case("groups of control", """
        for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"):
            attempt(path, os.mkdir, path + "/planted")
            attempt(path, os.open, path + "/cgroup.procs", os.O_WRONLY)
            attempt(path, os.open, path + "/release_agent", os.O_WRONLY)
    """),
    case("devices", """
        import glob
        allowed = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console",
                   "stdin", "stdout", "stderr", "fd", "pts", "shm", "core"}
        for path in glob.glob("/dev/*"):
            if os.path.basename(path) not in allowed and not os.path.isdir(path):
                attempt(path, os.open, path, os.O_RDWR | os.O_NONBLOCK)
    """),
)  # fmt: skip
