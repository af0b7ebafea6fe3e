// The frame to blame, and the one-line summary.
#include "engines/crash_catcher/report.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "engines/crash_catcher/fault.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

// What runs between the place that found something wrong and the signal. In a static program it is
// not told by its module.
constexpr std::string_view kMachineryNames[] = {
    "raise", "gsignal", "abort",  "kill",    "tgkill", "pthread_kill",
    "free",  "malloc",  "calloc", "realloc", "cfree",  "malloc_printerr",
};
constexpr std::string_view kMachineryBeginnings[] = {
    "__GI_",          "__pthread_kill",   "__assert",        "__libc_",
    "__fortify_fail", "__stack_chk",      "__chk_fail",      "_int_",
    "__cxxabiv1::",   "__gnu_cxx::",      "__cxa_",          "_Unwind_",
    "std::terminate", "std::rethrow_exc", "operator delete", "operator new",
};

constexpr std::string_view kMachineryModules[] = {
    "libc.so", "libc-", "libpthread", "libstdc++.so", "libgcc_s.so", "libc++", "ld-linux",
};

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool IsMachinery(const Frame& frame) {
  const std::string_view module = BaseName(frame.module);
  const auto begins = [](std::string_view text, const auto& beginnings) {
    return std::ranges::any_of(beginnings,
                               [text](std::string_view begin) { return text.starts_with(begin); });
  };
  const std::string& function = frame.functions[0].function;
  return begins(module, kMachineryModules) || begins(function, kMachineryBeginnings) ||
         std::ranges::find(kMachineryNames, function) != std::end(kMachineryNames);
}

std::string PlaceOf(const Frame& frame) {
  const Location& place = frame.functions[0];
  std::string text;
  if (!place.function.empty()) {
    text = place.function;
  } else if (!frame.module.empty()) {
    text = fmt::format("{}+{:#x}", BaseName(frame.module), frame.module_offset);
  } else {
    text = fmt::format("no code, at {:#x}", frame.pc);
  }
  if (place.line != 0) text += fmt::format(" at {}:{}", place.file, place.line);
  return text;
}

}  // namespace

const Frame* CulpritFrame(const Snapshot& snapshot) {
  if (snapshot.threads.empty()) return nullptr;
  const std::vector<Frame>& frames = snapshot.threads[0].frames;
  if (frames.empty()) return nullptr;
  const bool fault = snapshot.signal && IsFault(*snapshot.signal);
  if (!snapshot.signal || fault) return &frames[0];
  const auto found = std::ranges::find_if(
      frames, [](const Frame& frame) { return !frame.module.empty() && !IsMachinery(frame); });
  return found == frames.end() ? &frames[0] : &*found;
}

std::string Summary(const Snapshot& snapshot) {
  std::string text = fmt::format("{} ({})", snapshot.pid, OneLine(snapshot.name));
  if (!snapshot.signal) {
    return text + fmt::format(" was reported upon {}", snapshot.trigger);
  }
  text += fmt::format(" crashed by {}", SignalName(snapshot.signal->si_signo));
  if (const std::string sender = Sender(*snapshot.signal);
      !sender.empty() && snapshot.signal->si_pid != snapshot.pid) {
    text += ", " + sender + ",";
  }
  const Frame* const culprit = CulpritFrame(snapshot);
  if (culprit == nullptr) return text;
  text += " in " + PlaceOf(*culprit);
  if (culprit->functions[0].line != 0) return text;
  // Where our own source is nearest.
  const std::vector<Frame>& frames = snapshot.threads[0].frames;
  for (const Frame* frame = culprit; frame != frames.data() + frames.size(); ++frame) {
    if (frame->functions[0].line == 0) continue;
    return text + ", called from " + PlaceOf(*frame);
  }
  return text;
}

std::string OneLine(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  return line;
}

std::string TimeText(const timespec& time) {
  tm parts{};
  gmtime_r(&time.tv_sec, &parts);
  std::array<char, 32> text;
  strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", text.data(), time.tv_nsec / 1'000'000);
}

}  // namespace utrace::crash
