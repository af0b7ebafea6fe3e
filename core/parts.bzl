"""The state machine as a list of files, so that a build can replace one of them."""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("//tools:parts.bzl", "part_labels", "parts")

CORE_PARTS = [
    "api",
    "attach",
    "control",
    "engine_object",
    "look",
    "machine_api",
    "owner",
    "report",
    "signal_rules",
    "task",
    "wait",
]

def core_parts(headers):
    """A library part_<name> of each part, compiled against `headers`, in the package of the caller.

    Args:
      headers: a label; what it defines (UTRACE_SYNC_HEADER, say) holds for the parts.
    """
    parts(
        names = CORE_PARTS,
        package = "//core",
        deps = [headers],
    )

def core_library(name, replaced = None, replacement = None, package = "//core", **kwargs):
    """The core, made of part_* libraries.

    Args:
      name: of the library.
      replaced: the part (of CORE_PARTS) that `replacement` stands for, or None.
      replacement: the label of a source file.
      package: where the parts are: //core, or //core/model for the core over the model's scheduler.
      **kwargs: further attributes of the library.
    """
    if replaced and replaced not in CORE_PARTS:
        fail("the core has no part named " + replaced)
    cc_library(
        name = name,
        srcs = [replacement] if replacement else [],
        deps = [package + ":core_headers"] + part_labels(package, CORE_PARTS, replaced),
        alwayslink = True,
        **kwargs
    )
