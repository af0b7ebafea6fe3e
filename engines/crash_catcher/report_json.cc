// Numbers that are addresses are strings in hexadecimal: JSON's numbers hold 53 bits.
#include <nlohmann/json.hpp>

#include "engines/crash_catcher/fault.h"
#include "engines/crash_catcher/machine_state.h"
#include "engines/crash_catcher/report.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

// In the order in which they are put in.
using Json = nlohmann::ordered_json;

std::string Hex(uint64_t number) { return fmt::format("{:#x}", number); }

Json ToJson(const Frame& frame) {
  Json json{{"pc", Hex(frame.pc)}};
  if (!frame.module.empty()) {
    json["module"] = frame.module;
    json["module_offset"] = Hex(frame.module_offset);
    if (!frame.build_id.empty()) json["build_id"] = frame.build_id;
  }
  Json functions = Json::array();
  for (size_t i = 0; i < frame.functions.size(); ++i) {
    const Location& place = frame.functions[i];
    Json function = Json::object();
    if (!place.function.empty()) function["name"] = place.function;
    if (place.line == 0 && !place.function.empty()) function["offset"] = place.offset;
    if (place.line != 0) {
      function["file"] = place.file;
      function["line"] = place.line;
      if (place.column != 0) function["column"] = place.column;
    }
    function["inlined"] = i + 1 < frame.functions.size();
    functions.push_back(std::move(function));
  }
  json["functions"] = std::move(functions);
  return json;
}

Json ToJson(const ThreadState& thread) {
  Json json{{"tid", thread.tid}, {"name", thread.name}};
  if (!thread.problem.empty()) json["problem"] = thread.problem;
  if (!thread.registers.general.empty()) {
    Json registers = Json::object();
    for (const NamedRegister& r : NamedRegisters(thread.registers.general)) {
      registers[r.name] = Hex(r.value);
    }
    json["registers"] = std::move(registers);
  }
  Json frames = Json::array();
  for (const Frame& frame : thread.frames) frames.push_back(ToJson(frame));
  json["frames"] = std::move(frames);
  if (!thread.stack_end.empty()) json["stack_end"] = thread.stack_end;
  return json;
}

Json ToJson(const siginfo_t& info) {
  Json json{{"number", info.si_signo},
            {"name", SignalName(info.si_signo)},
            {"code", info.si_code},
            {"code_name", CodeName(info)}};
  if (HasAddress(info)) json["address"] = Hex(reinterpret_cast<uint64_t>(info.si_addr));
  if (!Sender(info).empty()) {
    json["sender_pid"] = info.si_pid;
    json["sender_uid"] = info.si_uid;
  }
  return json;
}

}  // namespace

std::string JsonReport(const Snapshot& snapshot) {
  Json json{{"version", 1}, {"summary", Summary(snapshot)}};
  if (snapshot.signal) {
    json["kind"] = "crash";
    json["signal"] = ToJson(*snapshot.signal);
    json["explanation"] = snapshot.fault;
  } else {
    json["kind"] = "hang";
    json["trigger"] = snapshot.trigger;
  }
  json["pid"] = snapshot.pid;
  json["tid"] = snapshot.tid;
  json["name"] = snapshot.name;
  json["executable"] = snapshot.executable;
  json["command_line"] = snapshot.command_line;
  json["directory"] = snapshot.directory;
  json["time"] = TimeText(snapshot.time);
  json["kernel"] = snapshot.kernel;
  json["machine"] = snapshot.machine;
  Json threads = Json::array();
  for (const ThreadState& thread : snapshot.threads) threads.push_back(ToJson(thread));
  json["threads"] = std::move(threads);
  Json code = Json::array();
  for (const Instruction& instruction : snapshot.code) {
    code.push_back({{"address", Hex(instruction.address)},
                    {"function", instruction.function},
                    {"bytes", instruction.bytes},
                    {"text", instruction.text}});
  }
  json["code"] = std::move(code);
  Json mappings = Json::array();
  for (const Mapping& mapping : snapshot.mappings) {
    mappings.push_back({{"start", Hex(mapping.start)},
                        {"end", Hex(mapping.end)},
                        {"rights", mapping.Rights()},
                        {"offset", Hex(mapping.offset)},
                        {"path", mapping.path}});
  }
  json["mappings"] = std::move(mappings);
  Json files = Json::array();
  for (const OpenFile& file : snapshot.files) {
    files.push_back({{"fd", file.fd}, {"target", file.target}});
  }
  json["files"] = std::move(files);
  if (snapshot.environment) json["environment"] = *snapshot.environment;
  json["problems"] = snapshot.problems;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace utrace::crash
