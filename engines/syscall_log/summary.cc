#include "engines/syscall_log/summary.h"

#include <algorithm>
#include <string>
#include <vector>

namespace utrace::syscall_log {
namespace {

constexpr double kSecond = 1e9;
constexpr int64_t kMicrosecond = 1000;

struct Row {
  std::string name;
  uint64_t calls;
  uint64_t errors;
  int64_t time;
};

void PrintTable(const std::vector<Row>& rows, const Row& total, Text& out) {
  constexpr std::string_view kRuler =
      "------ ----------- ----------- --------- --------- ----------------\n";
  const auto print = [&](const Row& row, bool average) {
    const double share =
        total.time == 0 ? 0.0
                        : 100.0 * static_cast<double>(row.time) / static_cast<double>(total.time);
    Print(out, "{:6.2f} {:11.6f} ", share, static_cast<double>(row.time) / kSecond);
    if (average) {
      Print(out, "{:11} ", row.time / kMicrosecond / static_cast<int64_t>(row.calls));
    } else {
      Print(out, "{:11} ", "");
    }
    Print(out, "{:9} ", row.calls);
    if (row.errors != 0) {
      Print(out, "{:9} ", row.errors);
    } else {
      Print(out, "{:9} ", "");
    }
    Print(out, "{}\n", row.name);
  };
  syscall_log::Append(out, "% time     seconds  usecs/call     calls    errors syscall\n");
  syscall_log::Append(out, kRuler);
  for (const Row& row : rows) print(row, true);
  syscall_log::Append(out, kRuler);
  print(total, false);
}

}  // namespace

void Summary::Add(long number, bool failed, int64_t duration) {
  const bool known = number >= 0 && number < kSyscallLimit;
  Count& count = counts_[known ? static_cast<size_t>(number) : size_t{kSyscallLimit}];
  count.calls.fetch_add(1, std::memory_order_relaxed);
  if (failed) count.errors.fetch_add(1, std::memory_order_relaxed);
  count.time.fetch_add(duration, std::memory_order_relaxed);
}

void Summary::Append(Format format, Text& out) const {
  std::vector<Row> rows;
  Row total{.name = "total", .calls = 0, .errors = 0, .time = 0};
  for (size_t number = 0; number < counts_.size(); ++number) {
    const Count& count = counts_[number];
    Row row{.name = {},
            .calls = count.calls.load(std::memory_order_relaxed),
            .errors = count.errors.load(std::memory_order_relaxed),
            .time = count.time.load(std::memory_order_relaxed)};
    if (row.calls == 0) continue;
    Text name;
    AppendSyscallName(name, static_cast<long>(number));
    row.name = number == kSyscallLimit ? "others" : fmt::to_string(name);
    total.calls += row.calls;
    total.errors += row.errors;
    total.time += row.time;
    rows.push_back(std::move(row));
  }
  std::ranges::stable_sort(rows, std::greater<>(), &Row::time);
  if (format == Format::kText) return PrintTable(rows, total, out);
  syscall_log::Append(out, "{\"event\":\"summary\",\"calls\":[");
  for (size_t i = 0; i < rows.size(); ++i) {
    Print(out, "{}{{\"name\":\"{}\",\"calls\":{},\"errors\":{},\"time_ns\":{}}}", i == 0 ? "" : ",",
          rows[i].name, rows[i].calls, rows[i].errors, rows[i].time);
  }
  syscall_log::Append(out, "]}\n");
}

}  // namespace utrace::syscall_log
