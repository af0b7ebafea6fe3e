#include "cli/task_tree.h"

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/printable.h"
#include "fmt/core.h"

namespace utrace::cli {
namespace {

using Json = nlohmann::json;

std::vector<Json> Parse(const std::vector<std::string>& items) {
  std::vector<Json> parsed;
  for (const std::string& item : items) {
    Json json = Json::parse(item, nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) parsed.push_back(std::move(json));
  }
  return parsed;
}

// "SYSCALL_ENTRY|EXIT", as Events shows them.
std::string Joined(const Json& names) {
  std::string joined;
  for (const Json& name : names) {
    if (!joined.empty()) joined += '|';
    joined += name.get<std::string>();
  }
  return joined.empty() ? "none" : joined;
}

std::string EngineName(const Json& engine) {
  return fmt::format("{} #{}", engine.value("name", "?"), engine.value("id", uint64_t{0}));
}

// "stopped by stop #4"
std::string State(const Json& task) {
  std::string state = task.value("state", "?");
  std::string by;
  for (const Json& engine : task.value("engines", Json::array())) {
    if (!engine.value("stops", false)) continue;
    if (!by.empty()) by += ", ";
    by += EngineName(engine);
  }
  if (!by.empty()) state += " by " + by;
  const std::string kernel = task.value("kernel_state", "");
  if (by.empty() && kernel == "T") state = "stopped by a signal";
  return state;
}

// "; changed 2 calls, of which 1 aborted; overruled 3 times" (docs/sharing.md).
std::string Changes(const Json& engine) {
  const Json changes = engine.value("changes", Json::object());
  constexpr std::array<std::pair<const char*, const char*>, 4> kKinds = {{
      {"signals", "{} signals"},
      {"calls", "{} calls"},
      {"registers", "registers {} times"},
      {"memory", "memory {} times"},
  }};
  std::string text;
  for (const auto& [key, pattern] : kKinds) {
    const unsigned count = changes.value(key, 0U);
    if (count == 0) continue;
    text += text.empty() ? "; changed " : ", ";
    text += fmt::format(fmt::runtime(pattern), count);
  }
  if (const unsigned aborts = changes.value("aborts", 0U); aborts != 0) {
    text += fmt::format("; aborted {} calls", aborts);
  }
  if (const unsigned overruled = changes.value("overruled", 0U); overruled != 0) {
    text += fmt::format("; overruled {} times", overruled);
  }
  return text;
}

struct Row {
  std::string head;  // what follows the thread's number
  std::vector<std::string> engines;
  bool operator==(const Row&) const = default;
};

Row MakeRow(const Json& task) {
  Row row{.head = fmt::format("{}  {}  {}", Printable(task.value("command", "")), State(task),
                              task.value("status", "")),
          .engines = {}};
  for (const Json& engine : task.value("engines", Json::array())) {
    const Json client = engine.value("client", Json::object());
    std::string of;
    for (const Json& one : engine.value("tracers", Json::array({client}))) {
      if (!of.empty()) of += ", ";
      of += fmt::format("utrace {} (pid {})", Printable(one.value("command", "?")),
                        one.value("pid", 0));
    }
    row.engines.push_back(fmt::format("{} of {}  {}{}", EngineName(engine), of,
                                      Joined(engine.value("events", Json::array())),
                                      Changes(engine)));
  }
  if (const size_t more = task.value("engines_left_out", size_t{0}); more != 0) {
    row.engines.push_back(fmt::format("and {} engines more", more));
  }
  return row;
}

void AppendThread(std::string* text, const std::string& numbers, const Row& row, bool last) {
  *text += fmt::format("{}{}  {}\n", last ? "└─ " : "├─ ", numbers, row.head);
  for (size_t n = 0; n < row.engines.size(); ++n) {
    *text += fmt::format("{}{}{}\n", last ? "   " : "│  ",
                         n + 1 == row.engines.size() ? "└─ " : "├─ ", row.engines[n]);
  }
}

}  // namespace

std::string TaskTree(const std::vector<std::string>& items) {
  struct Entry {
    int first = 0;
    int last = 0;
    size_t count = 0;
    Row row;
  };
  struct Process {
    std::string command;
    std::vector<Entry> entries;
  };
  std::map<int, Process> processes;
  for (const Json& task : Parse(items)) {
    Process& process = processes[task.value("pid", 0)];
    process.command = Printable(task.value("process", ""));
    const int tid = task.value("tid", 0);
    Row row = MakeRow(task);
    if (!process.entries.empty() && process.entries.back().row == row) {
      process.entries.back().last = tid;
      ++process.entries.back().count;
    } else {
      process.entries.push_back({.first = tid, .last = tid, .count = 1, .row = std::move(row)});
    }
  }
  std::string text;
  for (const auto& [pid, process] : processes) {
    text += fmt::format("{} {}\n", pid, process.command);
    for (const Entry& entry : process.entries) {
      const std::string numbers =
          entry.count == 1
              ? std::to_string(entry.first)
              : fmt::format("{} .. {} ({} threads)", entry.first, entry.last, entry.count);
      AppendThread(&text, numbers, entry.row, &entry == &process.entries.back());
    }
  }
  return text;
}

std::string TaskTreeAsJson(const std::vector<std::string>& items) {
  std::map<int, Json> processes;
  for (Json& task : Parse(items)) {
    const int pid = task.value("pid", 0);
    Json& process = processes[pid];
    if (process.is_null()) {
      process = {{"pid", pid}, {"command", task.value("process", "")}, {"threads", Json::array()}};
    }
    task.erase("pid");
    task.erase("process");
    process["threads"].push_back(std::move(task));
  }
  Json all = Json::array();
  for (auto& [pid, process] : processes) all.push_back(std::move(process));
  return Json{{"processes", std::move(all)}}.dump(2) + "\n";
}

}  // namespace utrace::cli
