#include "conformance/kit/test.h"

#include <exception>
#include <mutex>
#include <sstream>

#include "conformance/kit/history_recorder.h"

namespace utrace::kit {
namespace {

struct TheOutcome {
  std::mutex mutex;
  Outcome outcome;
};
TheOutcome& State() {
  static auto* state = new TheOutcome;
  return *state;
}

void NoteVerdict(Verdict verdict, const std::string& message) {
  TheOutcome& state = State();
  std::lock_guard lock(state.mutex);
  state.outcome.verdict = verdict;
  state.outcome.message = message;
  if (verdict == Verdict::kNotApplicable) {
    state.outcome.needs = message;
    state.outcome.message = "the tasks of this host cannot do that: " + message;
  }
}

std::string List(std::initializer_list<long> values) {
  std::string text;
  for (const long value : values) text += (text.empty() ? "" : " or ") + ErrnoName(value);
  return text;
}

}  // namespace

Outcome CurrentOutcome() {
  TheOutcome& state = State();
  std::lock_guard lock(state.mutex);
  return state.outcome;
}

void NoteExpectation(const std::string& expected, const std::string& seen) {
  TheOutcome& state = State();
  std::lock_guard lock(state.mutex);
  if (!state.outcome.expected.empty()) return;
  state.outcome.expected = expected;
  state.outcome.seen = seen;
}

// ---- Expectations ------------------------------------------------------------------------------

bool ExpectOneOf(long value, std::initializer_list<long> allowed, const char* file, int line) {
  for (const long each : allowed) {
    if (value == each) return true;
  }
  NoteExpectation(List(allowed), ErrnoName(value));
  ADD_FAILURE_AT(file, line) << "expected: " << List(allowed) << "\nseen: " << ErrnoName(value)
                             << "\ndoing: " << CurrentStep();
  return false;
}

void AssertOneOf(long value, std::initializer_list<long> allowed, const char* file, int line) {
  if (ExpectOneOf(value, allowed, file, line)) return;
  // The failure is recorded already; this only leaves the test.
  throw Abandon{Verdict::kFail, ""};
}

bool ExpectResumeOneOf(uint32_t value, std::initializer_list<uint32_t> allowed, const char* file,
                       int line) {
  std::string list;
  for (const uint32_t each : allowed) {
    if ((value & UTRACE_RESUME_MASK) == (each & UTRACE_RESUME_MASK)) return true;
    list += (list.empty() ? "" : " or ") + ResumeActionName(each);
  }
  NoteExpectation(list, ResumeActionName(value));
  ADD_FAILURE_AT(file, line) << "expected: " << list << "\nseen: " << ResumeActionName(value);
  return false;
}

bool ExpectLog(const std::vector<Report>& log, std::initializer_list<What> expected,
               const char* file, int line) {
  std::vector<What> seen;
  for (const Report& report : log) seen.push_back(report.what);
  if (seen == std::vector<What>(expected)) return true;
  std::string list;
  for (const What what : expected) list += (list.empty() ? "" : ", ") + std::string(WhatName(what));
  if (list.empty()) list = "no callbacks";
  NoteExpectation(list, Describe(log));
  ADD_FAILURE_AT(file, line) << "expected: " << list << "\nseen:\n" << Describe(log);
  return false;
}

// ---- The fixture -------------------------------------------------------------------------------

namespace {

std::vector<std::string>& Schedules() {
  static auto* schedules = new std::vector<std::string>{""};
  return *schedules;
}

}  // namespace

void UseSchedules(std::vector<std::string> schedules) { Schedules() = std::move(schedules); }

void ClauseTest::TestBody() {
  for (const std::string& schedule : Schedules()) {
    RunOnce(schedule);
    if (HasFailure() || CurrentOutcome().verdict != Verdict::kPass) return;
  }
}

void ClauseTest::RunOnce(const std::string& schedule) {
  TheOutcome& state = State();
  {
    std::lock_guard lock(state.mutex);
    state.outcome = Outcome();
  }
  ClearTraced();
  ResetEngines();
  StartHistory();
  SetStep("setting up");
  const Threads::Ran ran = TheThreads().Run(schedule, [this] {
    RunBody();
    EndPuppets();
  });
  {
    std::lock_guard lock(state.mutex);
    state.outcome.schedule = ran.schedule;
  }
  if (!ran.error.empty()) ADD_FAILURE() << ran.error << "; the test was at: " << CurrentStep();
  const std::string witness = FinishHistory();
  if (witness.empty()) return;
  const size_t colon = witness.find(": ");
  NoteExpectation("a history that keeps " + witness.substr(0, colon), witness);
  ADD_FAILURE() << "the history breaks a rule\n" << witness;
}

// By now the test's engines are gone. Killing the puppets ends what the implementation traces.
void ClauseTest::EndPuppets() {
  Gate::OpenAll();
  SetStep("ending the puppets");
  nanny_.reset();
}

void ClauseTest::RunBody() {
  try {
    Body();
  } catch (const Abandon& abandon) {
    if (abandon.verdict == Verdict::kFail) {
      const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
      if (!abandon.text.empty()) ADD_FAILURE_AT(info->file(), info->line()) << abandon.text;
    } else {
      NoteVerdict(abandon.verdict, abandon.text);
    }
  } catch (const std::exception& error) {
    NoteVerdict(Verdict::kBroken, std::string("exception in the test: ") + error.what());
  }
}

Nanny& ClauseTest::nanny() {
  if (nanny_ == nullptr) nanny_ = std::make_unique<Nanny>();
  return *nanny_;
}

Puppet& ClauseTest::Spawn(std::string name) { return nanny().Spawn(std::move(name)); }
TaskRef ClauseTest::Task(const PuppetThread& thread) { return FindTask(thread.tid()); }
PidRef ClauseTest::Pid(const PuppetThread& thread) { return FindPid(thread.tid()); }

bool ClauseTest::Declares(const std::string& limit) {
  const char* text = api().utrace_declared_limits();
  if (text == nullptr) return false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line == limit || line.compare(0, limit.size() + 1, limit + " ") == 0) return true;
  }
  return false;
}

void ClauseTest::SkipIfDeclared(const std::string& limit) {
  if (Declares(limit)) Unsupported("the implementation declares " + limit);
}

bool RegisterClauseTest(const char* clause, const char* name, const char* file, int line,
                        ClauseTest* (*make)()) {
  ::testing::RegisterTest(clause, name, nullptr, nullptr, file, line,
                          [make]() -> ClauseTest* { return make(); });
  return true;
}

}  // namespace utrace::kit
