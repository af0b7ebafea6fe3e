"""Implementations that are wrong in exactly one point, to show that the suite notices."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//arch/x86_64:parts.bzl", "X86_64_PARTS")
load("//core:parts.bzl", "CORE_PARTS")
load("//core/linux:parts.bzl", "LINUX_PARTS")
load("//tools:parts.bzl", "part_labels")

# What report.py is given before the list of mutants.
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

# All that an implementation is made of, by directory: a mutant is a file of one of them.
_PLACES = {
    "arch/x86_64": struct(headers = "//arch/x86_64:headers", parts = X86_64_PARTS),
    "core": struct(headers = "//core:core_headers", parts = CORE_PARTS),
    "core/linux": struct(headers = "//core/linux:host_headers", parts = LINUX_PARTS),
}

def _quoted(text):
    return "'" + text.replace("'", "'\\''").replace("$", "$$") + "'"

def _shared_object(mutant, tags):
    """lib<name>.so: our implementation with one piece of text of one file replaced."""
    directory, _, file_name = mutant.file.rpartition("/")
    part = file_name[:-len(".cc")]
    if directory not in _PLACES or part not in _PLACES[directory].parts:
        fail("%s: %s is no file that an implementation is made of" % (mutant.name, mutant.file))
    source = "%s_%s.cc" % (mutant.name, part)
    native.genrule(
        name = mutant.name + "_source",
        srcs = ["//%s:%s.cc" % (directory, part)],
        outs = [source],
        cmd = "$(location //tools:replace_once) $< $@ %s %s" % (
            _quoted(mutant.find),
            _quoted(mutant.replace),
        ),
        tags = tags,
        tools = ["//tools:replace_once"],
    )
    deps = ["//core:libutrace.lds", _PLACES[directory].headers]
    for place in _PLACES:
        replaced = part if place == directory else None
        deps += part_labels("//" + place, _PLACES[place].parts, replaced)
    cc_binary(
        name = "lib%s.so" % mutant.name,
        srcs = [source],
        copts = [
            "-O0",  # it is compiled more often than it is run
            # What the replaced text used may be of no use now.
            "-Wno-unused-but-set-variable",
            "-Wno-unused-function",
            "-Wno-unused-variable",
        ],
        linkopts = [
            "-Wl,--version-script,$(location //core:libutrace.lds)",
            "-Wl,-z,nodelete",
            "-Wl,-s",  # there are hundreds of them
            "-pthread",
        ],
        linkshared = True,
        tags = tags,
        visibility = ["//stress:__subpackages__"],
        deps = deps,
    )

def _list_impl(ctx):
    file = ctx.actions.declare_file(ctx.label.name + ".json")
    ctx.actions.write(file, ctx.attr.content)
    return [DefaultInfo(files = depset([file]), runfiles = ctx.runfiles([file]))]

_list = rule(implementation = _list_impl, attrs = {"content": attr.string()})

def mutants(name, mutants, not_told_apart, representative):
    """Shared objects and tests of all mutants, and a program that judges them and reports by clause.

    Args:
      name: of the program.
      mutants: mutant() objects (mutant.bzl).
      not_told_apart: clauses that have no mutant which a test could catch, each with the reason.
      representative: names of those whose tests belong to the normal suite.
    """
    list_label = ":" + name + "_list"
    _list(
        name = name + "_list",
        content = struct(
            mutants = [
                struct(clause = mutant.clause, file = mutant.file, name = mutant.name, wrong = mutant.wrong)
                for mutant in mutants
            ],
            not_told_apart = not_told_apart,
        ).to_json(),
    )
    texts_label = ":" + name + "_texts"
    _list(
        name = name + "_texts",
        content = struct(texts = [
            struct(file = mutant.file, find = mutant.find, name = mutant.name)
            for mutant in mutants
        ]).to_json(),
    )
    native.sh_test(
        name = "texts_test",
        size = "small",
        srcs = ["texts_test.py"],
        args = ["$(rootpath %s)" % texts_label],
        data = [texts_label] + [
            "//%s:%s.cc" % (place, part)
            for place in _PLACES
            for part in _PLACES[place].parts
        ],
    )

    judges = _JUDGES + [list_label]
    arguments = ["$(rootpath %s)" % label for label in judges]

    names = [mutant.name for mutant in mutants]
    for known in representative:
        if known not in names:
            fail("no mutant has the name " + known)
    for mutant in mutants:
        tags = [] if mutant.name in representative else _NOT_IN_THE_NORMAL_SUITE
        _shared_object(mutant, tags)
        native.sh_test(
            name = mutant.name + "_test",
            size = "medium",
            srcs = ["report.py"],
            args = arguments + [mutant.name],
            data = judges + [":lib%s.so" % mutant.name],
            # As the clause tests themselves: a kernel thread must be visible [ATT-08].
            tags = tags + ["no-sandbox"],
        )

    everything = {
        "srcs": ["report.py"],
        "args": arguments,
        "data": judges + [":lib%s.so" % mutant for mutant in names],
    }
    native.sh_binary(
        name = name,
        testonly = True,
        tags = _NOT_IN_THE_NORMAL_SUITE,
        **everything
    )
    native.sh_test(
        name = "all_" + name,
        size = "enormous",
        tags = _NOT_IN_THE_NORMAL_SUITE + ["no-sandbox", "exclusive"],
        **everything
    )
