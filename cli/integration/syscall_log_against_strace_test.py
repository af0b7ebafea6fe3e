#!/usr/bin/env python3
"""A program of typical calls under syscall_log and under strace: the same lines, arguments and all.

Also: what a run gives as JSON and as a Perfetto trace is as documented.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

UTRACE = os.path.abspath(sys.argv.pop(1))
PROGRAM = os.path.abspath(sys.argv.pop(1))
SCHEMA = os.path.abspath(sys.argv.pop(1))
DEADLINE = 120  # seconds; a guard against hanging

# How the two differ, by intention. Each: pattern, and what stands for it in both.
SAME = [
    # Lines that strace has no equal of.
    (r"^--- exec .*", ""),
    # Spaces before the result.
    (r"\)\s+= ", ") = "),
    (r"0x[0-9a-f]{5,}", "ADDRESS"),
    # The time that was left of a timeout; CPU times of the child.
    (r"left \{tv_sec=\d+, tv_nsec=\d+\}", "left TIME"),
    (r"si_[us]time=\d+( /\* [\d.]+ s \*/)?", "si_time=T"),
    # strace reads the mask from the signal's frame.
    (r"rt_sigreturn\(\{.*\}\)", "rt_sigreturn()"),
    (r" \(deleted\)>", ">(deleted)"),
]


def normal(line):
    for pattern, stands_for in SAME:
        line = re.sub(pattern, stands_for, line)
    # The order in which flags are named is a matter of taste.
    return re.sub(r"[A-Z0-9_x]+(?:\|[A-Za-z0-9_<]+)+",
                  lambda found: "|".join(sorted(found.group().split("|"))), line)


def by_thread(lines):
    """The lines of each thread, in the order in which the threads appear, with their ids replaced."""
    threads, halves = {}, {}
    for line in lines:
        tid, text = re.fullmatch(r"\[?(\d+)\]?\s+(.*)", line).groups()
        if text.endswith("<unfinished ...>"):
            halves[tid] = text[:-len("<unfinished ...>")].rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        if resumed:
            head = halves.pop(tid)
            text = head + (" " if head.endswith(",") else "") + resumed.group(1).lstrip()
        threads.setdefault(tid, []).append(text)
    for number, tid in enumerate(list(threads)):
        for lines_of_one in threads.values():
            lines_of_one[:] = [re.sub(rf"\b{tid}\b", f"THREAD{number}", text)
                               for text in lines_of_one]
    return [[text for text in map(normal, texts) if text] for texts in threads.values()]


def from_main(lines):
    """Without what the loader does, which depends on addresses: the program begins with getppid."""
    for index, line in enumerate(lines):
        if line.startswith("getppid("):
            return lines[index + 1:]
    return lines


def matches(schema, value, root):
    """Why the value is not as the schema says; None if it is."""
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].lstrip("#/").split("/"):
            target = target[part]
        return matches(target, value, root)
    if "oneOf" in schema:
        reasons = [matches(one, value, root) for one in schema["oneOf"]]
        return None if reasons.count(None) == 1 else f"not one of: {reasons}"
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        return f"{value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{value!r} is not in {schema['enum']}"
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}
    allowed = schema.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    if allowed and type(value) not in [kinds[name] for name in allowed]:
        return f"{value!r} is no {allowed}"
    if isinstance(value, list) and "items" in schema:
        for item in value:
            if reason := matches(schema["items"], item, root):
                return reason
    if isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                return f"{name} is missing"
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            if inner is False:
                return f"{name} is not described"
            if reason := matches(inner, item, root):
                return f"{name}: {reason}"
    return None


class AgainstStrace(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name
        self.maxDiff = None
        # A server of this test's own.
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": self.dir}

    def run_in_new_directory(self, name, command):
        """Runs it in an empty directory of its own; returns the lines of ../NAME.log."""
        here = os.path.join(self.dir, name)
        os.mkdir(here)
        result = subprocess.run(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=DEADLINE, check=False, env=self.environment)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"", b""))
        with open(here + ".log", encoding="utf-8") as file:
            return file.read().splitlines()

    def log(self, name, options=""):
        return self.run_in_new_directory(
            name, [UTRACE, "run", "-e", f"syscall_log:output=../{name}.log" + options, "--", PROGRAM])

    def compare(self, ours, theirs):
        ours, theirs = by_thread(ours), by_thread(theirs)
        self.assertEqual(len(ours), len(theirs))
        for mine, other in zip(ours, theirs):
            self.assertEqual("\n".join(from_main(mine)), "\n".join(from_main(other)))
        return ours

    def test_the_same_lines(self):
        theirs = self.run_in_new_directory("theirs", ["strace", "-f", "-o", "../theirs.log", PROGRAM])
        ours = self.compare(self.log("ours"), theirs)
        names = {re.match(r"\w+", line).group() for lines in ours for line in lines
                 if re.match(r"\w+\(", line)}
        self.assertGreater(len(names), 100, "few calls were compared")

    def test_the_same_lines_with_calls_in_two(self):
        theirs = self.run_in_new_directory("theirs", ["strace", "-f", "-o", "../theirs.log", PROGRAM])
        self.compare(self.log("ours", ",unfinished=yes"), theirs)

    def test_descriptors_with_paths(self):
        theirs = self.run_in_new_directory(
            "same", ["strace", "-y", "-e", "trace=openat,close,write,lseek", "-f", "-o",
                     "../same.log", PROGRAM])
        ours = self.log("ours", ",paths=yes,trace=openat+close+write+lseek")
        # Paths differ by the directory and by numbers of anonymous files.
        def neutral(lines):
            return [re.sub(r"/(same|ours)\b|:\[\d+\]", "", line) for line in lines]
        self.compare(neutral(ours), neutral(theirs))

    def test_json_is_as_the_schema_says(self):
        with open(SCHEMA, encoding="utf-8") as file:
            schema = json.load(file)
        lines = self.log("json", ",format=json,summary=yes")
        events = [json.loads(line) for line in lines]
        for event in events:
            reason = matches(schema, event, schema)
            self.assertIsNone(reason, f"{event}: {reason}")
        self.assertEqual({event["event"] for event in events},
                         {"call", "exec", "signal", "exit", "summary"})
        calls = [event for event in events if event["event"] == "call"]
        opened = [call for call in calls if call["name"] == "openat"
                  and call["args"]["path"] == "file"]
        self.assertEqual(opened[0]["args"], {
            "dfd": "AT_FDCWD", "path": "file",
            "flags": ["O_RDWR", "O_CREAT", "O_TRUNC", "O_CLOEXEC"], "mode": 0o640})
        self.assertEqual(opened[0]["result"], 3)
        counted = {row["name"]: row["calls"] for row in events[-1]["calls"]}
        self.assertEqual(counted["openat"], len([c for c in calls if c["name"] == "openat"]))

    def test_a_schema_that_does_not_fit_is_noticed(self):
        with open(SCHEMA, encoding="utf-8") as file:
            schema = json.load(file)
        good = {"event": "exit", "time_ns": 1, "pid": 1, "tid": 1, "status": {"exited": 0}}
        self.assertIsNone(matches(schema, good, schema))
        for change in [{"event": "end"}, {"pid": "1"}, {"status": {"left": 0}}, {"more": 1}]:
            self.assertIsNotNone(matches(schema, {**good, **change}, schema), change)
        del good["tid"]
        self.assertIsNotNone(matches(schema, good, schema))

    def test_perfetto(self):
        text = "\n".join(self.log("trace", ",format=perfetto"))
        events = json.loads(text)
        phases = {event["ph"] for event in events}
        self.assertEqual(phases, {"M", "X", "i"})
        spans = [event for event in events if event["ph"] == "X"]
        for span in spans:
            self.assertGreaterEqual(span["dur"], 0)
            self.assertEqual({"pid", "tid", "ts", "name", "cat", "args"} - set(span), set())
        names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
        self.assertIn(os.path.basename(PROGRAM), names)
        self.assertIn("SIGUSR1", {event["name"] for event in events if event["ph"] == "i"})
        # Cut off after any line, it is valid once the array is closed.
        cut = text[:text.index("\n", len(text) // 2)].rstrip(",")
        self.assertGreater(len(json.loads(cut + "]")), 10)

    def test_a_file_for_each_process(self):
        logs = os.path.join(self.dir, "logs")
        os.mkdir(logs)
        whole = self.log("whole", ",per_process=../logs")
        self.assertEqual(whole, [])
        files = sorted(os.listdir(logs))
        self.assertEqual(len(files), 2)
        for name in files:
            with open(os.path.join(logs, name), encoding="utf-8") as file:
                lines = file.read().splitlines()
            pid = name.removesuffix(".log")
            self.assertEqual({line.split()[0] for line in lines}, {f"[{pid}]"})
            self.assertIn("+++ exited with", lines[-1])

    def test_filters(self):
        lines = self.log("failed", ",failed=yes,trace=%network,signals=no")
        self.assertTrue(any("recvfrom(" in line and "EAGAIN" in line for line in lines))
        for line in lines:
            if "+++" not in line:
                self.assertRegex(line, r"= -1 E")
        lines = self.log("path", ",path=file,signals=no")
        self.assertGreater(len(lines), 8)
        for line in lines:
            if "+++" not in line:
                self.assertIn('"file"', line)


if __name__ == "__main__":
    unittest.main(verbosity=2)
