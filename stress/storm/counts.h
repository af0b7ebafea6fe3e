// What happened in a storm, in numbers.
#ifndef STRESS_STORM_COUNTS_H_
#define STRESS_STORM_COUNTS_H_

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "conformance/history/what.h"
#include "nlohmann/json.hpp"

namespace utrace::storm {

// How long something took: counted by powers of two of nanoseconds. Any thread.
class Histogram {
 public:
  void Add(std::chrono::nanoseconds took) {
    const auto ns = static_cast<uint64_t>(took.count() < 0 ? 0 : took.count());
    buckets_[std::bit_width(ns)].fetch_add(1, std::memory_order_relaxed);
    uint64_t worst = worst_.load(std::memory_order_relaxed);
    while (ns > worst && !worst_.compare_exchange_weak(worst, ns, std::memory_order_relaxed)) {
    }
  }
  // {"worst_ns":N,"by_log2_ns":[...]}: element N counts from 2^(N-1) to 2^N - 1.
  nlohmann::json Json() const;

 private:
  std::array<std::atomic<uint64_t>, 65> buckets_ = {};
  std::atomic<uint64_t> worst_ = 0;
};

using Clock = std::chrono::steady_clock;

// Any thread.
class Counts {
 public:
  void Callback(history::What what) { ++callbacks_[static_cast<size_t>(what)]; }
  // Results that every call may have. Before the first Call.
  void Allow(std::initializer_list<int> results) { allowed_.insert(results); }
  // A call gave `result`, which must be one of `allowed`: else it is a breach.
  int Call(const char* name, int result, std::initializer_list<int> allowed);
  void Breach(const std::string& text);
  void Fault(const std::string& kind);

  Histogram attach, hold, report, barrier, detach, death;
  std::atomic<uint64_t> tasks = 0;     // that were watched
  std::atomic<uint64_t> attached = 0;  // engines
  std::atomic<uint64_t> released = 0;
  std::atomic<uint64_t> most_tasks = 0;  // at a time

  uint64_t breach_count() const;
  nlohmann::json Json() const;

 private:
  static constexpr size_t kMostShown = 20;
  static constexpr size_t kWhats = 32;

  std::array<std::atomic<uint64_t>, kWhats> callbacks_ = {};
  std::set<int> allowed_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::string, std::map<int, uint64_t>> calls_;
  std::map<std::string, uint64_t> faults_;
  std::vector<std::string> breaches_;  // the first ones
  uint64_t breach_count_ = 0;
};

}  // namespace utrace::storm

#endif  // STRESS_STORM_COUNTS_H_
