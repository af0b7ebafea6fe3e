// Calls on clocks and timers.
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

// Clocks of other processes are made of their ids.
void ShowClock(Call& call, uint64_t value) {
  const auto clock = static_cast<int32_t>(value);
  if (clock >= 0) return PutIntName(call.out, kClock, value);
  constexpr int kPerThread = 4;
  constexpr const char* kKinds[] = {"CPUCLOCK_PROF", "CPUCLOCK_VIRT", "CPUCLOCK_SCHED", "CLOCKFD"};
  const int id = ~(clock >> 3);
  if ((clock & 3) == 3) {
    call.out.BeginArguments("FD_TO_CLOCKID");
    PutDescriptor(call, id);
    return call.out.EndArguments();
  }
  call.out.BeginArguments((clock & kPerThread) != 0 ? "MAKE_THREAD_CPUCLOCK"
                                                    : "MAKE_PROCESS_CPUCLOCK");
  call.out.Signed(id);
  call.out.Name(kKinds[clock & 3]);
  call.out.EndArguments();
}
constexpr Type ClockId{ShowClock};

// What is left of a sleep that a signal ended.
void ShowSleepRest(Call& call, uint64_t address) {
  if (call.succeeded()) return call.out.Address(address);
  AtAddress<timespec, PutTimespec>(call, address);
}
constexpr Type SleepRest{.show = ShowSleepRest, .when = When::kExit, .on_failure = true};

void PutZone(Call& call, const struct timezone& zone) {
  call.out.BeginStruct();
  PutSignedField(call.out, "tz_minuteswest", zone.tz_minuteswest);
  PutSignedField(call.out, "tz_dsttime", zone.tz_dsttime);
  call.out.EndStruct();
}

void PutTimes(Call& call, const tms& times) {
  call.out.BeginStruct();
  PutSignedField(call.out, "tms_utime", times.tms_utime);
  PutSignedField(call.out, "tms_stime", times.tms_stime);
  PutSignedField(call.out, "tms_cutime", times.tms_cutime);
  PutSignedField(call.out, "tms_cstime", times.tms_cstime);
  call.out.EndStruct();
}

void PutTimex(Call& call, const timex& adjustment) {
  Renderer& out = call.out;
  out.BeginStruct();
  PutFlagsField(out, "modes", kAdjustModes, adjustment.modes);
  PutSignedField(out, "offset", adjustment.offset);
  PutSignedField(out, "freq", adjustment.freq);
  PutSignedField(out, "maxerror", adjustment.maxerror);
  PutSignedField(out, "esterror", adjustment.esterror);
  PutFlagsField(out, "status", kAdjustStatus, static_cast<uint32_t>(adjustment.status));
  PutSignedField(out, "constant", adjustment.constant);
  PutSignedField(out, "precision", adjustment.precision);
  PutSignedField(out, "tolerance", adjustment.tolerance);
  out.Field("time");
  PutTimeval(call, adjustment.time);
  PutSignedField(out, "tick", adjustment.tick);
  out.More();
  out.EndStruct();
}
constexpr Type TimexOut = Out<timex, PutTimex>;

bool TimeStateNote(Call& call) {
  const char* name = kTimeState.Find(static_cast<uint64_t>(call.value));
  if (name == nullptr) return false;
  call.out.BeginNote();
  call.out.FieldWithoutText("state");
  call.out.Name(name);
  call.out.EndNote();
  return true;
}

constexpr Type TimevalOut = Out<timeval, PutTimeval>;
constexpr Type ItimervalOut = Out<itimerval, PutItimerval>;
constexpr Type ItimervalIn = In<itimerval, PutItimerval>;
constexpr Type ItimerspecOut = Out<itimerspec, PutItimerspec>;
constexpr Type ItimerspecIn = In<itimerspec, PutItimerspec>;

constexpr CallInfo kCalls[] = {
    {"nanosleep", Returns::kDecimal, {{{"req", TimespecIn}, {"rem", SleepRest}}}},
    {"clock_nanosleep",
     Returns::kDecimal,
     {{{"clockid", ClockId},
       {"flags", Flags<kTimerFlags>},
       {"req", TimespecIn},
       {"rem", SleepRest}}}},
    {"clock_gettime", Returns::kDecimal, {{{"clockid", ClockId}, {"tp", TimespecOut}}}},
    {"clock_settime", Returns::kDecimal, {{{"clockid", ClockId}, {"tp", TimespecIn}}}},
    {"clock_getres", Returns::kDecimal, {{{"clockid", ClockId}, {"res", TimespecOut}}}},
    {"clock_adjtime",
     Returns::kDecimal,
     {{{"clockid", ClockId}, {"buf", TimexOut}}},
     TimeStateNote},
    {"adjtimex", Returns::kDecimal, {{{"buf", TimexOut}}}, TimeStateNote},
    {"gettimeofday",
     Returns::kDecimal,
     {{{"tv", TimevalOut}, {"tz", Out<struct timezone, PutZone>}}}},
    {"settimeofday",
     Returns::kDecimal,
     {{{"tv", In<timeval, PutTimeval>}, {"tz", In<struct timezone, PutZone>}}}},
    {"time", Returns::kDecimal, {{{"tloc", LongOut}}}},
    {"times", Returns::kDecimal, {{{"buf", Out<tms, PutTimes>}}}},
    {"getitimer", Returns::kDecimal, {{{"which", Named<kItimer>}, {"curr_value", ItimervalOut}}}},
    {"setitimer",
     Returns::kDecimal,
     {{{"which", Named<kItimer>}, {"new_value", ItimervalIn}, {"old_value", ItimervalOut}}}},
    {"timer_create",
     Returns::kDecimal,
     {{{"clockid", ClockId}, {"sevp", In<sigevent, PutSigevent>}, {"timerid", IntOut}}}},
    {"timer_settime",
     Returns::kDecimal,
     {{{"timerid", Int},
       {"flags", Flags<kTimerFlags>},
       {"new_value", ItimerspecIn},
       {"old_value", ItimerspecOut}}}},
    {"timer_gettime", Returns::kDecimal, {{{"timerid", Int}, {"curr_value", ItimerspecOut}}}},
    {"timer_getoverrun", Returns::kDecimal, {{{"timerid", Int}}}},
    {"timer_delete", Returns::kDecimal, {{{"timerid", Int}}}},
    {"timerfd_create",
     Returns::kDescriptor,
     {{{"clockid", ClockId}, {"flags", Flags<kTimerfdFlags>}}},
     nullptr,
     kClassDesc},
    {"timerfd_settime",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"flags", Flags<kTimerfdSettimeFlags>},
       {"new_value", ItimerspecIn},
       {"old_value", ItimerspecOut}}}},
    {"timerfd_gettime", Returns::kDecimal, {{{"fd", Fd}, {"curr_value", ItimerspecOut}}}},
};

}  // namespace

std::span<const CallInfo> TimeCalls() { return kCalls; }

}  // namespace utrace::syscall_log
