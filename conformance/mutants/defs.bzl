"""Implementations that are wrong in exactly one point, to show that the suite notices."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//core:parts.bzl", "core_library")

# What report.py is given before the mutants.
_JUDGES = [
    "//conformance/certify:clause_test_driver",
    "//conformance/clauses:runner",
    "//conformance/puppet",
    "//core:libutrace.so",
    "//docs:spec.md",
]
_NOT_IN_THE_NORMAL_SUITE = [
    "manual",
    "nightly",
]

def _quoted(text):
    return "'" + text.replace("'", "'\\''").replace("$", "$$") + "'"

def _arguments(mutants):
    return ["$(rootpath %s)" % label for label in _JUDGES] + \
           ["%s=$(rootpath :lib%s.so)" % (clause, name) for clause, name in mutants]

def _data(mutants):
    return _JUDGES + [":lib%s.so" % name for _, name in mutants]

def _mutant(name, part, find, replace, clause, tags):
    """lib<name>.so, our implementation with one piece of text replaced, and a test that it is caught."""
    source = "%s_%s.cc" % (name, part)
    native.genrule(
        name = name + "_source",
        srcs = ["//core:%s.cc" % part],
        outs = [source],
        cmd = "$(location //tools:replace_once) $< $@ %s %s" % (_quoted(find), _quoted(replace)),
        tags = tags,
        tools = ["//tools:replace_once"],
    )
    core_library(
        name = name + "_core",
        replaced = part,
        replacement = source,
        tags = tags,
    )
    cc_binary(
        name = "lib%s.so" % name,
        linkopts = [
            "-Wl,--version-script,$(location //core:libutrace.lds)",
            "-Wl,-z,nodelete",
            "-pthread",
        ],
        linkshared = True,
        tags = tags,
        deps = [
            ":%s_core" % name,
            "//core:libutrace.lds",
            "//core/linux:host_alone",
        ],
    )
    native.sh_test(
        name = name + "_test",
        size = "medium",
        srcs = ["report.py"],
        args = _arguments([(clause, name)]) + [clause],
        data = _data([(clause, name)]),
        # As the clause tests themselves: a kernel thread must be visible [ATT-08].
        tags = tags + ["no-sandbox"],
    )

def mutants(name, mutants, representative):
    """Shared objects and tests of all mutants, and a program that judges them and reports by clause.

    Args:
      name: of the program.
      mutants: tuples of the clause that is broken ("CTL-17"), the mutant's name, the part of the core
        (//core:parts.bzl) that is changed, text that occurs exactly once in it, and what stands there
        instead.
      representative: names of those whose tests belong to the normal suite.
    """
    names = [mutant[1] for mutant in mutants]
    for known in representative:
        if known not in names:
            fail("no mutant has the name " + known)
    for clause, mutant, part, find, replace in mutants:
        _mutant(
            name = mutant,
            part = part,
            find = find,
            replace = replace,
            clause = clause,
            tags = [] if mutant in representative else _NOT_IN_THE_NORMAL_SUITE,
        )
    pairs = [(clause, mutant) for clause, mutant, _, _, _ in mutants]
    native.sh_binary(
        name = name,
        testonly = True,
        srcs = ["report.py"],
        args = _arguments(pairs),
        data = _data(pairs),
        tags = _NOT_IN_THE_NORMAL_SUITE,
    )
