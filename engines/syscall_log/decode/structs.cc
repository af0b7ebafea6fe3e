#include "engines/syscall_log/decode/structs.h"

#include "engines/syscall_log/decode/signals.h"

namespace utrace::syscall_log {

void PutTimespec(Call& call, const timespec& time) {
  call.out.BeginStruct();
  PutSignedField(call.out, "tv_sec", time.tv_sec);
  PutSignedField(call.out, "tv_nsec", time.tv_nsec);
  call.out.EndStruct();
}

void PutTimeval(Call& call, const timeval& time) {
  call.out.BeginStruct();
  PutSignedField(call.out, "tv_sec", time.tv_sec);
  PutSignedField(call.out, "tv_usec", time.tv_usec);
  call.out.EndStruct();
}

void PutDate(Call& call, int64_t seconds) {
  call.out.Signed(seconds);
  tm local;
  const time_t time = seconds;
  std::array<char, 64> date;
  if (seconds == 0 || localtime_r(&time, &local) == nullptr) return;
  const size_t length = strftime(date.data(), date.size(), " /* %Y-%m-%dT%H:%M:%S%z */", &local);
  call.out.TextOnly({date.data(), length});
}

void PutDatedTime(Call& call, int64_t seconds, int64_t nanoseconds) {
  call.out.BeginStruct();
  call.out.Field("tv_sec");
  PutDate(call, seconds);
  PutSignedField(call.out, "tv_nsec", nanoseconds);
  call.out.EndStruct();
}

void PutItimerspec(Call& call, const itimerspec& timer) {
  call.out.BeginStruct();
  call.out.Field("it_interval");
  PutTimespec(call, timer.it_interval);
  call.out.Field("it_value");
  PutTimespec(call, timer.it_value);
  call.out.EndStruct();
}

void PutItimerval(Call& call, const itimerval& timer) {
  call.out.BeginStruct();
  call.out.Field("it_interval");
  PutTimeval(call, timer.it_interval);
  call.out.Field("it_value");
  PutTimeval(call, timer.it_value);
  call.out.EndStruct();
}

void PutSigevent(Call& call, const sigevent& event) {
  Renderer& out = call.out;
  out.BeginStruct();
  out.Field("sigev_value");
  out.BeginStruct();
  PutSignedField(out, "sival_int", event.sigev_value.sival_int);
  PutAddressField(out, "sival_ptr", reinterpret_cast<uint64_t>(event.sigev_value.sival_ptr));
  out.EndStruct();
  out.Field("sigev_signo");
  PutSignal(out, event.sigev_signo);
  out.Field("sigev_notify");
  switch (event.sigev_notify) {
    case SIGEV_SIGNAL:
      out.Name("SIGEV_SIGNAL");
      break;
    case SIGEV_NONE:
      out.Name("SIGEV_NONE");
      break;
    case SIGEV_THREAD:
      out.Name("SIGEV_THREAD");
      break;
    case SIGEV_THREAD_ID:
      out.Name("SIGEV_THREAD_ID");
      PutSignedField(out, "sigev_notify_thread_id", event._sigev_un._tid);
      break;
    default:
      out.Hex(static_cast<uint32_t>(event.sigev_notify));
  }
  out.EndStruct();
}

void PutUsage(Call& call, const rusage& usage) {
  Renderer& out = call.out;
  out.BeginStruct();
  out.Field("ru_utime");
  PutTimeval(call, usage.ru_utime);
  out.Field("ru_stime");
  PutTimeval(call, usage.ru_stime);
  if (call.style.verbose) {
    PutSignedField(out, "ru_maxrss", usage.ru_maxrss);
    PutSignedField(out, "ru_ixrss", usage.ru_ixrss);
    PutSignedField(out, "ru_idrss", usage.ru_idrss);
    PutSignedField(out, "ru_isrss", usage.ru_isrss);
    PutSignedField(out, "ru_minflt", usage.ru_minflt);
    PutSignedField(out, "ru_majflt", usage.ru_majflt);
    PutSignedField(out, "ru_nswap", usage.ru_nswap);
    PutSignedField(out, "ru_inblock", usage.ru_inblock);
    PutSignedField(out, "ru_oublock", usage.ru_oublock);
    PutSignedField(out, "ru_msgsnd", usage.ru_msgsnd);
    PutSignedField(out, "ru_msgrcv", usage.ru_msgrcv);
    PutSignedField(out, "ru_nsignals", usage.ru_nsignals);
    PutSignedField(out, "ru_nvcsw", usage.ru_nvcsw);
    PutSignedField(out, "ru_nivcsw", usage.ru_nivcsw);
  } else {
    out.More();
  }
  out.EndStruct();
}

void PutLimits(Call& call, const rlimit& limits) {
  const auto put = [&](const char* name, uint64_t limit) {
    call.out.Field(name);
    if (limit == RLIM_INFINITY) {
      call.out.Name("RLIM64_INFINITY");
    } else if (limit > 1024 && limit % 1024 == 0) {
      // In text as a product, which is easier to read; it is the same number.
      call.out.Kibi(limit);
    } else {
      call.out.Unsigned(limit);
    }
  };
  call.out.BeginStruct();
  put("rlim_cur", limits.rlim_cur);
  put("rlim_max", limits.rlim_max);
  call.out.EndStruct();
}

void PutVector(Call& call, uint64_t address, uint64_t count, uint64_t bytes, bool contents) {
  PutArray<iovec>(call, address, count, [&](Call&, const iovec& part) {
    const auto base = reinterpret_cast<uint64_t>(part.iov_base);
    call.out.BeginStruct();
    call.out.Field("iov_base");
    if (contents) {
      const uint64_t size = std::min<uint64_t>(part.iov_len, bytes);
      PutBytes(call, base, size);
      bytes -= size;
    } else {
      call.out.Address(base);
    }
    PutUnsignedField(call.out, "iov_len", part.iov_len);
    call.out.EndStruct();
  });
}

void PutSignalSetAt(Call& call, uint64_t address, uint64_t size) {
  std::array<uint8_t, 128> bytes;
  if (address == 0 || size == 0 || size > bytes.size() ||
      call.memory.Read(address, bytes.data(), size) != size) {
    return call.out.Address(address);
  }
  PutSignalSet(call.out, bytes.data(), size);
}

}  // namespace utrace::syscall_log
