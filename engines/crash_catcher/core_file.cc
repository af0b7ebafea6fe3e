#include "engines/crash_catcher/core_file.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <vector>

#include "engines/crash_catcher/core_notes.h"
#include "engines/crash_catcher/proc_files.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

using Bytes = std::span<const std::byte>;

constexpr size_t kChunk = size_t{1} << 20;

uint64_t PageSize() {
  static const auto size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return size;
}

bool IsZero(Bytes bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

// ---- Where the bytes go ----------------------------------------------------------------------------

class Sink {
 public:
  Sink() = default;
  virtual ~Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual Status Write(Bytes bytes) = 0;
  virtual Status Skip(uint64_t bytes) = 0;
  virtual Status End() = 0;
};

class PlainSink final : public Sink {
 public:
  explicit PlainSink(OutputFile* file) : file_(file) {}
  Status Write(Bytes bytes) override { return file_->Write(bytes); }
  Status Skip(uint64_t bytes) override {
    file_->Skip(bytes);
    return Status();
  }
  Status End() override { return Status(); }

 private:
  OutputFile* const file_;
};

class ZstdSink final : public Sink {
 public:
  explicit ZstdSink(OutputFile* file) : file_(file), buffer_(ZSTD_CStreamOutSize()) {
    // The process is waiting: the fastest level does well with memory.
    if (stream_ != nullptr) ZSTD_CCtx_setParameter(stream_.get(), ZSTD_c_compressionLevel, 1);
  }
  Status Write(Bytes bytes) override { return Compress(bytes, ZSTD_e_continue); }
  Status Skip(uint64_t bytes) override {
    static const std::vector<std::byte> zeros(kChunk);
    Status status;
    while (bytes > 0 && status.ok()) {
      const size_t now = std::min<uint64_t>(bytes, zeros.size());
      status = Write(Bytes(zeros).first(now));
      bytes -= now;
    }
    return status;
  }
  Status End() override { return Compress({}, ZSTD_e_end); }

 private:
  Status Compress(Bytes bytes, ZSTD_EndDirective directive) {
    if (stream_ == nullptr) return Status(-ENOMEM);
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer output{buffer_.data(), buffer_.size(), 0};
      const size_t left = ZSTD_compressStream2(stream_.get(), &output, &input, directive);
      if (ZSTD_isError(left) != 0) return Status(-ENOMEM);  // nothing else can go wrong
      const Status status = file_->Write(Bytes(buffer_).first(output.pos));
      if (!status.ok()) return status;
      if (directive == ZSTD_e_end ? left == 0 : input.pos == input.size) return status;
    }
  }

  OutputFile* const file_;
  std::vector<std::byte> buffer_;
  const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> stream_{ZSTD_createCCtx(),
                                                                   ZSTD_freeCCtx};
};

// ---- What goes in ----------------------------------------------------------------------------------

// The bits of /proc/PID/coredump_filter (core(5)).
enum Filter : uint64_t {
  kAnonymousPrivate = 1 << 0,
  kAnonymousShared = 1 << 1,
  kFilePrivate = 1 << 2,
  kFileShared = 1 << 3,
  kElfHeaders = 1 << 4,
  kHugePrivate = 1 << 5,
  kHugeShared = 1 << 6,
  kDaxPrivate = 1 << 7,
  kDaxShared = 1 << 8,
};

uint64_t FilterOf(pid_t tid) {
  constexpr uint64_t kDefault = kAnonymousPrivate | kAnonymousShared | kElfHeaders | kHugePrivate;
  const auto text = ReadProcFile(fmt::format("/proc/{}/coredump_filter", tid));
  uint64_t filter = kDefault;
  if (text) std::from_chars(text->data(), text->data() + text->size(), filter, 16);
  return filter;
}

// How much of a mapping goes in, by the rules of the kernel's vma_dump_size.
uint64_t DumpSize(const Mapping& mapping, uint64_t filter, Memory& memory) {
  const uint64_t whole = mapping.end - mapping.start;
  const auto flag = [&mapping](const char* name) {
    return std::ranges::find(mapping.flags, name) != mapping.flags.end();
  };
  const auto either = [&](uint64_t shared_bit, uint64_t private_bit) {
    return (filter & (mapping.shared ? shared_bit : private_bit)) != 0 ? whole : 0;
  };
  if (mapping.path == "[vdso]") return whole;
  if (mapping.path == "[vsyscall]") return 0;  // it cannot be read from outside
  if (flag("dd")) return 0;
  if (flag("ht")) return either(kHugeShared, kHugePrivate);
  if (flag("io")) return 0;
  if (mapping.shared) {
    const bool unlinked = mapping.inode == 0 || mapping.path.ends_with(" (deleted)");
    return (filter & (unlinked ? kAnonymousShared : kFileShared)) != 0 ? whole : 0;
  }
  // A private mapping of a file that was written to counts as anonymous. Without smaps nothing tells,
  // but that it could be.
  const bool written = mapping.anonymous_kb != 0 || (mapping.flags.empty() && mapping.write);
  if ((mapping.inode == 0 || written) && (filter & kAnonymousPrivate) != 0) return whole;
  if (mapping.inode == 0) return 0;
  if ((filter & kFilePrivate) != 0) return whole;
  unsigned char magic[SELFMAG] = {};
  if ((filter & kElfHeaders) != 0 && mapping.offset == 0 && mapping.read &&
      memory.ReadObject(mapping.start, &magic) && std::memcmp(magic, ELFMAG, SELFMAG) == 0) {
    return std::min(whole, PageSize());
  }
  return 0;
}

// Which pages of an anonymous mapping were ever touched.
class PageMap {
 public:
  explicit PageMap(pid_t tid)
      : fd_(open(fmt::format("/proc/{}/pagemap", tid).c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~PageMap() {
    if (fd_ >= 0) close(fd_);
  }
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  // For each page from `address` on: true unless it was surely never touched.
  std::vector<bool> Touched(uint64_t address, size_t pages) const {
    constexpr uint64_t kPresentOrSwapped = uint64_t{3} << 62;
    std::vector<uint64_t> entries(pages);
    const size_t size = pages * sizeof(entries[0]);
    const auto offset = static_cast<off_t>(address / PageSize() * sizeof(entries[0]));
    if (fd_ < 0 || pread(fd_, entries.data(), size, offset) != static_cast<ssize_t>(size)) {
      return std::vector<bool>(pages, true);
    }
    std::vector<bool> touched;
    for (const uint64_t entry : entries) touched.push_back((entry & kPresentOrSwapped) != 0);
    return touched;
  }

 private:
  const int fd_;
};

class CoreWriter {
 public:
  CoreWriter(const Snapshot& snapshot, Memory& memory, Sink& sink,
             const std::atomic<bool>& cancelled)
      : snapshot_(snapshot),
        memory_(memory),
        sink_(sink),
        cancelled_(cancelled),
        pages_(snapshot.tid) {}

  CoreOutcome Write() {
    outcome_.status = WriteHeaders();
    for (size_t i = 0; i < sizes_.size() && outcome_.status.ok(); ++i) {
      outcome_.status = WriteMapping(snapshot_.mappings[i], sizes_[i]);
    }
    if (outcome_.status.ok()) outcome_.status = sink_.End();
    return outcome_;
  }

 private:
  template <class T>
  Status WriteObject(const T& object) {
    return sink_.Write(std::as_bytes(std::span(&object, 1)));
  }

  Status WriteHeaders() {
    const std::vector<std::byte> notes = CoreNotes(snapshot_);
    const size_t segments = snapshot_.mappings.size() + 1;
    const bool many = segments >= PN_XNUM;
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_CORE;
    header.e_machine = snapshot_.elf_machine;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof(header);
    header.e_ehsize = sizeof(header);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = many ? PN_XNUM : static_cast<uint16_t>(segments);
    // A number of segments beyond 16 bits stands in a section header.
    Elf64_Shdr section{};
    section.sh_info = static_cast<uint32_t>(segments);
    uint64_t offset = sizeof(header) + segments * sizeof(Elf64_Phdr);
    if (many) {
      header.e_shoff = offset;
      header.e_shentsize = sizeof(section);
      header.e_shnum = 1;
      section.sh_size = header.e_shnum;
      offset += sizeof(section);
    }
    if (const Status status = WriteObject(header); !status.ok()) return status;

    Elf64_Phdr note{};
    note.p_type = PT_NOTE;
    note.p_offset = offset;
    note.p_filesz = notes.size();
    note.p_align = 4;
    if (const Status status = WriteObject(note); !status.ok()) return status;
    offset += notes.size();
    const uint64_t padding = (PageSize() - offset % PageSize()) % PageSize();
    offset += padding;

    const uint64_t filter = FilterOf(snapshot_.tid);
    for (const Mapping& mapping : snapshot_.mappings) {
      sizes_.push_back(DumpSize(mapping, filter, memory_));
      Elf64_Phdr load{};
      load.p_type = PT_LOAD;
      load.p_flags =
          (mapping.read ? PF_R : 0) | (mapping.write ? PF_W : 0) | (mapping.execute ? PF_X : 0);
      load.p_offset = offset;
      load.p_vaddr = mapping.start;
      load.p_filesz = sizes_.back();
      load.p_memsz = mapping.end - mapping.start;
      load.p_align = PageSize();
      if (const Status status = WriteObject(load); !status.ok()) return status;
      offset += load.p_filesz;
    }
    if (many) {
      if (const Status status = WriteObject(section); !status.ok()) return status;
    }
    if (const Status status = sink_.Write(notes); !status.ok()) return status;
    return sink_.Skip(padding);
  }

  Status WriteMapping(const Mapping& mapping, uint64_t size) {
    const bool nothing_there =
        mapping.inode == 0 && !mapping.flags.empty() && mapping.resident_kb == 0;
    if (nothing_there) return sink_.Skip(size);
    for (uint64_t done = 0; done < size;) {
      if (cancelled_) return Status(-ECANCELED);
      const size_t now = std::min<uint64_t>(size - done, kChunk);
      const Status status = WriteChunk(mapping, mapping.start + done, now);
      if (memory_.gone()) return Status(-ESRCH);
      if (!status.ok()) return status;
      done += now;
    }
    return Status();
  }

  Status WriteChunk(const Mapping& mapping, uint64_t address, size_t size) {
    chunk_.assign(size, std::byte{0});
    const size_t page = PageSize();
    const size_t pages = size / page;
    const std::vector<bool> touched = mapping.inode == 0 && mapping.path != "[vdso]"
                                          ? pages_.Touched(address, pages)
                                          : std::vector<bool>(pages, true);
    for (size_t i = 0; i < pages;) {
      size_t end = i;
      while (end < pages && touched[end]) ++end;
      while (i < end) {
        const size_t want = (end - i) * page;
        const size_t got =
            memory_.Read(address + i * page, std::span(chunk_).subspan(i * page, want));
        i += got / page;
        if (got == want) break;
        ++outcome_.unreadable_pages;
        ++i;
      }
      while (i < pages && !touched[i]) ++i;
    }
    // As few writes as there are stretches of pages with something in them.
    for (size_t i = 0; i < pages;) {
      size_t end = i;
      const bool zero = IsZero(Page(i));
      while (end < pages && IsZero(Page(end)) == zero) ++end;
      const auto stretch = Bytes(chunk_).subspan(i * page, (end - i) * page);
      const Status status = zero ? sink_.Skip(stretch.size()) : sink_.Write(stretch);
      if (!status.ok()) return status;
      i = end;
    }
    return Status();
  }
  Bytes Page(size_t i) const { return Bytes(chunk_).subspan(i * PageSize(), PageSize()); }

  const Snapshot& snapshot_;
  Memory& memory_;
  Sink& sink_;
  const std::atomic<bool>& cancelled_;
  const PageMap pages_;
  std::vector<uint64_t> sizes_;  // of what is written of each mapping
  std::vector<std::byte> chunk_;
  CoreOutcome outcome_;
};

}  // namespace

CoreOutcome WriteCore(const Snapshot& snapshot, Memory& memory, bool compress,
                      const std::atomic<bool>& cancelled, OutputFile* file) {
  std::unique_ptr<Sink> sink;
  if (compress) {
    sink = std::make_unique<ZstdSink>(file);
  } else {
    sink = std::make_unique<PlainSink>(file);
  }
  return CoreWriter(snapshot, memory, *sink, cancelled).Write();
}

}  // namespace utrace::crash
