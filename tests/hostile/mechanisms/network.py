"""Attacks over the network and local sockets; the host listens and counts what arrives."""

from __future__ import annotations

from tests.hostile.cases import Expect, case

CASES = (
    case("TCP to a listener of the host", """
        import socket
        for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6),
                             ("0.0.0.0", socket.AF_INET), ("::ffff:127.0.0.1", socket.AF_INET6)):
            def connect():
                socket.socket(family).connect((host, W["tcp"]))
            attempt(host, connect)
    """),
    case("TCP at import", """
        import socket
        attempt("connect", socket.create_connection, ("127.0.0.1", W["tcp"]), 2)
    """, at_import=True),
    case("TCP in a subprocess", """
        import subprocess
        code = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)"
        attempt("connect", subprocess.check_call, [sys.executable, "-c", code, str(W["tcp"])])
    """),
    case("TCP without connect", """
        import socket
        def fast_open():
            one = socket.socket()
            one.settimeout(2)
            one.sendto(b"x", 0x20000000, ("127.0.0.1", W["tcp"]))
        attempt("fast open", fast_open)
        def multipath():
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
            one.settimeout(2)
            one.connect(("127.0.0.1", W["tcp"]))
        attempt("MPTCP", multipath)
    """),
    case("UDP to a listener of the host", """
        import socket
        def send(host, family):
            socket.socket(family, socket.SOCK_DGRAM).sendto(W["kram"].encode(), (host, W["udp"]))
        tried(send, "127.0.0.1", socket.AF_INET)
        tried(send, "::1", socket.AF_INET6)
        tried(send, "255.255.255.255", socket.AF_INET)
    """),
    case("names of the network", """
        import socket
        for name in ("example.org", "localhost.localdomain.example"):
            attempt(name, socket.getaddrinfo, name, 80)
            attempt(name, socket.gethostbyname, name)
    """),
    case("local sockets by path", """
        import socket
        for path in W["sockets"]:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
                def connect():
                    socket.socket(socket.AF_UNIX, kind).connect(path)
                attempt(path, connect)
    """),
    case("local sockets by abstract name", """
        import socket
        def connect():
            socket.socket(socket.AF_UNIX).connect(W["abstract"].encode())
        attempt("stream", connect)
        def send():
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", W["abstract"].encode())
        attempt("datagram", send)
        pair = tried(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM)
        left, right = pair if isinstance(pair, tuple) else (None, None)
        for name in W["sockets"] + [W["abstract"], W["abstract_datagram"]] if left else []:
            attempt("through a pair: " + name, left.sendto, b"x", name.encode())
            attempt("pair connected: " + name, right.connect, name.encode())
    """),
    case("sockets of the system", """
        import socket
        for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket",
                     "/run/systemd/private", "/tmp/.X11-unix/X0", "/run/user/0/bus"):
            def connect():
                socket.socket(socket.AF_UNIX).connect(path)
            attempt(path, connect)
        attempt("abstract X", lambda: socket.socket(socket.AF_UNIX).connect(b"\\0/tmp/.X11-unix/X0"))
    """),
    case("listen", """
        import socket
        for host in ("127.0.0.1", "0.0.0.0"):
            def listen():
                one = socket.socket()
                one.bind((host, 0))
                one.listen()
            attempt(host, listen)
        attempt("abstract", lambda: socket.socket(socket.AF_UNIX).bind(b"\\0planted"))
    """),
    case("families of sockets", """
        import socket
        for family in range(1, 46):
            for kind in (1, 2, 3, 5):
                for protocol in (0, 1, 17, 255, 262):
                    attempt("socket(%d, %d, %d)" % (family, kind, protocol),
                            socket.socket, family, kind, protocol)
    """),
    case("pairs of sockets of other families", """
        import socket
        for family in range(2, 46):
            for kind in (1, 2, 5):
                attempt("socketpair(%d, %d)" % (family, kind), syscall, 53 if _X86 else 199,
                        family, kind, 0, (ctypes.c_int * 2)())
    """),
    case("rings of input and output", """
        denied("io_uring_setup", 425, 425, 4, bytes(120))
        denied("io_uring_enter", 426, 426, 3, 1, 0, 0, 0, 0)
        denied("io_uring_register", 427, 427, 3, 0, 0, 0)
        def asynchronous_io():
            context = ctypes.c_ulong()
            syscall(206 if _X86 else 0, 1, ctypes.byref(context))
        tried(asynchronous_io)
    """),
    case("descriptors that are already sockets", """
        import socket
        def adopt():
            for number in range(256):
                one = tried(socket.socket, fileno=number)
                if isinstance(one, socket.socket):
                    tried(one.sendto, b"x", ("127.0.0.1", W["tcp"]))
                    attempt("reconnect", one.connect, ("127.0.0.1", W["tcp"]))
                    one.detach()
        adopt()
    """),
    case("programs that talk", """
        import subprocess
        for command in (["curl", "-m2"], ["wget", "-T2", "-t1"], ["nc", "-w1"], ["bash", "-c"]):
            target = "http://127.0.0.1:%d/" % W["tcp"]
            if command[0] == "nc":
                command += ["127.0.0.1", str(W["tcp"])]
            elif command[0] == "bash":
                command += ["exec 3<>/dev/tcp/127.0.0.1/%d" % W["tcp"]]
            else:
                command += [target]
            attempt(command[0], subprocess.check_call, command, stdin=subprocess.DEVNULL)
    """),
    case("a connection that fails is not a failed test", """
        import socket
        socket.create_connection(("127.0.0.1", W["tcp"]), 2)
        return 3
    """, Expect.INCONCLUSIVE),
)  # fmt: skip
