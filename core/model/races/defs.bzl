"""The race scenes, explored up to a bound of preemptions."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")
load("//core:parts.bzl", "core_library")

def race_tests(name, bounds):
    """Tests <name>_<bound>_test.

    Args:
      name: prefix of their names.
      bounds: numbers of preemptions, and the tags of the test.
    """
    for bound, tags in bounds.items():
        cc_test(
            name = "%s_%d_test" % (name, bound),
            size = "medium" if bound < 3 else "enormous",
            args = ["--schedule=exhaustive:%d" % bound],
            tags = tags,
            deps = [
                ":scenes",
                "//core/model",
            ],
        )

def race_mutant(name, part, find, replace, scene):
    """<name>_test: a core that is wrong in one point is found by a scene, which names its schedule.

    Args:
      name: says what is wrong.
      part: of CORE_PARTS.
      find: text that occurs once in that part.
      replace: what stands there instead.
      scene: CLAUSE.Name, where it shows.
    """
    source = "%s_%s.cc" % (name, part)
    native.genrule(
        name = name + "_source",
        srcs = ["//core:%s.cc" % part],
        outs = [source],
        cmd = "$(location //tools:replace_once) $< $@ '%s' '%s'" % (find, replace),
        tools = ["//tools:replace_once"],
    )
    core_library(
        name = name + "_core",
        package = "//core/model",
        replaced = part,
        replacement = source,
    )
    cc_binary(
        name = name,
        testonly = True,
        deps = [
            ":scenes",
            ":%s_core" % name,
        ],
    )
    native.sh_test(
        name = name + "_test",
        size = "medium",
        srcs = ["mutant_is_found.py"],
        args = [
            "$(rootpath :%s)" % name,
            scene,
        ],
        data = [":" + name],
    )
