"""For programs that a sanitizer would change: what is traced or wrapped in tests, and its like.

A sanitizer has signal handlers, threads and calls of its own, and its library insists on coming before one that is
preloaded. The flags of a build with a sanitizer come last on the linker's line, so that no other flag takes them back:
only without default libraries is its own left out.
"""

UNSANITIZED_COPTS = ["-fno-sanitize=all"]

UNSANITIZED_C_LINKOPTS = [
    "-nodefaultlibs",
    "-lc",
    "-pthread",
]

UNSANITIZED_CXX_LINKOPTS = [
    "-nodefaultlibs",
    "-lstdc++",
    "-lm",
    "-lgcc_s",
    "-lgcc",
    "-lc",
    "-pthread",
]
