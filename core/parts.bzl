"""The state machine as a list of files, so that a build can replace one of them."""

load("@rules_cc//cc:defs.bzl", "cc_library")

CORE_PARTS = [
    "api",
    "attach",
    "control",
    "engine_object",
    "machine_api",
    "report",
    "signal_rules",
    "task",
    "wait",
]

def core_library(name, replaced = None, replacement = None, **kwargs):
    """The core, made of //core:part_* libraries.

    Args:
      name: of the library.
      replaced: the part (of CORE_PARTS) that `replacement` stands for, or None.
      replacement: the label of a source file.
      **kwargs: further attributes of the library.
    """
    if replaced and replaced not in CORE_PARTS:
        fail("the core has no part named " + replaced)
    cc_library(
        name = name,
        srcs = [replacement] if replacement else [],
        deps = ["//core:core_headers"] + ["//core:part_" + part for part in CORE_PARTS if part != replaced],
        alwayslink = True,
        **kwargs
    )
