"""Mutants of chapter 4: The lifetime of an engine."""

load(":mutant.bzl", "mutant")

CHAPTER_04 = [
    mutant(
        clause = "REF-01",
        name = "detach_frees_the_engine",
        wrong = "a detached engine is freed whoever holds a reference",
        file = "core/engine_object.cc",
        find = "  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;",
        replace = """  const uint32_t before = references.fetch_sub(1, std::memory_order_acq_rel);
  if (before != 1 && !(was_attached && state == State::kDetached)) return;""",
    ),
    mutant(
        clause = "REF-02",
        name = "attached_engine_goes_with_its_caller",
        wrong = "a caller who drops a reference detaches the engine",
        file = "core/api.cc",
        find = "if (!utrace::Unusable(engine)) utrace::FromPublic(engine)->Unref();",
        replace = """if (!utrace::Unusable(engine)) {
    utrace::FromPublic(engine)->task->Control(*utrace::FromPublic(engine), UTRACE_DETACH);
    utrace::FromPublic(engine)->Unref();
  }""",
    ),
    mutant(
        clause = "REF-03",
        name = "release_is_not_called",
        wrong = "release is never called",
        file = "core/engine_object.cc",
        find = "if (was_attached && release != nullptr) release(data);",
        replace = "",
    ),
    mutant(
        clause = "REF-03",
        name = "release_gets_the_engine",
        wrong = "release is passed the engine",
        file = "core/engine_object.cc",
        find = "release(data);",
        replace = "release(this);",
    ),
    mutant(
        clause = "REF-04",
        name = "release_of_today",
        wrong = "release is taken from the ops table when it is called",
        file = "core/engine_object.cc",
        find = "if (was_attached && release != nullptr) release(data);",
        replace = "if (was_attached && ops->release != nullptr) ops->release(data);",
    ),
    mutant(
        clause = "REF-05",
        name = "release_does_not_wait_for_the_callback",
        wrong = "release is called as soon as no caller holds a reference, a callback running or not",
        file = "core/engine_object.cc",
        find = "  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;",
        replace = """  const uint32_t before = references.fetch_sub(1, std::memory_order_acq_rel);
  if (before == 2 && was_attached && in_callback && release != nullptr) {
    was_attached = false;
    release(data);
    return;
  }
  if (before != 1) return;""",
    ),
    mutant(
        clause = "REF-06",
        name = "reaping_detaches_nobody",
        wrong = "the engines of a reaped task stay attached",
        file = "core/report.cc",
        find = "for (EngineObject* engine : *list) engine->state = EngineObject::State::kDetached;",
        replace = "for (EngineObject* engine : *list) engine->in_callback = false;",
    ),
    mutant(
        clause = "REF-07",
        name = "failed_attach_releases",
        wrong = "an attach that failed calls release",
        file = "core/engine_object.cc",
        find = "if (was_attached && release != nullptr)",
        replace = "if (release != nullptr)",
    ),
]
