"""Libraries of one source file each, so that a build can put another file in the place of one."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def parts(names, deps, package = None, **kwargs):
    """A library part_<name> of <name>.cc for each of `names`, in the package of the caller.

    Args:
      names: of the files, without .cc.
      deps: what each of them is compiled against.
      package: where the files are, if not in the package of the caller.
      **kwargs: further attributes of each library.
    """
    for name in names:
        cc_library(
            name = "part_" + name,
            srcs = ["%s:%s.cc" % (package, name) if package else name + ".cc"],
            deps = deps,
            # They need each other, and some functions are looked up by name in a shared object.
            alwayslink = True,
            **kwargs
        )

def part_labels(package, names, replaced = None):
    """The labels of the libraries that parts() made of `names` in `package`, but for `replaced`."""
    return ["%s:part_%s" % (package, name) for name in names if name != replaced]
