"""Attacks by signals: on everything, the parent, others; and runs that no signal moves."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

OTHERS = 'for pid in {os.getppid(), W["driver"], W["canary"], W["sibling"]} - {0, 1, os.getpid()}:'

CASES = (
    case("kill everything", """
        tried(os.kill, -1, signal.SIGKILL)
    """, is_heavy=True),
    case("kill everything from a child", """
        in_child(os.kill, -1, signal.SIGKILL)
    """, Expect.NOT_PASSED, is_heavy=True),
    case("stop everything", """
        tried(os.kill, -1, signal.SIGSTOP)
        time.sleep(60)
    """, Expect.DEADLINE),
    case("kill its group", """
        os.kill(0, signal.SIGKILL)
    """, Expect.INCONCLUSIVE),
    case("stop its group", """
        os.kill(0, signal.SIGSTOP)
        time.sleep(60)
    """, Expect.INCONCLUSIVE, never_ends=True),
    case("end its group and session politely", """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            for target in (0, -1, -os.getsid(0) or -1):
                tried(os.kill, target, number) if number != signal.SIGUSR1 else None
    """, Expect.NOT_PASSED, never_ends=True),
    case("kill others by number", f"""
        {OTHERS}
            for number in (0, signal.SIGCONT, signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
                attempt("kill %d" % pid, os.kill, pid, number)
    """),
    case("kill the parent, whoever it is", """
        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
            tried(os.kill, os.getppid(), number)
        time.sleep(0.3)
    """, Expect.NOT_PASSED),
    case("kill the first process", """
        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
            tried(os.kill, 1, number)
        time.sleep(0.3)
    """, Expect.NOT_PASSED),
    case("kill neighbours by guessing", """
        def sweep():
            for pid in range(2, 2000):
                if pid != os.getpid():
                    tried(os.kill, pid, signal.SIGKILL)
        sweep()
    """, Expect.NOT_PASSED, is_heavy=True),
    case("kill by a shell", """
        import subprocess
        for pid in (os.getppid(), W["driver"], W["canary"]):
            tried(subprocess.run, ["sh", "-c", "kill -9 %d" % pid])
    """, Expect.NOT_PASSED),
    case("signals by other calls", f"""
        info = bytes(128)
        {OTHERS}
            attempt("tkill", syscall, 200 if _X86 else 130, pid, 15)
            attempt("tgkill", syscall, 234 if _X86 else 131, pid, pid, 15)
            attempt("rt_sigqueueinfo", syscall, 129 if _X86 else 138, pid, 15, info)
            attempt("rt_tgsigqueueinfo", syscall, 297 if _X86 else 240, pid, pid, 15, info)
            denied("pidfd_open", 434, 434, pid, 0)
            denied("pidfd_getfd", 438, 438, 0, 0, 0)
            denied("pidfd_send_signal", 424, 424, 0, 15, 0, 0)
    """),
    case("signals by a descriptor's owner", f"""
        import fcntl, socket
        left, right = socket.socketpair()
        {OTHERS}
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGIO):
                tried(fcntl.fcntl, left, fcntl.F_SETOWN, pid)
                tried(fcntl.fcntl, left, fcntl.F_SETOWN, -pid)
                tried(fcntl.fcntl, left, 10, int(number))
                tried(fcntl.fcntl, left, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
                tried(right.send, b"x")
        time.sleep(0.2)
    """),
    case("signals by a pipe's owner of everybody", """
        import fcntl
        reader, writer = os.pipe()
        tried(fcntl.fcntl, reader, 10, int(signal.SIGKILL))
        for owner in (-1, -os.getpgrp(), W["driver"], -W["driver"]):
            tried(fcntl.fcntl, reader, fcntl.F_SETOWN, owner)
            tried(fcntl.fcntl, reader, fcntl.F_SETFL, os.O_ASYNC)
            tried(os.write, writer, b"x")
        time.sleep(0.2)
    """, Expect.NOT_PASSED),
    case("deaf to every signal", """
        for number in range(1, 65):
            tried(signal.signal, number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        while True:
            pass
    """, Expect.DEADLINE),
    case("stops itself", """
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60)
    """, Expect.DEADLINE),
    case("suspends itself from the terminal", """
        os.kill(os.getpid(), signal.SIGTSTP)
        time.sleep(60)
    """, Expect.DEADLINE),
    case("kills itself", """
        os.kill(os.getpid(), signal.SIGKILL)
    """, Expect.INCONCLUSIVE),
    case("ends itself by SIGTERM", """
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    """, Expect.INCONCLUSIVE),
    case("interrupts itself", """
        signal.raise_signal(signal.SIGINT)
        return -1
    """, Expect.NOT_PASSED),
    case("a storm of timers", """
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 1e-5, 1e-5)
        while True:
            pass
    """, Expect.DEADLINE),
    case("outlives the limit of processor time", """
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        while True:
            pass
    """, Expect.DEADLINE),
    case("terminal of the parent", """
        import fcntl
        for name in ("/dev/tty", "/dev/console", "/dev/pts/0", "/dev/pts/1", "/dev/tty0"):
            descriptor = tried(os.open, name, os.O_RDWR | os.O_NONBLOCK)
            if isinstance(descriptor, int):
                attempt("TIOCSTI " + name, fcntl.ioctl, descriptor, 0x5412, b"x")
                attempt("TIOCLINUX " + name, fcntl.ioctl, descriptor, 0x541C, b"\\x03")
                tried(os.write, descriptor, b"written by the candidate")
        for descriptor in range(3):
            attempt("TIOCSTI", fcntl.ioctl, descriptor, 0x5412, b"x")
    """),
)  # fmt: skip
