#include "conformance/certify/record.h"

#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

namespace utrace::certify {
namespace {

using Json = nlohmann::ordered_json;

constexpr long kMaxCpus = 1 << 20;
constexpr int kMaxSignal = 64;

void AddLine(const Json& value, std::string* text) {
  *text += value.dump(-1, ' ', false, Json::error_handler_t::replace);
  *text += '\n';
}

Json HeaderLine(const RunRecord& record) {
  Json waivers = Json::array();
  for (const Waiver& waiver : record.waivers) {
    waivers.push_back({{"clause", waiver.clause}, {"reason", waiver.reason}});
  }
  const Machine& machine = record.machine;
  return {{"format", kRecordFormat},
          {"tool", record.tool_version},
          {"specification", record.spec_sha256},
          {"date", record.date},
          {"machine",
           {{"kernel", machine.kernel},
            {"machine", machine.machine},
            {"host", machine.host},
            {"cpus", machine.cpus}}},
          {"selection", record.selection},
          {"schedules", record.schedules},
          {"waivers", std::move(waivers)},
          {"hosts", record.hosts.size()}};
}

Json HostLine(const HostRecord& host) {
  return {{"host",
           {{"path", host.path},
            {"sha256", host.sha256},
            {"reproduce", host.reproduce},
            {"facts", host.facts},
            {"error", host.error},
            {"blameless", host.blameless}}}};
}

Json TestLine(const Evidence& evidence) {
  return {{"test", evidence.test},
          {"error", evidence.end.error},
          {"timed_out", evidence.end.timed_out},
          {"wait_status", evidence.end.wait_status},
          {"milliseconds", evidence.end.milliseconds},
          {"result", evidence.result},
          {"output", evidence.output},
          {"log", evidence.log},
          {"history", evidence.history}};
}

Json EndLine(const HostRecord& host) {
  return {{"ended", {{"signal", host.signal}, {"seconds", host.seconds}}}};
}

// Takes the fields of one object, each of which has to be there, with its type, and no other.
class Fields {
 public:
  Fields(const Json& object, std::string* error) : object_(object), error_(*error) {
    if (!object_.is_object()) Fail("an object is expected");
  }

  bool Text(const char* name, std::string* value) {
    const Json* field = Take(name);
    if (field == nullptr) return false;
    if (!field->is_string()) return Fail(fmt::format("\"{}\" is no text", name));
    *value = field->get<std::string>();
    return true;
  }
  bool Flag(const char* name, bool* value) {
    const Json* field = Take(name);
    if (field == nullptr) return false;
    if (!field->is_boolean()) return Fail(fmt::format("\"{}\" is neither true nor false", name));
    *value = field->get<bool>();
    return true;
  }
  template <class Integer>
  bool Count(const char* name, Integer most, Integer* value) {
    const Json* field = Take(name);
    if (field == nullptr) return false;
    const bool good =
        field->is_number_unsigned() && field->get<uint64_t>() <= static_cast<uint64_t>(most);
    if (!good) return Fail(fmt::format("\"{}\" is no number from 0 to {}", name, most));
    *value = static_cast<Integer>(field->get<uint64_t>());
    return true;
  }
  bool Duration(const char* name, double* value) {
    const Json* field = Take(name);
    if (field == nullptr) return false;
    if (!field->is_number() || !std::isfinite(field->get<double>()) || field->get<double>() < 0) {
      return Fail(fmt::format("\"{}\" is no duration", name));
    }
    *value = field->get<double>();
    return true;
  }
  // Null, and an error, if it is not there.
  const Json* Take(const char* name) {
    if (!error_.empty()) return nullptr;
    const auto found = object_.find(name);
    if (found == object_.end()) {
      Fail(fmt::format("\"{}\" is missing", name));
      return nullptr;
    }
    ++taken_;
    return &*found;
  }
  bool NoMore() {
    if (error_.empty() && taken_ != object_.size())
      Fail("there are fields that do not belong here");
    return error_.empty();
  }

 private:
  bool Fail(const std::string& what) {
    if (error_.empty()) error_ = what;
    return false;
  }

  const Json& object_;
  std::string& error_;
  size_t taken_ = 0;
};

class RecordReader {
 public:
  explicit RecordReader(std::string_view text) : text_(text) {}

  std::optional<RunRecord> Read(std::string* error) {
    while (!text_.empty() && error_.empty()) {
      ++line_;
      const size_t end = text_.find('\n');
      if (end == std::string_view::npos) {
        error_ = "the file is cut off";
      } else {
        TakeLine(text_.substr(0, end));
        text_.remove_prefix(end + 1);
      }
    }
    if (error_.empty() && line_ == 0) error_ = "the file is empty";
    if (error_.empty() && record_.hosts.size() != hosts_) {
      ++line_;
      error_ = fmt::format("the file is cut off: {} of {} hosts", record_.hosts.size(), hosts_);
    }
    if (error_.empty()) return std::move(record_);
    *error = fmt::format("line {}: {}", line_, error_);
    return std::nullopt;
  }

 private:
  void TakeLine(std::string_view line) {
    const Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!value.is_object()) {
      error_ = "this is no JSON object";
    } else if (line_ == 1) {
      TakeHeader(value);
    } else if (value.contains("host")) {
      TakeHost(value);
    } else if (record_.hosts.empty() || record_.hosts.back().ended) {
      error_ = "a line that belongs to no host";
    } else if (value.contains("test")) {
      TakeTest(value);
    } else if (value.contains("ended")) {
      TakeEnd(value);
    } else {
      error_ = "neither a host, nor a test, nor an end";
    }
  }

  void TakeHeader(const Json& line) {
    Fields fields(line, &error_);
    std::string format;
    if (fields.Text("format", &format) && format != kRecordFormat) {
      error_ = fmt::format("the format is not {}", kRecordFormat);
    }
    fields.Text("tool", &record_.tool_version);
    fields.Text("specification", &record_.spec_sha256);
    fields.Text("date", &record_.date);
    if (const Json* machine = fields.Take("machine")) {
      Fields of_machine(*machine, &error_);
      of_machine.Text("kernel", &record_.machine.kernel);
      of_machine.Text("machine", &record_.machine.machine);
      of_machine.Text("host", &record_.machine.host);
      of_machine.Count("cpus", kMaxCpus, &record_.machine.cpus);
      of_machine.NoMore();
    }
    TakeList(fields.Take("selection"), "selection", [&](const Json& entry) {
      if (entry.is_string()) {
        record_.selection.push_back(entry.get<std::string>());
      } else {
        error_ = "\"selection\" holds what is no text";
      }
    });
    fields.Text("schedules", &record_.schedules);
    TakeList(fields.Take("waivers"), "waivers", [&](const Json& entry) {
      Waiver waiver;
      Fields of_waiver(entry, &error_);
      of_waiver.Text("clause", &waiver.clause);
      of_waiver.Text("reason", &waiver.reason);
      of_waiver.NoMore();
      record_.waivers.push_back(std::move(waiver));
    });
    fields.Count("hosts", size_t{1000}, &hosts_);
    fields.NoMore();
  }

  template <class Function>
  void TakeList(const Json* list, const char* name, Function take) {
    if (list == nullptr) return;
    if (!list->is_array()) error_ = fmt::format("\"{}\" is no list", name);
    for (const Json& entry : *list) {
      if (error_.empty()) take(entry);
    }
  }

  void TakeHost(const Json& line) {
    if (record_.hosts.size() == hosts_) {
      error_ = "more hosts than the first line says";
      return;
    }
    Fields fields(line, &error_);
    const Json* host = fields.Take("host");
    if (!fields.NoMore()) return;
    HostRecord& record = record_.hosts.emplace_back();
    Fields of_host(*host, &error_);
    of_host.Text("path", &record.path);
    of_host.Text("sha256", &record.sha256);
    of_host.Text("reproduce", &record.reproduce);
    of_host.Text("facts", &record.facts);
    of_host.Text("error", &record.error);
    of_host.Flag("blameless", &record.blameless);
    of_host.NoMore();
  }

  void TakeTest(const Json& line) {
    Evidence evidence;
    Fields fields(line, &error_);
    fields.Text("test", &evidence.test);
    fields.Text("error", &evidence.end.error);
    fields.Flag("timed_out", &evidence.end.timed_out);
    fields.Count("wait_status", 0xffff, &evidence.end.wait_status);
    fields.Duration("milliseconds", &evidence.end.milliseconds);
    fields.Text("result", &evidence.result);
    fields.Text("output", &evidence.output);
    fields.Text("log", &evidence.log);
    fields.Text("history", &evidence.history);
    if (fields.NoMore()) record_.hosts.back().evidence.push_back(std::move(evidence));
  }

  void TakeEnd(const Json& line) {
    HostRecord& host = record_.hosts.back();
    Fields fields(line, &error_);
    const Json* ended = fields.Take("ended");
    if (!fields.NoMore()) return;
    Fields of_end(*ended, &error_);
    of_end.Count("signal", kMaxSignal, &host.signal);
    of_end.Duration("seconds", &host.seconds);
    of_end.NoMore();
    host.ended = true;
  }

  std::string_view text_;
  size_t line_ = 0;
  size_t hosts_ = 0;
  RunRecord record_;
  std::string error_;
};

}  // namespace

Machine ThisMachine() {
  Machine machine;
  utsname name{};
  if (uname(&name) == 0) {
    machine.kernel = fmt::format("{} {} {}", name.sysname, name.release, name.version);
    machine.machine = name.machine;
    machine.host = name.nodename;
  }
  machine.cpus = std::max(sysconf(_SC_NPROCESSORS_ONLN), 0L);
  return machine;
}

std::string RecordText(const RunRecord& record) {
  std::string text;
  AddLine(HeaderLine(record), &text);
  for (const HostRecord& host : record.hosts) {
    AddLine(HostLine(host), &text);
    for (const Evidence& evidence : host.evidence) AddLine(TestLine(evidence), &text);
    if (host.ended) AddLine(EndLine(host), &text);
  }
  return text;
}

std::optional<RunRecord> ParseRecord(std::string_view text, std::string* error) {
  return RecordReader(text).Read(error);
}

std::string Utf8(const std::string& text) {
  const std::string json = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  return Json::parse(json).get<std::string>();
}

}  // namespace utrace::certify
