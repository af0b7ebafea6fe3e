"""Mutants of chapter 16: Death and reap."""

load(":mutant.bzl", "mutant")

CHAPTER_16_DEATH = [
    mutant(
        clause = "DTH-01",
        name = "self_reaping_thread_dies_unreported",
        wrong = "a thread that reaps itself makes no report_death",
        file = "core/report.cc",
        find = """    if (life_ != Life::kAlive) return;
    life_ = Life::kDying;""",
        replace = """    if (life_ != Life::kAlive) return;
    life_ = Life::kDying;
    if (signal == -1) return;""",
    ),
    mutant(
        clause = "DTH-01",
        name = "detach_from_death_is_ignored",
        wrong = "DETACH returned from report_death is ignored",
        file = "core/report.cc",
        find = "if (action == UTRACE_DETACH || engine.state == EngineObject::State::kDetaching) {",
        replace = """if ((action == UTRACE_DETACH && kind != PassKind::kDeath) ||
      engine.state == EngineObject::State::kDetaching) {""",
    ),
    mutant(
        clause = "DTH-02",
        name = "leader_is_the_last",
        wrong = "group_dead is true for the leader, whoever dies last",
        file = "core/linux/life.cc",
        find = "const bool last = !replaced && IsLastOfGroup();",
        replace = "const bool last = !replaced && tid() == tgid_;",
    ),
    mutant(
        clause = "DTH-02",
        name = "dying_threads_do_not_count",
        wrong = "group_dead is true for each of several threads that die at once",
        file = "core/linux/life.cc",
        find = "if (other != nullptr && !other->death_reported_) return false;",
        replace = "if (other != nullptr && !other->death_reported_ && stat->state != 'Z') return false;",
    ),
    mutant(
        clause = "DTH-03",
        name = "the_dead_can_be_controlled",
        wrong = "STOP and RESUME of a dead task are accepted",
        file = "core/control.cc",
        find = "if (life_ != Life::kAlive && action != UTRACE_DETACH) return -ESRCH;",
        replace = "if (life_ == Life::kDying && action != UTRACE_DETACH) return -ESRCH;",
    ),
    mutant(
        clause = "REA-01",
        name = "reaped_when_dead",
        wrong = "report_reap is made as soon as the task is dead",
        file = "core/linux/life.cc",
        find = "if (!parent_waits) Reaped();",
        replace = "Reaped();",
    ),
    mutant(
        clause = "REA-02",
        name = "reap_beside_death_report",
        wrong = "the reap report does not wait for the death report",
        file = "core/linux/life.cc",
        find = """  const Region region;
  core_->EndNewborn();
  core_->OnDeath(last, signal);""",
        replace = """  core_->EndNewborn();
  core_->Ref();
  std::thread([core = core_, last, signal] {
    core->OnDeath(last, signal);
    core->Unref();
  }).detach();""",
    ),
    mutant(
        clause = "REA-03",
        name = "detach_from_death_waits_for_the_reap",
        wrong = "an engine that wants REAP cannot leave by the result of report_death",
        file = "core/report.cc",
        find = "if (action == UTRACE_DETACH || engine.state == EngineObject::State::kDetaching) {",
        replace = """const bool to_be_reaped =
      kind == PassKind::kDeath && (engine.flags & UTRACE_EVENT(REAP)) != 0;
  if ((action == UTRACE_DETACH && !to_be_reaped) ||
      engine.state == EngineObject::State::kDetaching) {""",
    ),
    mutant(
        clause = "REA-04",
        name = "who_reaps_himself_is_not_reaped",
        wrong = "a thread that reaps itself makes no report_reap",
        file = "core/linux/life.cc",
        find = "if (!parent_waits) Reaped();",
        replace = "if (!parent_waits && tid() == tgid_) Reaped();",
    ),
    mutant(
        clause = "REA-05",
        name = "report_reap_is_the_tasks_own_context",
        wrong = "control from report_reap is obeyed as from a callback of a living task",
        file = "core/control.cc",
        find = """life_ >= Life::kReaping) return -ESRCH;
    if (life_ != Life::kAlive && action != UTRACE_DETACH) return -ESRCH;""",
        replace = """life_ > Life::kReaping) return -ESRCH;
    if (life_ != Life::kAlive && action != UTRACE_DETACH && Current() != this) return -ESRCH;""",
    ),
    mutant(
        clause = "REA-06",
        name = "zombie_stays_until_nobody_waits",
        wrong = "a zombie whose reap an engine wants to see never goes to its parent",
        file = "core/linux/life.cc",
        find = """  Die(false);
  Lane* const lane""",
        replace = """  Die(false);
  if ((core_->HostInterest() & UTRACE_EVENT(REAP)) != 0) return;
  Lane* const lane""",
    ),
    mutant(
        clause = "REA-07",
        name = "detached_zombie_is_still_reported",
        wrong = "report_reap is made after a DETACH of a dead task that returned zero",
        file = "core/control.cc",
        find = """          engine.state =
              engine.in_callback ? EngineObject::State::kDetaching : EngineObject::State::kDetached;""",
        replace = """          if (life_ == Life::kDead) return 0;
          engine.state =
              engine.in_callback ? EngineObject::State::kDetaching : EngineObject::State::kDetached;""",
    ),
    mutant(
        clause = "REA-07",
        name = "late_detach_is_zero",
        wrong = "DETACH while the death is reported gives zero and changes nothing",
        file = "core/control.cc",
        find = "if (life_ == Life::kDying) return -EALREADY;",
        replace = "if (life_ == Life::kDying) return 0;",
    ),
]
