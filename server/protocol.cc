#include "server/protocol.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace utrace::server {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxText = kMaxMessage / 4;
constexpr size_t kMaxName = 256;

constexpr std::array<const char*, 9> kReplyNames = {"greeting", "done", "error", "refused", "note",
                                                    "progress", "item", "ended", "crash"};
constexpr std::array<const char*, 3> kControlNames = {"stop", "resume", "interrupt"};

// Text that came from a user or a file name may be no UTF-8.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// For a message about it.
std::string OnOneLine(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

// Takes the fields of an object, and notes what is wrong with the first bad one. Whoever has taken all
// that it knows asks Finish, for which an unknown field is an error too.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  std::string Text(const char* key, size_t most = kMaxText) {
    const Json* value = Take(key);
    if (value == nullptr) return {};
    if (!value->is_string() || value->get_ref<const std::string&>().size() > most) {
      return Bad(key), std::string();
    }
    return value->get<std::string>();
  }
  bool Flag(const char* key) {
    const Json* value = Take(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) return Bad(key), false;
    return value->get<bool>();
  }
  uint64_t Number(const char* key, uint64_t most = std::numeric_limits<uint64_t>::max()) {
    const Json* value = Take(key);
    return value == nullptr ? 0 : NumberOf(*value, key, most);
  }
  pid_t Pid(const char* key) { return static_cast<pid_t>(Number(key, kMostPid)); }
  std::vector<pid_t> Pids(const char* key) {
    std::vector<pid_t> pids;
    const Json* value = Take(key);
    if (value == nullptr) return pids;
    if (!value->is_array() || value->size() > kMaxTargets) return Bad(key), pids;
    for (const Json& pid : *value) {
      pids.push_back(static_cast<pid_t>(NumberOf(pid, key, kMostPid)));
    }
    return pids;
  }
  std::vector<std::string> Texts(const char* key, size_t most_texts, size_t most) {
    std::vector<std::string> texts;
    const Json* value = Take(key);
    if (value == nullptr) return texts;
    if (!value->is_array() || value->size() > most_texts) return Bad(key), texts;
    for (const Json& text : *value) {
      if (!text.is_string() || text.get_ref<const std::string&>().size() > most) {
        return Bad(key), texts;
      }
      texts.push_back(text.get<std::string>());
    }
    return texts;
  }
  std::string Object(const char* key) {
    const Json* value = Take(key);
    if (value == nullptr) return {};
    if (!value->is_object()) return Bad(key), std::string();
    return Dump(*value);
  }

  bool Finish(std::string* error) const {
    if (!bad_.empty()) {
      *error = "field \"" + bad_ + "\" is no good";
      return false;
    }
    if (taken_ == object_.size()) return true;
    *error = "there is a field that is not known";
    return false;
  }

 private:
  static constexpr uint64_t kMostPid = std::numeric_limits<pid_t>::max();

  const Json* Take(const char* key) {
    const auto found = object_.find(key);
    if (found == object_.end()) return nullptr;
    ++taken_;
    return &*found;
  }
  uint64_t NumberOf(const Json& value, const char* key, uint64_t most) {
    // A value that is negative is no unsigned number.
    if (!value.is_number_unsigned() || value.get<uint64_t>() > most) return Bad(key), 0;
    return value.get<uint64_t>();
  }
  void Bad(const char* key) {
    if (bad_.empty()) bad_ = key;
  }

  const Json& object_;
  size_t taken_ = 0;
  std::string bad_;
};

// Deep nesting would be a deep recursion of whoever destroys or prints the value.
std::optional<Json> ParseObject(std::string_view text, std::string* error) {
  constexpr int kDeepest = 16;
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    too_deep |= depth > kDeepest;
    return !too_deep;
  };
  if (text.size() > kMaxMessage) {
    *error = "the message is too long";
    return std::nullopt;
  }
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (too_deep || json.is_discarded() || !json.is_object()) {
    *error = "the message is no JSON object";
    return std::nullopt;
  }
  return json;
}

template <class Names>
std::optional<size_t> IndexOf(const Names& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<size_t>(found - names.begin());
}

struct RequestWriter {
  Json operator()(const Hello& hello) const {
    return {{"do", "hello"},
            {"protocol", hello.protocol},
            {"version", hello.version},
            {"command", hello.command}};
  }
  Json operator()(const MakeEngineRequest& make) const {
    return {{"do", "make"}, {"spec", make.spec}, {"plugin", make.plugin}, {"files", make.files}};
  }
  Json operator()(const AttachRequest& attach) const {
    return {{"do", "attach"},          {"targets", attach.targets}, {"threads", attach.threads},
            {"follow", attach.follow}, {"force", attach.force},     {"command", attach.command},
            {"fast", attach.fast}};
  }
  Json operator()(const EndRequest&) const { return {{"do", "end"}}; }
  Json operator()(const DetachRequest& detach) const {
    return {{"do", "detach"},
            {"targets", detach.targets},
            {"threads", detach.threads},
            {"engine", detach.engine}};
  }
  Json operator()(const ListRequest& list) const {
    return {{"do", "list"}, {"targets", list.targets}};
  }
  Json operator()(const ControlRequest& control) const {
    return {{"do", kControlNames[static_cast<size_t>(control.kind)]},
            {"targets", control.targets},
            {"threads", control.threads},
            {"force", control.force}};
  }
};

}  // namespace

size_t DescriptorsOf(const Request& request) {
  if (std::holds_alternative<Hello>(request)) return 1;
  const auto* make = std::get_if<MakeEngineRequest>(&request);
  return make != nullptr ? make->files.size() + (make->plugin ? 1 : 0) : 0;
}

std::string ToText(const Request& request) { return Dump(std::visit(RequestWriter(), request)); }

std::optional<Request> ParseRequest(std::string_view text, std::string* error) {
  const std::optional<Json> json = ParseObject(text, error);
  if (!json) return std::nullopt;
  Fields fields(*json);
  const std::string what = fields.Text("do", kMaxName);
  std::optional<Request> request;
  // In each: designated initializers are evaluated in order.
  if (what == "hello") {
    request = Hello{
        .protocol = static_cast<int>(fields.Number("protocol", std::numeric_limits<int>::max())),
        .version = fields.Text("version", kMaxName),
        .command = fields.Text("command", kMaxName)};
  } else if (what == "make") {
    request = MakeEngineRequest{.spec = fields.Text("spec"),
                                .plugin = fields.Flag("plugin"),
                                .files = fields.Texts("files", kMaxDescriptors - 1, kMaxName)};
  } else if (what == "attach") {
    request = AttachRequest{.targets = fields.Pids("targets"),
                            .threads = fields.Flag("threads"),
                            .follow = fields.Flag("follow"),
                            .force = fields.Flag("force"),
                            .command = fields.Flag("command"),
                            .fast = fields.Flag("fast")};
  } else if (what == "end") {
    request = EndRequest{};
  } else if (what == "detach") {
    request = DetachRequest{.targets = fields.Pids("targets"),
                            .threads = fields.Flag("threads"),
                            .engine = fields.Text("engine", kMaxName)};
  } else if (what == "list") {
    request = ListRequest{.targets = fields.Pids("targets")};
  } else if (const auto kind = IndexOf(kControlNames, what)) {
    request = ControlRequest{.kind = static_cast<ControlRequest::Kind>(*kind),
                             .targets = fields.Pids("targets"),
                             .threads = fields.Flag("threads"),
                             .force = fields.Flag("force")};
  } else {
    *error = "there is no request \"" + OnOneLine(what) + "\"";
    return std::nullopt;
  }
  if (!fields.Finish(error)) return std::nullopt;
  return request;
}

std::string ToText(const Reply& reply) {
  Json json = {{"reply", kReplyNames[static_cast<size_t>(reply.kind)]}};
  if (reply.pid != 0) json["pid"] = reply.pid;
  if (reply.number != 0) json["number"] = reply.number;
  if (reply.total != 0) json["total"] = reply.total;
  // Escapes make a text up to six times as long.
  constexpr size_t kMost = kMaxMessage / 16;
  if (!reply.text.empty()) json["text"] = reply.text.substr(0, kMost);
  if (!reply.item.empty()) {
    json["item"] = Json::parse(reply.item, nullptr, /*allow_exceptions=*/false);
  }
  if (!reply.lines.empty()) {
    Json lines = Json::array();
    size_t size = 0;
    for (const std::string& line : reply.lines) {
      size += line.size();
      if (size > kMost) {
        lines.push_back("and more, which was left out");
        break;
      }
      lines.push_back(line);
    }
    json["lines"] = std::move(lines);
  }
  return Dump(json);
}

std::optional<Reply> ParseReply(std::string_view text, std::string* error) {
  const std::optional<Json> json = ParseObject(text, error);
  if (!json) return std::nullopt;
  Fields fields(*json);
  const auto kind = IndexOf(kReplyNames, fields.Text("reply", kMaxName));
  if (!kind) {
    *error = "the message is no reply";
    return std::nullopt;
  }
  Reply reply{.kind = static_cast<Reply::Kind>(*kind),
              .pid = fields.Pid("pid"),
              .number = fields.Number("number"),
              .total = fields.Number("total"),
              .text = fields.Text("text"),
              .item = fields.Object("item"),
              .lines = fields.Texts("lines", kMaxMessage, kMaxText)};
  if (!fields.Finish(error)) return std::nullopt;
  return reply;
}

}  // namespace utrace::server
