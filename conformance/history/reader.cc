#include "conformance/history/reader.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace utrace::history {
namespace {

using nlohmann::json;

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
    if (found != object_.end() && found->is_string() &&
        WhatOfName(found->get_ref<const std::string&>(), what)) {
      return true;
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
  const bool good = header.is_object() && header.contains("format") && header["format"] == kFormat;
  if (!good) Fail(std::string("the header does not say \"format\":\"") + kFormat + "\"");
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
    const What what = edge->what;
    edge->task = fields.Number<uint32_t>("task", true);
    if (what != What::kAttach && what != What::kLookup) {
      edge->engine = fields.Number<uint32_t>("engine", true);
    }
    edge->context = fields.Number<uint32_t>("context", false);
    if (what == What::kClone) edge->child = fields.Number<uint32_t>("child", true);
    if (what == What::kSetEvents || what == What::kQuiesce) {
      edge->events = fields.Number<uint64_t>("events", true);
    }
    if (what == What::kControl || IsCallback(what)) {
      edge->acts = object.contains("action");
      edge->action = fields.Number<uint32_t>("action", what == What::kControl);
    }
    if (what == What::kSignal) {
      edge->signal = fields.Number<int>("signal", true);
      edge->dequeued = fields.Number<uint8_t>("dequeued", true) != 0;
    }
    if (what == What::kSyscallEntry || what == What::kSyscallExit) {
      edge->numbered = object.contains("call");
      edge->call = fields.Number<int64_t>("call", false);
    }
  } else if (!edge->begins) {
    edge->result = fields.Number<int64_t>("result", true);
    edge->engine = fields.Number<uint32_t>("engine", false);
  }
  if (!fields.Problem().empty()) return Fail(fields.Problem());
  ++edges_;
  edge->line = line_;
  return Next::kEdge;
}

}  // namespace utrace::history
