// A snapshot as text for people, and as JSON for programs. docs/crash-catcher.md describes both.
#ifndef ENGINES_CRASH_CATCHER_REPORT_H_
#define ENGINES_CRASH_CATCHER_REPORT_H_

#include <string>

#include "engines/crash_catcher/snapshot.h"

namespace utrace::crash {

// "4711 (name) crashed by SIGSEGV in f at a.c:12": one line, without a newline.
std::string Summary(const Snapshot& snapshot);
// Lines, each with its newline.
std::string TextReport(const Snapshot& snapshot);
// One object, with a newline. Bytes that are no UTF-8 are replaced.
std::string JsonReport(const Snapshot& snapshot);

// The frame of the first thread that people want to be told of: the innermost one, or, where the
// process ended itself, the innermost one outside the machinery of ending it (abort, assert, terminate,
// ...). Null if there is no frame.
const Frame* CulpritFrame(const Snapshot& snapshot);

// The text with its control characters made visible: one line, whatever a program calls itself.
std::string OneLine(const std::string& text);
// "2026-11-25T14:00:00.123Z".
std::string TimeText(const timespec& time);

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_REPORT_H_
