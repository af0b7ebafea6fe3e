#!/usr/bin/env python3
"""Tables of named constants, made from the system's headers.

    names.py tables COMPILER OUT.h OUT.cc LIST...     tables that the list files describe
    names.py ioctls COMPILER OUT.cc                   every ioctl that the kernel's headers name

A list file says which names belong together; what they stand for says the compiler.

    include <fcntl.h>                 what the tables below need
    open_flags O_???: O_CREAT O_EXCL  the table kOpenFlags; O_??? is said of values without a name
        /O_[A-Z]+/                    all macros and enumerators that match the whole expression
        -O_ACCMODE                    but this one; or an expression
        ?O_NEW                        this one if there is such a name; without '?' it must exist

The first of several names for one value is used. Values are found as the kernel's build finds the
offsets of structures: they are read out of assembly text, so nothing of the target has to run.
"""

import os
import re
import subprocess
import sys
import tempfile

MARK = "utrace_name"


def run(command, text):
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def includes_text(includes):
    return "#define _GNU_SOURCE 1\n" + "".join(f"#include {name}\n" for name in includes)


def macros(compiler, includes):
    """Object-like macros and their definitions."""
    status, out, errors = run([compiler, "-E", "-dM", "-x", "c", "-"], includes_text(includes))
    if status != 0:
        raise SystemExit(f"names.py: the headers {includes} do not compile:\n{errors}")
    return dict(re.findall(r"^#define (\w+)(?: (.*))?$", out, re.M))


def enumerators(compiler, includes):
    _, out, _ = run([compiler, "-E", "-P", "-x", "c", "-"], includes_text(includes))
    found = []
    for body in re.findall(r"\benum\b[^{};()]*\{([^}]*)\}", out):
        body = re.sub(r"\([^()]*\)", "", body)
        found += [item.split("=")[0].strip() for item in body.split(",")]
    return [name for name in found if re.fullmatch(r"\w+", name)]


def values(compiler, includes, names):
    """What the names stand for; those that are no integer constants are left out."""
    names = list(names)
    while names:
        head = includes_text(includes)
        first = head.count("\n") + 1
        lines = [f"const unsigned long long {MARK}_{name} = (unsigned long long)({name});"
                 for name in names]
        limit = "-ferror-limit=0" if "clang" in compiler else "-fmax-errors=0"
        status, out, errors = run([compiler, "-S", "-w", limit, "-x", "c", "-", "-o", "-"],
                                  head + "\n".join(lines) + "\n")
        if status == 0:
            found = re.findall(rf"^{MARK}_(\w+):\s*\.(zero|\w+)\s+(-?\w+)", out, re.M)
            return {name: 0 if kind == "zero" else int(value, 0) % (1 << 64)
                    for name, kind, value in found}
        bad = {int(line) - first for line in re.findall(r"<stdin>:(\d+):\d+: (?:fatal )?error", errors)}
        bad = {index for index in bad if 0 <= index < len(names)}
        if not bad:
            raise SystemExit(f"names.py: {includes}: {errors}")
        names = [name for index, name in enumerate(names) if index not in bad]
    return {}


def parse(path):
    """(includes, [(table, unknown, items)])"""
    includes, tables = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.split("#")[0].rstrip()
            if not line:
                continue
            if line.startswith("include "):
                includes.append(line.split()[1])
            elif line[0].isspace():
                tables[-1][2].extend(line.split())
            else:
                head, items = line.split(":", 1)
                name, unknown = head.split()
                tables.append((name, unknown, items.split()))
    return includes, tables


def chosen(items, candidates, where):
    """The names that a table's items stand for, in their order."""
    names = []
    left_out = [item[1:].strip("/") for item in items if item[0] == "-"]
    for item in items:
        if item[0] == "-":
            continue
        if item[0] == "/":
            found = [name for name in candidates if re.fullmatch(item.strip("/"), name)]
            if not found:
                raise SystemExit(f"names.py: {where}: nothing matches {item}")
        else:
            found = [item.lstrip("?")]
        names += [name for name in found
                  if not any(re.fullmatch(pattern, name) for pattern in left_out)]
    return list(dict.fromkeys(names))


def camel(name):
    return "k" + "".join(part.capitalize() for part in name.split("_"))


def make_tables(compiler, header_path, source_path, lists):
    header, source = [], []
    for path in lists:
        includes, tables = parse(path)
        candidates = list(dict.fromkeys(
            list(macros(compiler, includes)) + enumerators(compiler, includes)))
        plan = [(name, unknown, items, chosen(items, candidates, f"{path}: {name}"))
                for name, unknown, items in tables]
        known = values(compiler, includes, dict.fromkeys(n for _, _, _, names in plan for n in names))
        for name, unknown, items, names in plan:
            for item in items:
                if re.fullmatch(r"\w+", item) and item not in known:
                    raise SystemExit(f"names.py: {path}: {name}: the headers have no {item}")
            entries = {}
            for entry in names:
                if entry in known:
                    entries.setdefault(known[entry], entry)
            if not entries:
                raise SystemExit(f"names.py: {path}: {name} is empty")
            rows = "".join(f'    {{{value:#x}, "{entry}"}},\n' for value, entry in sorted(entries.items()))
            header.append(f"extern const Names {camel(name)};")
            source.append(f"constexpr NameEntry {camel(name)}Entries[] = {{\n{rows}}};\n"
                          f'const Names {camel(name)}{{{camel(name)}Entries, "{unknown}"}};\n')
    with open(header_path, "w", encoding="utf-8") as file:
        file.write("// Made by names.py from the system's headers.\n#pragma once\n"
                   '#include "engines/syscall_log/decode/names.h"\n'
                   "namespace utrace::syscall_log {\n" + "\n".join(header) + "\n}\n")
    with open(source_path, "w", encoding="utf-8") as file:
        file.write("// Made by names.py from the system's headers.\n"
                   f'#include "{os.path.basename(header_path)}"\n'.replace(
                       '"', '"engines/syscall_log/decode/', 1) +
                   "namespace utrace::syscall_log {\n" + "\n".join(source) + "}\n")


def make_ioctls(compiler, source_path):
    """All macros that are made with _IO, _IOR, _IOW or _IOWR, and some older ones."""
    _, _, verbose = run([compiler, "-E", "-v", "-x", "c", "-"], "")
    paths = re.search(r"search starts here:\n((?: .*\n)+)", verbose)
    directories = [line.strip() for line in paths.group(1).splitlines()]
    headers = set()
    for directory in directories:
        for top in ("linux", "sound", "drm", "mtd", "rdma", "scsi", "misc", "video", "asm"):
            for base, _, files in os.walk(os.path.join(directory, top)):
                for file in files:
                    path = os.path.join(base, file)
                    with open(path, encoding="utf-8", errors="replace") as text:
                        if re.search(r"#\s*define\s+\w+\s+(_|DRM_)IO[RW]*\s*\(", text.read()):
                            headers.add(os.path.relpath(path, directory))
    names = {}

    def add(includes, pattern):
        """True if these headers compile together."""
        try:
            defined = macros(compiler, includes)
            wanted = [name for name, text in defined.items() if re.match(pattern, text or "")]
            found = values(compiler, includes, wanted)
        except SystemExit:
            return False
        for name, value in sorted(found.items()):
            names.setdefault(value, name)
        return True

    def add_all(files):
        """As many together as possible: each run of the compiler takes its time."""
        includes = ["<stddef.h>", "<stdint.h>", "<linux/types.h>"] + [f"<{file}>" for file in files]
        if add(includes, r"(?:DRM|_UFFDIO|_)?_?IO[RW]*\s*\(") or len(files) == 1:
            return
        add_all(files[:len(files) // 2])
        add_all(files[len(files) // 2:])

    # First those whose names are used where several share a value; the older ones are plain numbers.
    for header, pattern in [("asm/ioctls.h", r"0x54|_IO"), ("linux/sockios.h", r"0x89|_IO"),
                            ("linux/cdrom.h", r"0x53"), ("linux/kd.h", r"0x4B"),
                            ("linux/vt.h", r"0x56"), ("linux/hdreg.h", r"0x03"),
                            ("linux/loop.h", r"0x4C")]:
        if not add([f"<{header}>"], pattern):
            raise SystemExit(f"names.py: <{header}> does not compile")
    add_all(["linux/fs.h", "linux/fiemap.h"])
    files = sorted(headers)
    for start in range(0, len(files), 16):
        add_all(files[start:start + 16])
    rows = "".join(f'    {{{value & 0xffffffff:#x}, "{name}"}},\n'
                   for value, name in sorted(names.items()))
    with open(source_path, "w", encoding="utf-8") as file:
        file.write("// Made by names.py from the kernel's headers.\n"
                   '#include "engines/syscall_log/decode/names.h"\n'
                   "namespace utrace::syscall_log {\nnamespace {\n"
                   f"constexpr NameEntry kEntries[] = {{\n{rows}}};\n}}  // namespace\n"
                   'const Names kIoctls{kEntries, ""};\n}\n')


def main():
    if sys.argv[1:2] == ["tables"] and len(sys.argv) > 5:
        make_tables(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
    elif sys.argv[1:2] == ["ioctls"] and len(sys.argv) == 4:
        make_ioctls(sys.argv[2], sys.argv[3])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
