#include "conformance/kit/history_recorder.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <optional>
#include <unordered_map>
#include <vector>

#include "conformance/history/judge.h"

namespace utrace::kit {
namespace {

using history::Edge;
using history::What;

constexpr size_t kMostPending = 65536;
constexpr size_t kMostShown = 5;

// Memory straight from the kernel: malloc may be refusing the caller.
class Pages : public std::pmr::memory_resource {
  static size_t Rounded(size_t bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
  }
  void* do_allocate(size_t bytes, size_t) override {
    void* pages =
        mmap(nullptr, Rounded(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    return pages;
  }
  void do_deallocate(void* pages, size_t bytes, size_t) override { munmap(pages, Rounded(bytes)); }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

uint64_t ThreadId() {
  thread_local const auto tid = static_cast<uint64_t>(syscall(SYS_gettid));
  return tid;
}

template <typename T>
bool IsObject(const T* pointer) {
  return pointer != nullptr && !UTRACE_IS_ERR(pointer);
}

class History {
 public:
  void SetDirectory(const std::string& directory) {
    std::lock_guard lock(mutex_);
    directory_ = directory;
  }

  void Start() {
    std::lock_guard lock(mutex_);
    judge_.emplace();
    if (spilled_ != nullptr) fclose(spilled_);
    spilled_ = nullptr;
    pending_.clear();
    pending_.reserve(kMostPending);
    engines_.clear();
    tasks_.clear();
    releases_.clear();
    contexts_.clear();
    next_engine_ = next_task_ = 1;
    first_id_ = next_id_;
    edges_ = judged_ = 0;
    creating_ = 0;
    witness_.clear();
    problem_.clear();
    on_ = true;
  }

  std::string Finish() {
    std::lock_guard lock(mutex_);
    if (!on_) return witness_;
    Settle();
    on_ = false;
    if (!problem_.empty()) {
      witness_ = problem_;
      return witness_;
    }
    const std::vector<history::Breach>& breaches = judge_->breaches();
    for (size_t i = 0; i < breaches.size() && i < kMostShown; ++i) {
      witness_ += Describe(breaches[i]);
    }
    if (judge_->breach_count() > kMostShown) {
      witness_ += "and " + std::to_string(judge_->breach_count() - kMostShown) + " more breaches\n";
    }
    return witness_;
  }

  std::string Witness() {
    std::lock_guard lock(mutex_);
    return witness_;
  }

  std::string Keep(const std::string& name) {
    std::lock_guard lock(mutex_);
    if (directory_.empty() || on_) return "";
    const std::string path = directory_ + "/" + name + ".history";
    FILE* file = fopen(path.c_str(), "w");
    bool good = file != nullptr;
    if (good) {
      fprintf(file, "{\"format\":\"%s\",\"test\":\"%s\"}\n", history::kFormat, name.c_str());
      if (spilled_ != nullptr) good = CopySpilled(file);
      for (const Edge& edge : pending_) fprintf(file, "%s\n", Text(edge).c_str());
      fprintf(file, "%s\n", history::EndText(edges_).c_str());
      good = ferror(file) == 0 && good;
      good = fclose(file) == 0 && good;
    }
    if (good) return path;
    fprintf(stderr, "the history %s cannot be written: %s\n", path.c_str(), strerror(errno));
    return "";
  }

  // ---- Calls

  uint64_t BeginAttach(What what, const utrace_task* task) {
    std::lock_guard lock(mutex_);
    if (!on_) return 0;
    if (what == What::kAttach) ++creating_;
    Edge edge;
    edge.what = what;
    edge.task = TaskOf(task).number;
    return Begin(edge, false);
  }

  void EndAttach(uint64_t id, What what, const utrace_task* task, const utrace_engine* engine,
                 const void* data) {
    std::lock_guard lock(mutex_);
    if (Stale(id)) return;
    if (what == What::kAttach) --creating_;
    Edge edge;
    edge.id = id;
    if (IsObject(engine)) {
      EngineSlot& slot = what == What::kAttach ? Created(engine, task, id) : Found(engine, task);
      ++slot.references;
      edge.engine = slot.number;
      if (what == What::kAttach) NoteData(data, slot);
    } else {
      // A null pointer is no engine either.
      edge.result = engine == nullptr ? -EINVAL : UTRACE_PTR_ERR(engine);
    }
    Add(edge, false);
  }

  // An attach that ended by an exception.
  void AbandonAttach(uint64_t id, What what) {
    std::lock_guard lock(mutex_);
    if (!Stale(id) && what == What::kAttach) --creating_;
  }

  // `task` null: the one that the engine was attached to (calls by pid handle).
  uint64_t BeginCall(Edge edge, const utrace_task* task, const utrace_engine* engine) {
    std::lock_guard lock(mutex_);
    if (!on_) return 0;
    if (IsObject(engine)) {
      EngineSlot& slot = EngineOf(engine);
      edge.engine = slot.number;
      edge.task = slot.task;
      if (edge.what == What::kPut && slot.references > 0) --slot.references;
      if (edge.what == What::kGet) ++slot.references;
    }
    if (task != nullptr) edge.task = TaskOf(task).number;
    return Begin(edge, true);
  }

  void EndCall(uint64_t id, const Edge& call, const utrace_engine* engine, int64_t result) {
    std::lock_guard lock(mutex_);
    if (Stale(id)) return;
    if (call.what == What::kControl && call.action == UTRACE_DETACH && IsObject(engine)) {
      EngineOf(engine).ended |= result != -EINVAL;
    }
    Edge edge;
    edge.id = id;
    edge.result = result;
    Add(edge, true);
  }

  // ---- Callbacks

  RecordedCallback BeginCallback(Edge edge, const utrace_engine* engine, const utrace_task* task,
                                 pid_t tid) {
    const uint64_t thread = thread_of_control_();
    std::lock_guard lock(mutex_);
    if (!on_) return {};
    TaskSlot& slot = TaskOf(task);
    slot.tid = tid;
    edge.task = slot.number;
    if (IsObject(engine)) {
      EngineSlot& called = EngineOf(engine);
      edge.engine = called.number;
      called.ended |= edge.what == What::kReap;
    }
    RecordedCallback callback;
    callback.engine = engine;
    callback.thread = thread;
    uint32_t& context = contexts_[thread];
    callback.outer = context;
    context = edge.task;
    callback.id = Begin(edge, true);
    return callback;
  }

  void EndCallback(const RecordedCallback& callback, int64_t result) {
    std::lock_guard lock(mutex_);
    if (Stale(callback.id)) return;
    if ((static_cast<uint64_t>(result) & UTRACE_RESUME_MASK) == UTRACE_DETACH &&
        IsObject(callback.engine)) {
      EngineOf(callback.engine).ended = true;
    }
    if (callback.outer == 0) {
      contexts_.erase(callback.thread);
    } else {
      contexts_[callback.thread] = callback.outer;
    }
    Edge edge;
    edge.id = callback.id;
    edge.result = result;
    Add(edge, true);
  }

  uint32_t Child(const utrace_task* child, pid_t tid) {
    std::lock_guard lock(mutex_);
    if (!on_) return 0;
    const auto known = tasks_.find(child);
    if (known != tasks_.end() && known->second.tid != 0 && known->second.tid != tid) {
      tasks_.erase(known);
    }
    TaskSlot& slot = TaskOf(child);
    slot.tid = tid;
    return slot.number;
  }

  void Newborn(const utrace_task* child) {
    std::lock_guard lock(mutex_);
    tasks_.erase(child);
  }

  void Release(const void* data) {
    std::lock_guard lock(mutex_);
    if (!on_) return;
    const auto found = releases_.find(data);
    if (found == releases_.end() || found->second.ambiguous) return;
    found->second.released = true;
    Edge edge;
    edge.what = What::kRelease;
    edge.engine = found->second.engine;
    edge.task = found->second.task;
    const uint64_t id = Begin(edge, true);
    Edge end;
    end.id = id;
    Add(end, true);
  }

  void SetThreadOfControl(uint64_t (*current)()) { thread_of_control_ = current; }

 private:
  struct EngineSlot {
    uint32_t number = 0;
    uint32_t task = 0;
    uint64_t found = 0;  // the operation before which a lookup gave the number; zero: none did
    int references = 0;  // that callers hold
    bool created = false;
    bool ended = false;  // it may be detached
  };
  struct TaskSlot {
    uint32_t number = 0;
    pid_t tid = 0;
  };
  // By which engine a release with this data pointer is.
  struct ReleaseSlot {
    uint32_t engine = 0;
    uint32_t task = 0;
    bool released = false;
    bool ambiguous = false;
  };

  bool Stale(uint64_t id) const { return !on_ || id < first_id_; }

  TaskSlot& TaskOf(const utrace_task* task) {
    if (!IsObject(task)) return no_task_;
    TaskSlot& slot = tasks_[task];
    if (slot.number == 0) slot.number = next_task_++;
    return slot;
  }

  EngineSlot& EngineOf(const utrace_engine* engine) {
    EngineSlot& slot = engines_[engine];
    if (slot.number == 0) slot.number = next_engine_++;
    return slot;
  }

  // A new engine at this address, by the attach `id`. A number that a lookup gave to it before that
  // returned stays.
  EngineSlot& Created(const utrace_engine* engine, const utrace_task* task, uint64_t id) {
    EngineSlot& slot = engines_[engine];
    if (slot.found <= id || slot.created) {
      slot = EngineSlot();
      slot.number = next_engine_++;
    }
    slot.task = TaskOf(task).number;
    slot.created = true;
    return slot;
  }

  // What a lookup found. While an attach is under way it may be a new engine at an old address: an
  // address is not used again while a reference is held, nor while the engine is attached.
  EngineSlot& Found(const utrace_engine* engine, const utrace_task* task) {
    EngineSlot& slot = engines_[engine];
    const uint32_t number = TaskOf(task).number;
    const bool other = slot.ended || slot.task != number;
    if (slot.number == 0 || (creating_ > 0 && slot.references == 0 && other)) {
      slot = EngineSlot();
      slot.number = next_engine_++;
      slot.found = next_id_;
      slot.task = number;
    }
    return slot;
  }

  void NoteData(const void* data, const EngineSlot& engine) {
    ReleaseSlot& slot = releases_[data];
    slot.ambiguous |= slot.engine != 0 && !slot.released;
    slot.released = false;
    slot.engine = engine.number;
    slot.task = engine.task;
  }

  uint64_t Begin(Edge edge, bool may_settle) {
    edge.id = next_id_++;
    edge.begins = true;
    if (!history::IsCallback(edge.what)) {
      const auto context = contexts_.find(thread_of_control_());
      if (context != contexts_.end()) edge.context = context->second;
    }
    Add(edge, may_settle);
    return edge.id;
  }

  // `may_settle`: the caller stands malloc failing.
  void Add(Edge edge, bool may_settle) {
    edge.line = ++edges_ + 1;  // the header is the first line
    pending_.push_back(edge);
    if (may_settle && pending_.size() >= kMostPending) {
      Settle();
      if (!directory_.empty()) Spill();
      pending_.clear();
      judged_ = 0;
    }
  }

  // Judges what was not yet.
  void Settle() {
    for (; judged_ < pending_.size(); ++judged_) {
      if (problem_.empty() && !judge_->Take(pending_[judged_])) {
        problem_ = "the kit's own history makes no sense: " + judge_->error() + "\n";
      }
    }
  }

  void Spill() {
    if (spilled_ == nullptr) spilled_ = tmpfile();
    if (spilled_ == nullptr) return;
    for (const Edge& edge : pending_) fprintf(spilled_, "%s\n", Text(edge).c_str());
  }

  bool CopySpilled(FILE* to) {
    rewind(spilled_);
    char buffer[65536];
    while (const size_t size = fread(buffer, 1, sizeof(buffer), spilled_)) {
      if (fwrite(buffer, 1, size, to) != size) return false;
    }
    return ferror(spilled_) == 0;
  }

  uint64_t (*thread_of_control_)() = ThreadId;

  std::mutex mutex_;
  // All below is guarded by mutex_.
  Pages pages_;
  std::pmr::unsynchronized_pool_resource pool_{&pages_};
  bool on_ = false;
  std::string directory_;
  std::optional<history::Judge> judge_;
  FILE* spilled_ = nullptr;  // the text of what left memory
  std::pmr::vector<Edge> pending_{&pages_};
  size_t judged_ = 0;  // of pending_
  uint64_t edges_ = 0;
  uint64_t next_id_ = 1;
  uint64_t first_id_ = 1;  // of this history
  std::string witness_;
  std::string problem_;

  std::pmr::unordered_map<const utrace_engine*, EngineSlot> engines_{&pool_};
  std::pmr::unordered_map<const utrace_task*, TaskSlot> tasks_{&pool_};
  std::pmr::unordered_map<const void*, ReleaseSlot> releases_{&pool_};
  std::pmr::unordered_map<uint64_t, uint32_t> contexts_{&pool_};  // by thread of control
  TaskSlot no_task_;
  uint32_t next_engine_ = 1;
  uint32_t next_task_ = 1;
  int creating_ = 0;  // attaches under way
};

// Never destroyed: an implementation may call late.
History& TheHistory() {
  static auto* history = new History;
  return *history;
}

// ---- The calls that stand in the table ---------------------------------------------------------

Api& Raw() {
  static auto* raw = new Api;
  return *raw;
}

template <typename Call>
utrace_engine* RecordAttach(int flags, utrace_task* task, const void* data, const Call& call) {
  const What what = (flags & UTRACE_ATTACH_CREATE) != 0 ? What::kAttach : What::kLookup;
  History& history = TheHistory();
  const uint64_t id = history.BeginAttach(what, task);
  utrace_engine* engine;
  try {
    engine = call();
  } catch (...) {
    history.AbandonAttach(id, what);
    throw;
  }
  history.EndAttach(id, what, task, engine, data);
  return engine;
}

template <typename Call>
int RecordCall(const Edge& edge, const utrace_task* task, const utrace_engine* engine,
               const Call& call) {
  History& history = TheHistory();
  const uint64_t id = history.BeginCall(edge, task, engine);
  const int result = call();
  history.EndCall(id, edge, engine, result);
  return result;
}

Edge Calling(What what) {
  Edge edge;
  edge.what = what;
  return edge;
}

Edge Setting(unsigned long events) {
  Edge edge = Calling(What::kSetEvents);
  edge.events = events;
  return edge;
}

Edge Controlling(enum utrace_resume_action action) {
  Edge edge = Calling(What::kControl);
  edge.acts = true;
  edge.action = static_cast<uint32_t>(action);
  return edge;
}

utrace_engine* AttachTask(utrace_task* task, int flags, const utrace_engine_ops* ops, void* data) {
  return RecordAttach(flags, task, data,
                      [&] { return Raw().utrace_attach_task(task, flags, ops, data); });
}

utrace_engine* AttachPid(utrace_pid* pid, int flags, const utrace_engine_ops* ops, void* data) {
  utrace_task* task = pid == nullptr ? nullptr : Raw().utrace_pid_task(pid);
  if (!IsObject(task)) task = nullptr;
  utrace_engine* engine = RecordAttach(
      flags, task, data, [&] { return Raw().utrace_attach_pid(pid, flags, ops, data); });
  if (task != nullptr) Raw().utrace_task_put(task);
  return engine;
}

utrace_engine* EngineGet(utrace_engine* engine) {
  if (!IsObject(engine)) return Raw().utrace_engine_get(engine);
  utrace_engine* result = nullptr;
  RecordCall(Calling(What::kGet), nullptr, engine, [&] {
    result = Raw().utrace_engine_get(engine);
    return 0;
  });
  return result;
}

void EnginePut(utrace_engine* engine) {
  if (!IsObject(engine)) return Raw().utrace_engine_put(engine);
  RecordCall(Calling(What::kPut), nullptr, engine, [&] {
    Raw().utrace_engine_put(engine);
    return 0;
  });
}

int SetEvents(utrace_task* task, utrace_engine* engine, unsigned long events) {
  return RecordCall(Setting(events), task, engine,
                    [&] { return Raw().utrace_set_events(task, engine, events); });
}

int SetEventsPid(utrace_pid* pid, utrace_engine* engine, unsigned long events) {
  return RecordCall(Setting(events), nullptr, engine,
                    [&] { return Raw().utrace_set_events_pid(pid, engine, events); });
}

int Control(utrace_task* task, utrace_engine* engine, enum utrace_resume_action action) {
  return RecordCall(Controlling(action), task, engine,
                    [&] { return Raw().utrace_control(task, engine, action); });
}

int ControlPid(utrace_pid* pid, utrace_engine* engine, enum utrace_resume_action action) {
  return RecordCall(Controlling(action), nullptr, engine,
                    [&] { return Raw().utrace_control_pid(pid, engine, action); });
}

int Barrier(utrace_task* task, utrace_engine* engine) {
  return RecordCall(Calling(What::kBarrier), task, engine,
                    [&] { return Raw().utrace_barrier(task, engine); });
}

int BarrierPid(utrace_pid* pid, utrace_engine* engine) {
  return RecordCall(Calling(What::kBarrier), nullptr, engine,
                    [&] { return Raw().utrace_barrier_pid(pid, engine); });
}

int Prepare(utrace_task* task, utrace_engine* engine, utrace_examiner* examiner) {
  return RecordCall(Calling(What::kPrepare), task, engine,
                    [&] { return Raw().utrace_prepare_examine(task, engine, examiner); });
}

int Finish(utrace_task* task, utrace_engine* engine, utrace_examiner* examiner) {
  return RecordCall(Calling(What::kFinish), task, engine,
                    [&] { return Raw().utrace_finish_examine(task, engine, examiner); });
}

}  // namespace

Api RecordingApi(const Api& raw) {
  Raw() = raw;
  Api recording = raw;
  recording.utrace_attach_task = AttachTask;
  recording.utrace_attach_pid = AttachPid;
  recording.utrace_engine_get = EngineGet;
  recording.utrace_engine_put = EnginePut;
  recording.utrace_set_events = SetEvents;
  recording.utrace_set_events_pid = SetEventsPid;
  recording.utrace_control = Control;
  recording.utrace_control_pid = ControlPid;
  recording.utrace_barrier = Barrier;
  recording.utrace_barrier_pid = BarrierPid;
  recording.utrace_prepare_examine = Prepare;
  recording.utrace_finish_examine = Finish;
  return recording;
}

void SetThreadOfControl(uint64_t (*current)()) { TheHistory().SetThreadOfControl(current); }

RecordedCallback BeginRecorded(history::Edge edge, const utrace_engine* engine,
                               const utrace_task* task, pid_t tid) {
  return TheHistory().BeginCallback(edge, engine, task, tid);
}

void EndRecorded(const RecordedCallback& callback, int64_t result) {
  TheHistory().EndCallback(callback, result);
}

uint32_t RecordedChild(const utrace_task* child, pid_t tid) {
  return TheHistory().Child(child, tid);
}

void RecordNewborn(const utrace_task* child) { TheHistory().Newborn(child); }

void RecordRelease(const void* data) { TheHistory().Release(data); }

void SetHistoryDirectory(const std::string& directory) { TheHistory().SetDirectory(directory); }
void StartHistory() { TheHistory().Start(); }
std::string FinishHistory() { return TheHistory().Finish(); }
std::string HistoryWitness() { return TheHistory().Witness(); }
std::string KeepHistory(const std::string& name) { return TheHistory().Keep(name); }

}  // namespace utrace::kit
