#include "stress/storm/counts.h"

#include <algorithm>
#include <cstring>

namespace utrace::storm {
namespace {

std::string ResultName(int result) {
  if (result == 0) return "0";
  if (result == -512) return "-ERESTARTSYS";
  if (result == -513) return "-ERESTARTNOINTR";
  const char* name = strerrorname_np(-result);
  return name == nullptr ? std::to_string(result) : "-" + std::string(name);
}

}  // namespace

nlohmann::json Histogram::Json() const {
  std::vector<uint64_t> counts;
  for (const auto& bucket : buckets_) counts.push_back(bucket);
  while (!counts.empty() && counts.back() == 0) counts.pop_back();
  return {{"worst_ns", worst_.load()}, {"by_log2_ns", counts}};
}

int Counts::Call(const char* name, int result, std::initializer_list<int> allowed) {
  {
    const std::lock_guard lock(mutex_);
    ++calls_[name][result];
  }
  const bool expected = std::find(allowed.begin(), allowed.end(), result) != allowed.end();
  if (!expected && !allowed_.contains(result)) {
    Breach(std::string(name) + " gave " + ResultName(result) + ", which nothing here explains");
  }
  return result;
}

void Counts::Breach(const std::string& text) {
  const std::lock_guard lock(mutex_);
  ++breach_count_;
  if (breaches_.size() < kMostShown) breaches_.push_back(text);
}

void Counts::Fault(const std::string& kind) {
  const std::lock_guard lock(mutex_);
  ++faults_[kind];
}

uint64_t Counts::breach_count() const {
  const std::lock_guard lock(mutex_);
  return breach_count_;
}

nlohmann::json Counts::Json() const {
  nlohmann::json events = nlohmann::json::object();
  uint64_t total = 0;
  for (size_t i = 0; i < kWhats; ++i) {
    const uint64_t count = callbacks_[i];
    if (count == 0) continue;
    total += count;
    events[history::WhatName(static_cast<history::What>(i))] = count;
  }
  const std::lock_guard lock(mutex_);
  nlohmann::json calls = nlohmann::json::object();
  for (const auto& [name, results] : calls_) {
    for (const auto& [result, count] : results) calls[name][ResultName(result)] = count;
  }
  return {{"events", total},
          {"callbacks", events},
          {"calls", calls},
          {"faults", faults_},
          {"tasks", tasks.load()},
          {"most_tasks", most_tasks.load()},
          {"attached", attached.load()},
          {"released", released.load()},
          {"latencies",
           {{"attach", attach.Json()},
            {"hold", hold.Json()},
            {"report", report.Json()},
            {"barrier", barrier.Json()},
            {"detach", detach.Json()},
            {"death", death.Json()}}},
          {"breaches", breaches_},
          {"breach_count", breach_count_}};
}

}  // namespace utrace::storm
