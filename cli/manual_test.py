#!/usr/bin/env python3
"""The manual pages and the completion say of each command what its --help says."""

import os
import re
import subprocess
import sys
import unittest

UTRACE = os.path.abspath(sys.argv.pop(1))
MANUAL = os.path.abspath("cli/man")
COMPLETION = os.path.abspath("cli/completion/utrace.bash")
# Commands that have a page in common.
PAGES = {"resume": "stop", "interrupt": "stop", "check": "certify", "merge": "certify"}


def output(*command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=True, timeout=60, **kwargs)


def commands():
    text = output(UTRACE, "--help").stdout
    return re.findall(r"^  ([a-z]+) ", text.split("Subcommands:\n")[1].split("\n\n")[0], re.MULTILINE)


def options(*command):
    """Those of the command's help: sets of names, each for one option."""
    text = output(UTRACE, *command, "--help").stdout.split("Options:\n")[1].split("\n\n")[0]
    return [line.split()[0].split(",") for line in text.splitlines() if line.startswith("  -")]


def page(name):
    path = os.path.join(MANUAL, name + ".1")
    result = output("groff", "-man", "-Tascii", "-P-cbou", "-ww", path)
    return result.stdout, result.stderr


class Manual(unittest.TestCase):
    def test_pages_are_well_formed(self):
        for name in sorted(os.listdir(MANUAL)):
            if not name.endswith(".1"):
                continue
            text, complaints = page(name[:-2])
            self.assertEqual(complaints, "", name)
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"):
                self.assertIn(f"\n{section}\n", text, name)
            # Pages that are referred to exist.
            for reference in re.findall(r"(utrace[a-z-]*)\s*\(1\)", text.replace("-\n", "-")):
                self.assertTrue(os.path.exists(os.path.join(MANUAL, reference + ".1")), reference)

    def test_every_command_and_option_has_its_text(self):
        self.assertGreaterEqual(set(commands()), {"run", "attach", "ps", "certify"})
        overview = page("utrace")[0]
        for command in commands():
            self.assertRegex(overview, rf"(?m)^ +(\w+, )*{command}\b")
            text = page("utrace-" + PAGES.get(command, command))[0]
            self.assertIn(f"utrace {command}", text)
            self.assertGreaterEqual(len(options(command)), 1, command)
            for names in options(command):
                for name in names:
                    self.assertRegex(text, rf"(?m)^ +(-., )?{name}\b", f"{command} {name}")
                self.assertRegex(text, rf"(?m)^ +{', '.join(names)}( |$)", command)

    def test_no_option_that_is_not_there(self):
        for command in commands():
            if command in PAGES or command in PAGES.values():
                continue
            known = {name for names in options(command) for name in names}
            text = page("utrace-" + command)[0].split("\nOPTIONS\n")[1].split("\nEXIT STATUS\n")[0]
            told = set(re.findall(r"(?m)^       (--?[a-z-]+)", text))
            self.assertLessEqual(told, known, command)

    def test_help_has_examples(self):
        for command in commands():
            text = output(UTRACE, command, "--help").stdout
            if command not in ("certify", "check", "serve"):
                self.assertIn(f"\nExamples:\n  utrace {command}", text)
            self.assertIn("xit status", text)


class Completion(unittest.TestCase):
    def complete(self, *words):
        """What bash offers for the last of the words, which are as bash breaks them."""
        script = ('source "$0"; utrace=$1; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  'COMP_WORDBREAKS=$\' \\t\\n"\\\'><=;|&(:\'; compopt() { :; }; '
                  'COMP_WORDS[0]=$utrace; _utrace; printf "%s\\n" "${COMPREPLY[@]}"')
        result = output("bash", "--norc", "-u", "-c", script, COMPLETION, UTRACE, *words)
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_commands(self):
        self.assertEqual(sorted(self.complete("utrace", "")),
                         sorted([*commands(), "--help", "--version"]))
        self.assertEqual(self.complete("utrace", "att"), ["attach"])

    def test_options(self):
        for command in commands():
            long = sorted(name for names in options(command) for name in names
                          if name.startswith("--"))
            self.assertEqual(sorted(self.complete("utrace", command, "--")), long, command)

    def test_engines_and_their_options(self):
        listed = output(UTRACE, "engines").stdout
        names = re.findall(r"(?m)^([a-z_]+) ", listed)
        self.assertEqual(sorted(self.complete("utrace", "run", "-e", "")), sorted(names))
        self.assertEqual(self.complete("utrace", "run", "-e", "syscall_l"), ["syscall_log"])
        offered = self.complete("utrace", "attach", "-e", "syscall_log", ":", "")
        self.assertIn("output=", offered)
        self.assertIn("follow=", offered)
        self.assertEqual(self.complete("utrace", "attach", "-e", "syscall_log", ":", "follow", "=",
                                       "no,outp"), ["follow=no,output="])

    def test_processes_files_and_the_command(self):
        self.assertIn(str(os.getpid()), self.complete("utrace", "ps", ""))
        self.assertEqual(self.complete("utrace", "run", "-o", "cli/completion/ut"),
                         ["cli/completion/utrace.bash"])
        self.assertIn("setpriv", self.complete("utrace", "run", "--", "setpr"))
        self.assertEqual(self.complete("utrace", "run", "--", "cat", "cli/completion/ut"),
                         ["cli/completion/utrace.bash"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
