"""Attacks by and on processes: bombs, orphans that outlive a run, other processes, rights."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

CASES = (
    case("fork bomb", """
        while True:
            tried(os.fork)
    """, Expect.INCONCLUSIVE, never_ends=True, is_heavy=True),
    case("fork bomb at import", """
        while True:
            tried(os.fork)
    """, Expect.INCONCLUSIVE, never_ends=True, at_import=True, is_heavy=True),
    case("fork bomb of shells", """
        import subprocess
        subprocess.run(["sh", "-c", "b() { b | b & }; b; sleep 60"])
        while True:
            pass
    """, Expect.NOT_PASSED, never_ends=True, is_heavy=True),
    case("bomb of detached daemons", """
        def daemonize():
            while True:
                if not tried(os.fork):
                    tried(os.setsid)
                    for number in range(1, 65):
                        tried(signal.signal, number, signal.SIG_IGN)
        daemonize()
    """, Expect.INCONCLUSIVE, never_ends=True, is_heavy=True),
    case("bomb of vfork and exec", """
        import subprocess
        children = []
        while True:
            children.append(tried(subprocess.Popen, ["sleep", "60"]))
    """, Expect.INCONCLUSIVE, never_ends=True, is_heavy=True),
    case("thread bomb", """
        import threading
        while True:
            tried(lambda: threading.Thread(target=time.sleep, args=(60,), daemon=True).start())
    """, Expect.INCONCLUSIVE, never_ends=True, is_heavy=True),
    case("thread bomb of busy threads", """
        import threading
        def spin():
            while True:
                pass
        for _ in range(500):
            tried(lambda: threading.Thread(target=spin).start())
        return -1
    """, Expect.NOT_PASSED, never_ends=True, is_heavy=True),
    case("zombies", """
        def breed():
            for _ in range(2000):
                if tried(os.fork) == 0:
                    os._exit(0)
        breed()
    """, is_heavy=True),
    case("daemon that outlives the run", """
        if tried(os.fork) == 0:
            tried(os.setsid)
            if tried(os.fork) == 0:
                tried(os.closerange, 0, 256)
                for number in range(1, 65):
                    tried(signal.signal, number, signal.SIG_IGN)
                _libc.prctl(1, 0, 0, 0, 0)
                time.sleep(600)
            os._exit(0)
    """),
    case("daemon that keeps the run's descriptors", """
        if tried(os.fork) == 0:
            tried(os.setsid)
            time.sleep(600)
    """),
    case("daemon at import", """
        if tried(os.fork) == 0:
            tried(os.setsid)
            time.sleep(600)
    """, at_import=True),
    case("subprocess that nobody waits for", """
        import subprocess
        tried(subprocess.Popen, ["sleep", "600"], start_new_session=True)
        tried(subprocess.Popen, [sys.executable, "-c",
            "import os, time\\nos.setsid() if os.getpgrp() != os.getpid() else 0\\ntime.sleep(600)"])
    """),
    case("the run's process ends, its child goes on", """
        if tried(os.fork) == 0:
            tried(os.setsid)
            time.sleep(600)
        os._exit(0)
    """, Expect.INCONCLUSIVE),
    case("the run's process is killed, its child goes on", """
        if tried(os.fork) == 0:
            tried(os.setsid)
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)
    """, Expect.INCONCLUSIVE),
    case("child that takes orphans in", """
        _libc.prctl(36, 1, 0, 0, 0)
        if tried(os.fork) == 0:
            if tried(os.fork) == 0:
                tried(os.setsid)
                time.sleep(600)
            os._exit(0)
    """),
    case("without the signal of the parent's death", """
        _libc.prctl(1, 0, 0, 0, 0)
        while True:
            time.sleep(1)
    """, Expect.DEADLINE),
    case("changes its names", """
        _libc.prctl(15, b"sshd", 0, 0, 0)
        if tried(os.fork) == 0:
            time.sleep(600)
    """),
    case("becomes another program", """
        os.execv("/bin/sleep", ["sleep", "60"])
    """, Expect.INCONCLUSIVE, never_ends=True),
    case("becomes another program that ends well", """
        os.execv("/bin/true", ["true"])
    """, Expect.INCONCLUSIVE),
    case("becomes a Python that says it passed", """
        code = "import os; r = b'{\\"n_passed\\": 1, \\"n_tests\\": 1}'\\nfor fd in range(3, 256):\\n"
        code += "  try: os.write(fd, r)\\n  except OSError: pass"
        os.execv(sys.executable, [sys.executable, "-c", code])
    """, Expect.INCONCLUSIVE),
    case("programs with the set-user bit", """
        import subprocess
        for command in (["su", "-c", "true"], ["sudo", "-n", "true"], ["mount"], ["passwd", "-S"],
                        ["newuidmap"], ["pkexec", "true"]):
            tried(subprocess.run, command, timeout=3, stdin=subprocess.DEVNULL)
        if status("NoNewPrivs") not in ("1", None) or _libc.prctl(39, 0, 0, 0, 0) == 0:
            escaped("may gain privileges")
    """),
    case("capabilities and ids", """
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            if int(status(name) or "0", 16) != 0:
                escaped("%s %s" % (name, status(name)))
        attempt("setgroups", os.setgroups, [0, 27])
        if os.getuid() != 0:
            attempt("setuid", os.setuid, 0)
            attempt("setgid", os.setgid, 0)
            attempt("setresuid", os.setresuid, 0, 0, 0)
        else:
            attempt("setuid", os.setuid, 1)
        denied("capset", 126, 91, 0, 0)
    """),
    case("memory of other processes", """
        for pid in {os.getppid(), W["driver"], W["canary"], W["sibling"], 1} - {os.getpid()}:
            if pid > 0:
                attempt("mem of %d" % pid, os.open, "/proc/%d/mem" % pid, os.O_RDWR)
                attempt("maps of %d" % pid, read, "/proc/%d/maps" % pid)
                denied("ptrace attach", 101, 117, 16, pid, 0, 0)
                denied("ptrace seize", 101, 117, 0x4206, pid, 0, 0)
                denied("process_vm_readv", 310, 270, pid, 0, 0, 0, 0, 0)
                denied("process_vm_writev", 311, 271, pid, 0, 0, 0, 0, 0)
                denied("kcmp", 312, 272, pid, os.getpid(), 0, 0, 0)
    """),
    case("descriptors of other processes", """
        for pid in {os.getppid(), W["driver"], W["canary"], W["sibling"], 1} - {os.getpid()}:
            for number in range(24):
                path = "/proc/%d/fd/%d" % (pid, number)
                seeks_secret(path, read, path) if number > 2 and os.path.isfile(path) else None
                attempt(path, os.open, path, os.O_WRONLY | os.O_NONBLOCK)
    """),
    case("what other processes are called and know", """
        names = tried(os.listdir, "/proc")
        pids = [str(W["driver"]), str(W["canary"]), str(os.getppid())]
        for pid in names if isinstance(names, list) else pids:
            if pid.isdigit():
                for name in ("environ", "stack", "auxv", "syscall"):
                    path = "/proc/%s/%s" % (pid, name)
                    seeks_secret(path, read, path)
                seeks_secret(pid, read, "/proc/%s/cmdline" % pid)
        seeks_secret("environment", lambda: os.environ)
    """),
    case("priorities and limits of other processes", """
        import resource
        for pid in (os.getppid(), W["driver"], W["canary"], W["sibling"]):
            if pid in (0, os.getpid()):
                continue
            attempt("prlimit %d" % pid, resource.prlimit, pid, resource.RLIMIT_NOFILE, (16, 16))
            attempt("prlimit get %d" % pid, resource.prlimit, pid, resource.RLIMIT_NOFILE)
            attempt("renice %d" % pid, os.setpriority, os.PRIO_PROCESS, pid, 19)
            attempt("affinity %d" % pid, os.sched_setaffinity, pid, {0})
            attempt("scheduler %d" % pid, os.sched_setscheduler, pid, os.SCHED_IDLE,
                    os.sched_param(0))
            attempt("oom %d" % pid, write, "/proc/%d/oom_score_adj" % pid)
            attempt("ioprio %d" % pid, syscall, 251 if _X86 else 30, 1, pid, 3 << 13)
            attempt("timerslack %d" % pid, write, "/proc/%d/timerslack_ns" % pid)
        attempt("renice the user", os.setpriority, os.PRIO_USER, os.getuid(), 19)
        tried(os.setpriority, os.PRIO_PGRP, 0, 19)
    """),
    case("its own priority", """
        attempt("nice", os.setpriority, os.PRIO_PROCESS, 0, -20)
        attempt("real time", os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(50))
        attempt("io", syscall, 251 if _X86 else 30, 1, 0, 1 << 13)
        def spare():
            with open("/proc/self/oom_score_adj", "w") as stream:
                stream.write("-1000")
        attempt("spared by the out-of-memory killer", spare)
    """),
    case("its own limits", """
        import resource
        for name in ("RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"):
            kind = getattr(resource, name)
            soft, hard = resource.getrlimit(kind)
            if hard == resource.RLIM_INFINITY:
                escaped(name + " is unlimited")
            attempt(name, resource.setrlimit, kind, (hard + 1, hard + 1))
            attempt(name + " off", resource.setrlimit, kind, (-1, -1))
    """),
    case("process groups of others", """
        for pid in (os.getppid(), W["driver"], W["canary"]):
            if pid:
                attempt("setpgid %d" % pid, os.setpgid, pid, os.getpid())
                attempt("join %d" % pid, os.setpgid, 0, pid)
    """),
)  # fmt: skip
