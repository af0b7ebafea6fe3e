#include "conformance/history/reader.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace utrace::history {
namespace {

using nlohmann::json;

constexpr const char* kNames[] = {"attach",
                                  "set_events",
                                  "control",
                                  "barrier",
                                  "report_quiesce",
                                  "report_signal",
                                  "report_clone",
                                  "report_jctl",
                                  "report_exec",
                                  "report_syscall_entry",
                                  "report_syscall_exit",
                                  "report_exit",
                                  "report_death",
                                  "report_reap",
                                  "release"};
constexpr int kWhats = sizeof(kNames) / sizeof(kNames[0]);

// One field of a line, or why the line is refused.
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {}

  template <typename T>
  T Number(const char* name, bool needed) {
    const auto found = object_.find(name);
    if (found == object_.end()) {
      if (needed) why_ = std::string("lacks \"") + name + "\"";
      return 0;
    }
    ++used_;
    bool fits = found->is_number_integer();
    if (fits && found->is_number_unsigned()) {
      fits = found->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<T>::max());
    } else if (fits) {
      fits = std::numeric_limits<T>::is_signed &&
             found->get<int64_t>() >= static_cast<int64_t>(std::numeric_limits<T>::min());
    }
    if (fits) return found->get<T>();
    why_ = std::string("\"") + name + "\" is not an integer of its range";
    return 0;
  }

  bool Operation(What* what) {
    const auto found = object_.find("what");
    ++used_;
    if (found != object_.end() && found->is_string()) {
      for (int i = 0; i < kWhats; ++i) {
        if (found->get_ref<const std::string&>() == kNames[i]) {
          *what = static_cast<What>(i);
          return true;
        }
      }
    }
    why_ = "\"what\" is missing or names no call or callback";
    return false;
  }

  // Empty if all was well and no field is left over.
  std::string Problem() const {
    if (!why_.empty()) return why_;
    return used_ == object_.size() ? "" : "has a field that its kind of line does not have";
  }

 private:
  const json& object_;
  size_t used_ = 0;
  std::string why_;
};

}  // namespace

bool IsCallback(What what) { return what >= What::kQuiesce; }
const char* WhatName(What what) { return kNames[static_cast<int>(what)]; }

Reader::Line Reader::ReadLine(std::string* text) {
  text->clear();
  ++line_;
  for (int c; (c = input_->get()) != std::istream::traits_type::eof();) {
    if (c == '\n') return Line::kText;
    if (text->size() == kMaxLine) return Line::kTooLong;
    text->push_back(static_cast<char>(c));
  }
  // A last line without its newline was cut off in the middle.
  return Line::kNone;
}

Reader::Next Reader::Fail(const std::string& why) {
  error_ = "line " + std::to_string(line_) + ": " + why;
  return Next::kError;
}

bool Reader::ReadHeader() {
  std::string text;
  if (ReadLine(&text) != Line::kText) {
    Fail("no header: the file is empty, or its first line is cut off or too long");
    return false;
  }
  const json header = json::parse(text, nullptr, false);
  const bool good =
      header.is_object() && header.contains("format") && header["format"] == "utrace-history-1";
  if (!good) Fail("the header does not say \"format\":\"utrace-history-1\"");
  header_ = good;
  return good;
}

Reader::Next Reader::Read(Edge* edge) {
  if (!error_.empty()) return Next::kError;
  if (!header_ && !ReadHeader()) return Next::kError;
  std::string text;
  switch (ReadLine(&text)) {
    case Line::kTooLong:
      return Fail("longer than " + std::to_string(kMaxLine) + " bytes");
    case Line::kNone:
      return Fail("the file is cut off: it has no end line");
    case Line::kText:
      break;
  }
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return Fail("not a JSON object");
  Fields fields(object);
  if (object.contains("end")) {
    const auto edges = fields.Number<uint64_t>("end", true);
    if (!fields.Problem().empty()) return Fail(fields.Problem());
    if (edges != edges_) {
      return Fail("the end line counts " + std::to_string(edges) + " edges, the file has " +
                  std::to_string(edges_));
    }
    if (input_->peek() != std::istream::traits_type::eof()) {
      return Fail("something follows the end line");
    }
    return Next::kEnd;
  }
  *edge = Edge();
  edge->begins = object.contains("begin");
  edge->id = fields.Number<uint64_t>(edge->begins ? "begin" : "return", true);
  if (edge->begins && fields.Operation(&edge->what)) {
    const bool on_engine = edge->what != What::kAttach;
    edge->task = fields.Number<uint32_t>("task", true);
    if (on_engine) edge->engine = fields.Number<uint32_t>("engine", true);
    edge->context = fields.Number<uint32_t>("context", false);
    if (edge->what == What::kSetEvents || edge->what == What::kQuiesce) {
      edge->events = fields.Number<uint64_t>("events", true);
    }
    edge->action = fields.Number<uint32_t>("action", edge->what == What::kControl);
    if (edge->what == What::kSignal) edge->signal = fields.Number<int>("signal", true);
  } else if (!edge->begins) {
    edge->result = fields.Number<int64_t>("result", true);
    edge->engine = fields.Number<uint32_t>("engine", false);
  }
  if (!fields.Problem().empty()) return Fail(fields.Problem());
  ++edges_;
  edge->line = line_;
  edge->text = std::move(text);
  return Next::kEdge;
}

}  // namespace utrace::history
