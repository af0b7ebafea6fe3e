#!/usr/bin/env python3
"""Clients that send garbage, or too much, or nothing, or never read: whoever else works with the server
notices nothing."""

import array
import errno
import json
import os
import random
import re
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../cli/integration"))
from tracing import DEADLINE, TracingTest, main

MOST = 64 << 10  # bytes of a message
CLIENTS = 1000


def version_of(header):
    with open(header, encoding="utf-8") as file:
        return int(re.search(r"kWireVersion = (\d+);", file.read()).group(1))


# engines/ptrace_compat/wire.h
MAGIC = 0x54505455
WIRE_VERSION = version_of(os.path.join(HERE, "../engines/ptrace_compat/wire.h"))
REPLY = "<QiIq"  # serial, error, size, result
OP_PTRACE, OP_TRACEME, OP_WAIT, OP_CANCEL, OP_SIGCHLD, OP_READ, OP_WRITE, OP_BYE = range(8)


class Hostile(TracingTest):
    def setUp(self):
        super().setUp()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
        # The client that must not notice anything.
        self.program, self.pid = self.start_traced_program("-o", self.path("log"))
        self.asked = 0
        self.check()

    def check(self):
        """The traced program, its log and another command work."""
        self.ask(self.program, "main")
        self.asked += 1
        self.assertEqual(set(self.ps(self.pid)), {self.pid, *self.ps(self.pid)})

    def tearDown(self):
        self.check()
        self.program.stdin.close()
        self.assertEqual(self.program.wait(timeout=DEADLINE), 0, self.program.stderr.read())
        # Two threads and the main one, each time.
        self.assertEqual(self.read("log").count(" getppid("), 3 * self.asked)

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(DEADLINE)
        client.connect(self.path("server.d/server"))
        self.addCleanup(client.close)
        greeting = json.loads(client.recv(MOST))
        self.assertEqual(greeting["reply"], "greeting")
        return client

    def hello(self):
        client = self.connect()
        with open("/dev/null", "w", encoding="utf-8") as null:
            socket.send_fds(client, [b'{"do":"hello","protocol":1,"version":"x","command":"hostile"}'],
                            [null.fileno()])
        return client

    def send(self, client, message, fds=()):
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        socket.send_fds(client, [text], list(fds))

    def answer(self, client):
        """All replies up to the one that ends an answer, or the end of the connection."""
        replies = []
        while True:
            try:
                text = client.recv(MOST)
            except ConnectionResetError:
                text = b""
            if not text:
                return replies
            replies.append(json.loads(text))
            if replies[-1]["reply"] in ("done", "error"):
                return replies

    def expect_thrown_out(self, client, *messages):
        for message in messages:
            self.send(client, message)
        replies = self.answer(client)
        self.assertEqual(replies[-1]["reply"], "error", replies)
        self.assertEqual(self.answer(client), [])  # the end

    def server_pid(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(self.path("server.d/server"))
        greeting = json.loads(client.recv(MOST))
        client.close()
        return greeting["pid"]


class HostileClients(Hostile):
    def test_garbage(self):
        messages = [b"\0", b"x", b"{", b"[]", b"{}", b"\xff\xfe", b'{"do":7}', b'{"do":"fly"}',
                    b"[" * 60000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
                    {"do": "list", "targets": [-1]}, {"do": "list", "targets": [1 << 40]},
                    {"do": "list", "targets": [1] * 5000}, {"do": "list", "targets": {}},
                    {"do": "list", "target": [1]}, {"do": "make", "spec": 3},
                    {"do": "make", "spec": "syscall_log", "files": ["output"]},
                    {"do": "make", "spec": "syscall_log", "files": [""] * 40},
                    {"do": "make", "spec": "./x.so", "plugin": True},
                    {"do": "hello", "protocol": 1}]
        for message in messages:
            self.expect_thrown_out(self.hello(), message)
            self.expect_thrown_out(self.connect(), message)
        self.expect_thrown_out(self.connect(), {"do": "list"})
        source = random.Random(17)
        for _ in range(200):
            client = self.hello()
            self.expect_thrown_out(client, source.randbytes(source.randrange(1, 2000)))

    def test_requests_that_make_no_sense(self):
        client = self.hello()
        for request in ({"do": "attach", "targets": [self.pid]}, {"do": "make", "spec": "none"},
                        {"do": "make", "spec": "syscall_log:output=/etc/passwd,x=y"},
                        {"do": "make", "spec": "/tmp/x.so"}, {"do": "stop"}, {"do": "make"}):
            self.send(client, request)
            self.assertEqual(self.answer(client)[-1]["reply"], "error", request)
        # A client has a bounded number of engines.
        for n in range(65):
            self.send(client, {"do": "make", "spec": "syscall_log"})
            self.assertEqual(self.answer(client)[-1]["reply"], "done" if n < 64 else "error")

    def test_more_engines_than_a_list_can_hold(self):
        clients = [self.hello() for _ in range(4)]
        for client in clients:
            for n in range(64):
                self.send(client, {"do": "make", "spec": "syscall_log:output=" + "x" * 15000})
                self.assertEqual(self.answer(client)[-1]["reply"], "done")
            self.send(client, {"do": "attach", "targets": [self.pid], "command": True})
            self.assertEqual(self.answer(client), [{"reply": "done", "number": 3}])
        thread = self.ps(self.pid)[self.pid]
        self.assertEqual(len(thread["engines"]) + thread["engines_left_out"], 4 * 64 + 1)
        self.assertIn("engines more", self.run_utrace("ps").stdout)

    def test_oversize(self):
        client = self.hello()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.expect_thrown_out(client, b" " * (MOST + 1))
        # As long as allowed is no error as such.
        client = self.hello()
        self.send(client, b" " * (MOST - 13) + b'{"do":"list"}')
        self.assertEqual(self.answer(client)[-1]["reply"], "done")

    def test_descriptors_that_nobody_asked_for(self):
        with open("/dev/null", "rb") as null:
            server = self.server_pid()
            before = len(os.listdir(f"/proc/{server}/fd"))
            for count in (1, 2, 16, 17, 100, 253):
                client = self.hello()
                self.send(client, {"do": "list"}, [null.fileno()] * count)
                self.assertEqual(self.answer(client)[-1]["reply"], "error", count)
                self.assertEqual(self.answer(client), [])
                client.close()
            self.check()
            self.assertLessEqual(len(os.listdir(f"/proc/{server}/fd")), before)

    def test_half_closed_and_gone(self):
        for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            for client in (self.connect(), self.hello()):
                client.shutdown(how)
                if how == socket.SHUT_WR:
                    self.assertEqual(self.answer(client), [])
        for n in range(300):
            client = self.hello() if n % 2 else self.connect()
            if n % 3:
                self.send(client, {"do": "make", "spec": "syscall_log"} if n % 2 else b"x")
            client.close()

    def test_a_client_that_never_reads(self):
        client = self.hello()
        client.setblocking(False)
        sent = 0
        # As many as the server takes: it reads a request only when the one before is answered.
        while select.select([], [client], [], 1)[1]:
            try:
                self.send(client, {"do": "list"})
            except BlockingIOError:
                break
            sent += 1
        self.assertGreater(sent, 1)
        self.check()

    def test_a_thousand_clients(self):
        silent = [self.connect() for _ in range(CLIENTS // 2)]
        greeted = [self.hello() for _ in range(CLIENTS // 2)]
        self.check()
        for client in greeted[::50]:
            self.send(client, {"do": "list", "targets": [self.pid]})
            self.assertEqual(self.answer(client)[-1], {"reply": "done", "number": 3})
        self.check()
        for client in silent + greeted:
            client.close()

    def test_more_than_fit_close_the_oldest_silent(self):
        greeted = self.hello()
        silent = [self.connect()]
        # The server closes the first of them once there are too many.
        while not select.select([silent[0]], [], [], 0)[0]:
            silent.append(self.connect())
            self.assertLess(len(silent), 10000)
        self.assertEqual(self.answer(silent[0]), [])
        self.assertGreaterEqual(len(silent), 1000)
        self.send(greeted, {"do": "list"})
        self.assertEqual(self.answer(greeted)[-1]["reply"], "done")
        self.check()
        for client in silent:
            client.close()


class HostileTracers(Hostile):
    """Connections of tracing threads, whose packets are not JSON."""

    def hello_of_tracer(self, magic=MAGIC, version=WIRE_VERSION, pid=None, tid=None, more=b"",
                        fds=()):
        client = self.connect()
        pid = os.getpid() if pid is None else pid
        tid = threading.get_native_id() if tid is None else tid
        self.send(client, struct.pack("<IIii", magic, version, pid, tid) + more, fds)
        return client

    def tracer(self):
        client = self.hello_of_tracer()
        self.assertEqual(client.recv(MOST), struct.pack(REPLY, 0, 0, 0, 0))
        return client

    def expect_end(self, client):
        """It may say why, and then it closes."""
        try:
            while client.recv(MOST):
                pass
        except ConnectionResetError:
            pass

    def error(self, client, serial=7):
        """That of the next reply."""
        reply = client.recv(MOST)
        got, error, size, _ = struct.unpack_from(REPLY, reply)
        self.assertEqual((got, size), (serial, len(reply) - struct.calcsize(REPLY)))
        return error

    def ptrace(self, client, request, pid, data=0, in_size=0, out_size=0, body=b"", serial=7):
        self.send(client, struct.pack("<IIQiiQQII", OP_PTRACE, 0, serial, request, pid, 0, data,
                                      in_size, out_size) + body)
        return self.error(client, serial)

    def test_hellos_that_lie(self):
        for client in (self.hello_of_tracer(pid=self.pid), self.hello_of_tracer(pid=1),
                       self.hello_of_tracer(pid=-1), self.hello_of_tracer(more=b"x"),
                       self.hello_of_tracer(version=WIRE_VERSION + 1)):
            self.expect_end(client)
        client = self.connect()
        self.send(client, struct.pack("<I", MAGIC))
        self.expect_end(client)
        with open("/dev/null", "rb") as null:
            before = len(os.listdir(f"/proc/{self.server_pid()}/fd"))
            for count in (1, 16, 253):
                self.expect_end(self.hello_of_tracer(fds=[null.fileno()] * count))
            self.check()
            self.assertLessEqual(len(os.listdir(f"/proc/{self.server_pid()}/fd")), before + 1)
        # One that said the other hello is no tracer.
        self.expect_thrown_out(self.hello(), struct.pack("<IIii", MAGIC, WIRE_VERSION, os.getpid(),
                                                         os.getpid()))

    def test_garbage(self):
        source = random.Random(19)
        for _ in range(100):
            client = self.tracer()
            client.setblocking(False)
            try:
                for _ in range(10):
                    self.send(client, source.randbytes(source.randrange(1, 2000)))
            except (BrokenPipeError, ConnectionResetError, BlockingIOError):
                pass
            client.close()
        self.check()

    def test_requests_cut_short_and_with_sizes_that_lie(self):
        whole = {OP_PTRACE: "<iiQQII", OP_TRACEME: "<iiQQ", OP_WAIT: "<iiIi", OP_CANCEL: "<iiQQ",
                 OP_SIGCHLD: "<iiQQ", OP_READ: "<iIQ", OP_WRITE: "<iIQ"}
        for op, rest in whole.items():
            for size in range(0, struct.calcsize(rest)):
                client = self.tracer()
                self.send(client, struct.pack("<IIQ", op, 0, 7) + b"\0" * size)
                client.shutdown(socket.SHUT_WR)
                self.expect_end(client)
        client = self.tracer()
        everything = 0xffffffff
        for request in (1, 4, 12, 13, 0x4202, 0x4203, 0x4204, 0x4205, 0x4209, 0x420a, 0x420c, 0x420e):
            # Nothing of it is a tracee of this thread.
            self.assertEqual(self.ptrace(client, request, self.pid, in_size=everything,
                                         out_size=everything), errno.ESRCH)
        for op in (OP_READ, OP_WRITE):
            self.send(client, struct.pack("<IIQiIQ", op, 0, 7, self.pid, everything, 0))
            self.assertNotEqual(self.error(client), 0)

    def test_targets_that_must_not_be_traced(self):
        client = self.tracer()
        seize = 0x4206
        self.assertEqual(self.ptrace(client, seize, self.server_pid()), errno.EPERM)
        self.assertEqual(self.ptrace(client, seize, os.getpid()), errno.EPERM)
        self.assertEqual(self.ptrace(client, seize, self.pid, data=1 << 40), errno.EIO)
        for pid in (0, -1, 1 << 30):
            self.assertEqual(self.ptrace(client, seize, pid), errno.ESRCH)

    def test_a_tracer_that_never_reads(self):
        client = self.tracer()
        client.setblocking(False)
        wait = struct.pack("<IIQiiIi", OP_WAIT, 0, 7, 0, 0, 1 | 4, 0)  # P_ALL, WNOHANG | WEXITED
        sent = 0
        # Until the server gives it up.
        try:
            while select.select([], [client], [], DEADLINE)[1]:
                self.send(client, wait)
                sent += 1
                self.assertLess(sent, 1000000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.assertGreater(sent, 1)
        self.check()

    def test_more_waits_than_anybody_needs(self):
        traced = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(traced.wait)
        self.addCleanup(traced.kill)
        client = self.tracer()
        self.assertEqual(self.ptrace(client, 0x4206, traced.pid), 0)
        for serial in range(100, 200):
            self.send(client, struct.pack("<IIQiiIi", OP_WAIT, 0, serial, 0, 0, 4, 0))
        self.assertEqual(self.ptrace(client, 0x4300, traced.pid, serial=164), errno.EAGAIN)
        self.check()
        # The thread lives on: without this it would keep its tracee.
        self.send(client, struct.pack("<IIQ", OP_BYE, 0, 7))
        self.expect_end(client)

    def test_many_tracers_that_are_gone_at_once(self):
        for n in range(300):
            client = self.tracer() if n % 2 else self.hello_of_tracer()
            if n % 3 == 0:
                self.send(client, struct.pack("<IIQ", OP_BYE, 0, 7))
            client.close()
        self.check()


if __name__ == "__main__":
    main()
