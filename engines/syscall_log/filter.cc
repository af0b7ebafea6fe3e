#include "engines/syscall_log/filter.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <regex>

#include "engines/syscall_log/decode/table.h"
#include "engines/syscall_log/decode/values.h"
#include "fmt/format.h"

namespace utrace::syscall_log {
namespace {

constexpr std::string_view kSeparators = "+,";
constexpr size_t kPathLimit = 4096;

std::vector<std::string_view> Split(std::string_view list) {
  std::vector<std::string_view> items;
  while (!list.empty()) {
    const size_t end = std::min(list.find_first_of(kSeparators), list.size());
    if (end != 0) items.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return items;
}

// A text in the program's memory; empty if it cannot be read.
std::string ReadPath(Memory& memory, uint64_t address) {
  std::string path;
  std::array<char, 512> piece;
  while (path.size() < kPathLimit) {
    const size_t read = memory.Read(address + path.size(), piece.data(), piece.size());
    const size_t length = strnlen(piece.data(), read);
    path.append(piece.data(), length);
    if (length < read) return path;
    if (read == 0) break;
  }
  return {};
}

}  // namespace

std::optional<CallFilter> CallFilter::Parse(std::string_view list, std::string* error) {
  CallFilter filter;
  filter.wanted_.reset();
  filter.wants_others_ = false;
  const bool all_but = list.starts_with('!');
  if (all_but) list.remove_prefix(1);
  const std::vector<std::string_view> items = Split(list);
  if (items.empty()) {
    *error = "there is nothing in it; write names, %classes or /expressions with '+' between them";
    return std::nullopt;
  }
  for (const std::string_view item : items) {
    if (!filter.Add(item, error)) return std::nullopt;
  }
  if (all_but) {
    filter.wanted_.flip();
    filter.wants_others_ = !filter.wants_others_;
  }
  return filter;
}

bool CallFilter::Add(std::string_view item, std::string* error) {
  if (item == "all") {
    wanted_.set();
    wants_others_ = true;
    return true;
  }
  if (item == "none") return true;
  if (item.front() == '%') {
    const auto named = std::ranges::find(ClassNames(), item.substr(1), &ClassName::name);
    if (named == ClassNames().end()) {
      *error = fmt::format("there is no class \"{}\"; there are:", item);
      for (const ClassName& one : ClassNames()) *error += fmt::format(" %{}", one.name);
      return false;
    }
    for (long number = 0; number < kSyscallLimit; ++number) {
      const TableEntry* entry = FindCall(number);
      if (entry != nullptr && (entry->classes & named->bit) != 0) {
        wanted_.set(static_cast<size_t>(number));
      }
    }
    return true;
  }
  if (item.front() == '/') {
    try {
      const std::regex expression(std::string(item.substr(1)), std::regex::extended);
      for (long number = 0; number < kSyscallLimit; ++number) {
        const std::string name(SyscallName(number));
        if (!name.empty() && std::regex_search(name, expression)) {
          wanted_.set(static_cast<size_t>(number));
        }
      }
    } catch (const std::regex_error& problem) {
      *error = fmt::format("\"{}\" is no regular expression: {}", item.substr(1), problem.what());
      return false;
    }
    return true;
  }
  // A name that only another machine has is no mistake.
  if (!IsSyscallName(item)) {
    *error = fmt::format("there is no system call \"{}\"", item);
    return false;
  }
  for (long number = 0; number < kSyscallLimit; ++number) {
    if (SyscallName(number) == item) wanted_.set(static_cast<size_t>(number));
  }
  return true;
}

PathFilter::PathFilter(std::string_view list) {
  for (const std::string_view path : Split(list)) paths_.push_back(NormalPath(path));
}

bool PathFilter::IsWanted(std::string_view path) const {
  return !path.empty() && std::ranges::find(paths_, NormalPath(path)) != paths_.end();
}

bool PathFilter::Wants(long number, const std::array<uint64_t, 6>& args, Memory& memory,
                       Descriptors& descriptors) const {
  if (wants_all()) return true;
  const TableEntry* entry = FindCall(number);
  if (entry == nullptr) return false;
  // The directory that the next path is taken from; negative: the task's own.
  int directory = -1;
  for (size_t i = 0; i < args.size(); ++i) {
    const Param& param = entry->info->params[i];
    if (param.name == nullptr) continue;
    if (param.type.present != nullptr && !param.type.present(args)) continue;
    if (param.type.role == Role::kDescriptor) {
      const int fd = static_cast<int>(args[i]);
      directory = param.type.show == ShowDirectory ? fd : -1;
      if (fd >= 0 && IsWanted(descriptors.PathOf(fd))) return true;
    }
    if (param.type.role == Role::kPath) {
      const std::string path = ReadPath(memory, args[i]);
      if (IsWanted(path)) return true;
      if (!path.empty() && path.front() != '/') {
        std::string whole =
            directory >= 0 ? descriptors.PathOf(directory) : descriptors.WorkingDirectory();
        whole.append("/").append(path);
        if (IsWanted(whole)) return true;
      }
      directory = -1;
    }
  }
  return false;
}

std::string NormalPath(std::string_view path) {
  const bool absolute = path.starts_with('/');
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty() || part == ".") continue;
    const bool up = part == "..";
    if (up && !parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!up || !absolute) {
      parts.push_back(part);
    }
  }
  std::string normal = absolute ? "/" : "";
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) normal += '/';
    normal += parts[i];
  }
  return normal;
}

}  // namespace utrace::syscall_log
