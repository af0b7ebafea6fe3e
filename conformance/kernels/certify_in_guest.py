#!/usr/bin/env python3
"""Boots a kernel in a guest and runs the certificate there; see guest.py.

  certify_in_guest.py --architecture ARCH --kernel FILE --image FILE [--only WHAT]... [--deadline SECONDS]

The certificate and the console's log go to $TEST_UNDECLARED_OUTPUTS_DIR, or to the current directory without
that. The exit status is that of `utrace certify`, or 70 if the guest failed.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guest

PROGRAM = "/suite/utrace/cli/certify_alone"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", required=True, choices=sorted(guest.MACHINES))
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--deadline", type=int, default=900)
    arguments = parser.parse_args()

    outputs = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR", ".")
    command = [PROGRAM, "certify", "--report", "/out/certificate"]
    for only in arguments.only:
        command += ["--only", only]
    # An emulated processor is slow: the kit waits longer than 30 s, though not as long as a test may take.
    environment = {"RUNFILES_DIR": "/suite", "UTRACE_KIT_DEADLINE_MS": "65000"}
    job = guest.Job("certify", command, environment, "/tmp")
    console = os.path.join(outputs, "console.log")
    try:
        results = guest.boot(arguments.architecture, arguments.kernel, arguments.image, [job],
                             arguments.deadline, console)
    except guest.GuestFailure as failure:
        print(failure)
        return 70
    for name, content in results.files.items():
        path = os.path.join(outputs, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        if name == "certificate/junit.xml" and "XML_OUTPUT_FILE" in os.environ:
            with open(os.environ["XML_OUTPUT_FILE"], "wb") as file:
                file.write(content)
    with open(console, encoding="utf-8", errors="replace") as file:
        print(file.read())
    status = results.statuses["certify"]
    if status < 0:
        print(f"utrace certify was killed by signal {-status}")
        return 128 - status
    return status


if __name__ == "__main__":
    sys.exit(main())
