#!/usr/bin/env python3
"""Makes the initial file system of a guest: programs with their runfiles, and the libraries they need.

  pack.py --manifest FILE --out FILE [--library-path DIR[:DIR...]] [--readelf PROGRAM] [--strip PROGRAM]

Each line of the manifest is a path in the guest, a tab, and the file to put there. Libraries that a file
names as needed, and its interpreter, are looked up in the library path, and go where the dynamic linker
looks for them. The result is a cpio archive in the form that Linux unpacks at its start.
"""

import argparse
import os
import re
import stat
import subprocess
import sys


class Archive:
    """A cpio archive ("newc"), which Linux reads."""

    def __init__(self, stream):
        self._stream = stream
        self._serial = 0
        self._directories = set()

    def add(self, path, mode, content=b""):
        path = path.lstrip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self._directories:
            self.add(parent, stat.S_IFDIR | 0o755)
        if stat.S_ISDIR(mode):
            if path in self._directories:
                return
            self._directories.add(path)
        self._serial += 1
        name = path.encode() + b"\0"
        fields = [self._serial, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0]
        self._write(b"070701" + b"".join(b"%08x" % field for field in fields) + name)
        self._write(content)

    def end(self):
        self.add("TRAILER!!!", 0)

    def _write(self, data):
        self._stream.write(data)
        self._stream.write(b"\0" * (-len(data) % 4))


class Libraries:
    """What dynamic objects need, and where it is."""

    def __init__(self, directories, readelf):
        self._directories = directories
        self._readelf = readelf

    def needs(self, path):
        """Names of libraries, and the path of the interpreter or None."""
        said = subprocess.run([self._readelf, "--wide", "--dynamic", "--program-headers", path], check=True,
                              capture_output=True, text=True).stdout
        interpreter = re.search(r"Requesting program interpreter: ([^\]]+)\]", said)
        return re.findall(r"\(NEEDED\).*\[(.+)\]", said), interpreter and interpreter.group(1)

    def find(self, name):
        for directory in self._directories:
            path = os.path.join(directory, name)
            if os.path.exists(path):
                return path
        sys.exit(f"pack.py: no library {name} in {':'.join(self._directories)}")


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def content_of(path, strip):
    if strip and is_elf(path):
        stripped = subprocess.run([strip, "--strip-debug", "-o", "/dev/stdout", path], capture_output=True)
        if stripped.returncode == 0 and stripped.stdout:
            return stripped.stdout
    with open(path, "rb") as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--library-path", default="/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64")
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--strip")
    arguments = parser.parse_args()

    libraries = Libraries(arguments.library_path.split(":"), arguments.readelf)
    files = {}
    with open(arguments.manifest, encoding="utf-8") as manifest:
        for line in manifest:
            place, path = line.rstrip("\n").split("\t")
            files[place] = os.path.realpath(path)

    # /lib is where every dynamic linker looks at last, whatever the machine.
    waiting = list(files.values())
    while waiting:
        path = waiting.pop()
        if not is_elf(path):
            continue
        names, interpreter = libraries.needs(path)
        places = {f"/lib/{name}": name for name in names}
        if interpreter:
            places[interpreter] = os.path.basename(interpreter)
        for place, name in places.items():
            if place not in files:
                files[place] = os.path.realpath(libraries.find(name))
                waiting.append(files[place])

    with open(arguments.out, "wb") as stream:
        archive = Archive(stream)
        # Before devtmpfs is mounted, the kernel gives the first process this as its standard streams.
        for directory in ("dev", "proc", "sys", "tmp"):
            archive.add(directory, stat.S_IFDIR | 0o755)
        for place, path in sorted(files.items()):
            archive.add(place, stat.S_IFREG | (os.stat(path).st_mode & 0o777) | 0o444, content_of(path, arguments.strip))
        archive.end()


if __name__ == "__main__":
    main()
