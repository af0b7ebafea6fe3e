"""Clause tests as Bazel tests."""

def clause_tests(
        name,
        only = [],
        implementation = "//core:libutrace.so",
        schedules = 1,
        size = "medium",
        tags = [],
        **kwargs):
    """A test that certifies an implementation by some clauses.

    Each clause test counts as a case of its own in the test's XML report.

    Args:
      name: of the test target.
      only: what to test: families ("ATT"), chapters ("3"), clauses ("ATT-05") or single tests.
        Nothing: the whole suite, with the checks that make it a certificate.
      implementation: a label that stands for one shared object, or None: then it is named on the
        command line, by --test_arg=--implementation=/path/to/file.so.
      schedules: how many random schedules each test is run by; above 1 only where the implementation
        runs the kit's threads (core/utrace_target.h, part B).
      size: as for any test.
      tags: as for any test.
      **kwargs: further attributes of the test.
    """
    driver = "//conformance/certify:clause_test_driver"
    runner = "//conformance/clauses:runner"
    puppet = "//conformance/puppet"
    args = [
        "$(rootpath %s)" % driver,
        "--runner=$(rootpath %s)" % runner,
        "--puppet=$(rootpath %s)" % puppet,
    ]
    data = [driver, runner, puppet]
    if only:
        args.append("--only=" + ",".join(only))
    if schedules > 1:
        args.append("--schedules=%d" % schedules)
    if implementation:
        args.append("--implementation=$(rootpath %s)" % implementation)
        data.append(implementation)
    else:
        # Whoever builds everything has no file to name.
        tags = tags + ["manual", "external", "local"]
    native.sh_test(
        name = name,
        size = size,
        srcs = ["//conformance/certify:clause_test.sh"],
        args = args,
        data = data,
        tags = tags,
        **kwargs
    )
