"""Mutants of chapter 3: Attaching and looking up."""

load(":mutant.bzl", "mutant")

CHAPTER_03 = [
    mutant(
        clause = "ATT-03",
        name = "lookup_takes_the_last",
        wrong = "a lookup returns the last engine that matches",
        file = "core/attach.cc",
        find = """      return engine;
""",
        replace = """      if (engine != list->back()) continue;
      return engine;
""",
    ),
    mutant(
        clause = "ATT-04",
        name = "lookup_ignores_ops",
        wrong = "a lookup by ops finds engines with other ops",
        file = "core/attach.cc",
        find = "if ((flags & UTRACE_ATTACH_MATCH_OPS) != 0 && engine->ops != ops) continue;",
        replace = "if (false && engine->ops != ops) continue;",
    ),
    mutant(
        clause = "ATT-05",
        name = "no_match_is_esrch",
        wrong = "a lookup that matches nothing gives -ESRCH",
        file = "core/attach.cc",
        find = "*status = -ENOENT;",
        replace = "*status = -ESRCH;",
    ),
    mutant(
        clause = "ATT-06",
        name = "exclusive_is_ebusy",
        wrong = "EXCLUSIVE gives -EBUSY",
        file = "core/attach.cc",
        find = "*status = -EEXIST;",
        replace = "*status = -EBUSY;",
    ),
    mutant(
        clause = "ATT-07",
        name = "null_ops_is_efault",
        wrong = "null ops give -EFAULT",
        file = "core/attach.cc",
        find = """if (ops == nullptr) {
    *status = -EINVAL;""",
        replace = """if (ops == nullptr) {
    *status = -EFAULT;""",
    ),
    mutant(
        clause = "ATT-08",
        name = "kernel_thread_is_esrch",
        wrong = "a kernel thread gives -ESRCH",
        file = "core/attach.cc",
        find = "*status = -EPERM;",
        replace = "*status = -ESRCH;",
    ),
    mutant(
        clause = "ATT-12",
        name = "detaching_engine_is_found",
        wrong = "an engine that leaves when its callback ends is still found",
        file = "core/attach.cc",
        find = "if (engine->state != EngineObject::State::kAttached) continue;",
        replace = "if (engine->state == EngineObject::State::kDetached) continue;",
    ),
    mutant(
        clause = "ATT-13",
        name = "new_engine_is_first",
        wrong = "a new engine is first in order",
        file = "core/attach.cc",
        find = "engines_.push_back(&engine);",
        replace = "engines_.insert(engines_.begin(), &engine);",
    ),
    mutant(
        clause = "ATT-16",
        name = "newborn_is_free_to_all",
        wrong = "an attach to a newborn does not wait for its parent's report",
        file = "core/attach.cc",
        find = "if (newborn_of_ != nullptr && newborn_of_ != Current()) {",
        replace = "if (false) {",
    ),
    mutant(
        clause = "ATT-17",
        name = "interrupted_attach_is_eintr",
        wrong = "an interrupted attach gives -EINTR",
        file = "core/attach.cc",
        find = "*status = -UTRACE_ERESTARTNOINTR;",
        replace = "*status = -EINTR;",
    ),
    mutant(
        clause = "ATT-18",
        name = "exclusive_alone_creates",
        wrong = "EXCLUSIVE alone attaches an engine",
        file = "core/attach.cc",
        find = "if ((flags & UTRACE_ATTACH_CREATE) == 0) {",
        replace = "if ((flags & (UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE)) == 0) {",
    ),
]
