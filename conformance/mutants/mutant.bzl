"""What a mutant is."""

def mutant(clause, name, wrong, file, find, replace):
    """An implementation that is wrong in one point.

    Args:
      clause: of level MUST, that it breaks ("CTL-17").
      name: of the shared object; no two are alike.
      wrong: what it does, for who reads the report.
      file: of ours that is changed, from the root of the tree; see _PLACES in defs.bzl.
      find: text that occurs exactly once in that file.
      replace: what stands there instead.
    """
    return struct(
        clause = clause,
        file = file,
        find = find,
        name = name,
        replace = replace,
        wrong = wrong,
    )
