"""Interleavings of the lock-free parts of the core, explored by relacy over the core's own sources."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def _quoted(text):
    return "'" + text.replace("'", "'\\''").replace("$", "$$") + "'"

def relacy_check(name, check, parts = [], header = None, weakened = {}):
    """<name>_test, which finds nothing, and <name>_<kind>_test for each weakened variant, which does.

    Args:
      name: of the subject.
      check: the check's source file.
      parts: sources of the core that are built against relacy's atomics, as labels.
      header: or a header of the core that the check includes as UTRACE_CHECKED_HEADER, as a label.
      weakened: by kind, (label, find, replace): one piece of text of one of `parts`, or of `header`,
        replaced.
    """
    _check(name + "_test", check, parts, header, [])
    for kind, (label, find, replace) in weakened.items():
        file_name = "weakened/%s_%s_%s" % (name, kind, label.split(":")[1])
        native.genrule(
            name = "%s_%s_source" % (name, kind),
            srcs = [label],
            outs = [file_name],
            cmd = "$(location //tools:replace_once) $< $@ %s %s" % (_quoted(find), _quoted(replace)),
            tools = ["//tools:replace_once"],
        )
        if label != header and label not in parts:
            fail("%s is not a source of this check" % label)
        _check(
            "%s_%s_test" % (name, kind),
            check,
            [file_name if part == label else part for part in parts],
            file_name if header == label else header,
            ["UTRACE_CHECK_WEAKENED"],
        )

def _check(name, check, parts, header, defines):
    defines = ["UTRACE_SYNC_HEADER='\"core/checks/relacy/sync.h\"'"] + defines
    if header:
        path = header[2:].replace(":", "/") if header.startswith("//") else \
               native.package_name() + "/" + header
        defines = defines + ["UTRACE_CHECKED_HEADER='\"%s\"'" % path]
    cc_test(
        name = name,
        size = "small",
        srcs = [check] + parts + ([header] if header else []),
        copts = [
            # Relacy replaces the unsized delete only.
            "-fno-sized-deallocation",
            # Its fibers are nothing that a sanitizer knows; it looks for the same faults itself.
            "-fno-sanitize=all",
        ],
        local_defines = defines,
        deps = [":support"],
    )
