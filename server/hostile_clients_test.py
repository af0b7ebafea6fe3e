#!/usr/bin/env python3
"""Clients that send garbage, or too much, or nothing, or never read: whoever else works with the server
notices nothing."""

import array
import json
import os
import random
import resource
import select
import socket
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli/integration"))
from tracing import DEADLINE, TracingTest, main

MOST = 64 << 10  # bytes of a message
CLIENTS = 1000


class HostileClients(TracingTest):
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

    def server_pid(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(self.path("server.d/server"))
        greeting = json.loads(client.recv(MOST))
        client.close()
        return greeting["pid"]

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


if __name__ == "__main__":
    main()
