"""The race scenes, explored up to a bound of preemptions."""

load("@rules_cc//cc:defs.bzl", "cc_test")

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
