"""Mutants of chapter 3: Attaching and looking up."""

load(":mutant.bzl", "mutant")

CHAPTER_03 = [
    mutant(
        clause = "ATT-01",
        name = "caller_has_two_references",
        wrong = "an attach gives the caller two references",
        file = "core/attach.cc",
        find = """  engine.Joined();
  engine.Ref();""",
        replace = """  engine.Joined();
  engine.Ref();
  engine.Ref();""",
    ),
    mutant(
        clause = "ATT-01",
        name = "attachment_has_no_reference",
        wrong = "the attachment holds no reference of its own",
        file = "core/attach.cc",
        find = """  engine.Joined();
  engine.Ref();""",
        replace = "  engine.Joined();",
    ),
    mutant(
        clause = "ATT-02",
        name = "reap_is_enabled_at_once",
        wrong = "a new engine has REAP in its mask",
        file = "core/engine_object.cc",
        find = "utrace_engine{engine_ops, engine_data, 0}",
        replace = "utrace_engine{engine_ops, engine_data, UTRACE_EVENT(REAP)}",
    ),
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
        clause = "ATT-03",
        name = "lookup_gives_no_reference",
        wrong = "a lookup gives no reference",
        file = "core/attach.cc",
        find = "      found->Ref();",
        replace = "",
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
        clause = "ATT-04",
        name = "lookup_ignores_data",
        wrong = "a lookup by ops and data finds an engine with other data",
        file = "core/attach.cc",
        find = "(flags & UTRACE_ATTACH_MATCH_DATA) != 0 && engine->data != data",
        replace = "(flags & UTRACE_ATTACH_MATCH_DATA) != 0 && (flags & UTRACE_ATTACH_MATCH_OPS) == 0 && engine->data != data",
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
        clause = "ATT-06",
        name = "bare_exclusive_never_fails",
        wrong = "EXCLUSIVE without a MATCH flag never fails",
        file = "core/attach.cc",
        find = "(flags & UTRACE_ATTACH_EXCLUSIVE) != 0 && FindMatch",
        replace = "(flags & UTRACE_ATTACH_EXCLUSIVE) != 0 && (flags & UTRACE_ATTACH_MATCH_MASK) != 0 && FindMatch",
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
        clause = "ATT-09",
        name = "no_memory_is_eagain",
        wrong = "an attach that finds no memory gives -EAGAIN",
        file = "core/attach.cc",
        find = """  } catch (const std::bad_alloc&) {
    *status = -ENOMEM;""",
        replace = """  } catch (const std::bad_alloc&) {
    *status = -EAGAIN;""",
    ),
    mutant(
        clause = "ATT-10",
        name = "reaped_is_einval",
        wrong = "an attach to a task that was reaped gives -EINVAL",
        file = "core/attach.cc",
        find = """      if (life_ >= Life::kReaping) {
        *status = -ESRCH;""",
        replace = """      if (life_ >= Life::kReaping) {
        *status = -EINVAL;""",
    ),
    mutant(
        clause = "ATT-11",
        name = "the_dead_cannot_be_attached",
        wrong = "an attach to a dead task that is not reaped gives -ESRCH",
        file = "core/attach.cc",
        find = "if (!exists || life_ >= Life::kReaping) {",
        replace = "if (!exists || life_ < Life::kReaping) {",
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
        clause = "ATT-14",
        name = "newcomers_are_called_at_once",
        wrong = "an engine that attaches during a report is called in it",
        file = "core/report.cc",
        find = """    for (size_t i = 0; i < count; ++i) {
      EngineObject& engine = *engines_[reverse ? count - 1 - i : i];""",
        replace = """    for (size_t i = 0; i < count + arriving_.size(); ++i) {
      EngineObject& engine =
          i >= count ? *arriving_[i - count] : *engines_[reverse ? count - 1 - i : i];""",
    ),
    mutant(
        clause = "ATT-15",
        name = "no_attach_to_the_current_task",
        wrong = "a callback cannot attach to its own task",
        file = "core/attach.cc",
        find = """  if (ops == nullptr) {
    *status = -EINVAL;""",
        replace = """  if (Current() == this) {
    *status = -EBUSY;
    return nullptr;
  }
  if (ops == nullptr) {
    *status = -EINVAL;""",
    ),
    mutant(
        clause = "ATT-15",
        name = "parents_engines_wait_for_the_newborn",
        wrong = "report_clone that attaches to the child waits for itself",
        file = "core/attach.cc",
        find = "if (newborn_of_ != nullptr && newborn_of_ != Current()) {",
        replace = "if (newborn_of_ != nullptr) {",
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
    mutant(
        clause = "ATT-19",
        name = "a_hundred_engines",
        wrong = "a task has room for a hundred engines",
        file = "core/attach.cc",
        find = """  try {
    engines_.reserve(""",
        replace = """  if (engines_.size() >= 100) return false;
  try {
    engines_.reserve(""",
    ),
    mutant(
        clause = "ATT-20",
        name = "second_attach_at_once_fails",
        wrong = "of two attaches at once to a task without engines one fails",
        file = "core/attach.cc",
        find = """      if (!adopted_) {
        lock.unlock();""",
        replace = """      if (!adopted_ && attaching_ > 1) {
        *status = -EAGAIN;
        break;
      }
      if (!adopted_) {
        lock.unlock();""",
    ),
]
