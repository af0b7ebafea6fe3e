"""Implementations that are wrong in exactly one point, to show that the suite notices."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//core:parts.bzl", "core_library")

def _quoted(text):
    return "'" + text.replace("'", "'\\''").replace("$", "$$") + "'"

def mutant(name, part, find, replace, clause, tags = []):
    """lib<name>.so, our implementation with one piece of text replaced, and a test that it is caught.

    Args:
      name: of the mutant.
      part: the part of the core (//core:parts.bzl) that is changed.
      find: text that occurs exactly once in it.
      replace: what stands there instead.
      clause: the clause that is broken, as in the spec ("CTL-17").
      tags: of everything that is made.
    """
    source = "%s_%s.cc" % (name, part)
    native.genrule(
        name = name + "_source",
        srcs = ["//core:%s.cc" % part],
        outs = [source],
        cmd = "$(location //conformance/mutants:replace_once) $< $@ %s %s" %
              (_quoted(find), _quoted(replace)),
        tags = tags,
        tools = ["//conformance/mutants:replace_once"],
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
    driver = "//conformance/certify:clause_test_driver"
    runner = "//conformance/clauses:runner"
    puppet = "//conformance/puppet"
    native.sh_test(
        name = name + "_test",
        size = "medium",
        srcs = ["//conformance/mutants:caught_test.sh"],
        args = [
            clause,
            "$(rootpath %s)" % driver,
            "--runner=$(rootpath %s)" % runner,
            "--puppet=$(rootpath %s)" % puppet,
            "--implementation=$(rootpath :lib%s.so)" % name,
            "--only=" + clause,
        ],
        data = [driver, runner, puppet, ":lib%s.so" % name],
        # As the clause tests themselves: a kernel thread must be visible [ATT-08].
        tags = tags + ["no-sandbox"],
    )

def mutant_report(name, mutants):
    """A program that judges all mutants and prints how many are caught, by clause.

    Args:
      name: of the program.
      mutants: pairs of clause and name of a mutant().
    """
    data = [
        "//conformance/certify:clause_test_driver",
        "//conformance/clauses:runner",
        "//conformance/puppet",
        "//core:libutrace.so",
        "//docs:spec.md",
    ]
    native.sh_binary(
        name = name,
        testonly = True,
        srcs = ["//conformance/mutants:report.py"],
        args = ["$(rootpath %s)" % label for label in data] +
               ["%s=$(rootpath :lib%s.so)" % (clause, mutant) for clause, mutant in mutants],
        data = data + [":lib%s.so" % mutant for _, mutant in mutants],
        tags = [
            "manual",
            "nightly",
        ],
    )
