#include "conformance/history/edge.h"

namespace utrace::history {
namespace {

void Add(std::string* text, const char* name, int64_t value) {
  *text += text->empty() ? "{\"" : ",\"";
  *text += name;
  *text += "\":" + std::to_string(value);
}

}  // namespace

std::string Text(const Edge& edge) {
  std::string text;
  if (!edge.begins) {
    text = "{\"return\":" + std::to_string(edge.id);
    Add(&text, "result", edge.result);
    if (edge.engine != 0) Add(&text, "engine", edge.engine);
    return text + "}";
  }
  text = "{\"begin\":" + std::to_string(edge.id) + ",\"what\":\"" + WhatName(edge.what) + "\"";
  Add(&text, "task", edge.task);
  if (edge.what != What::kAttach && edge.what != What::kLookup) Add(&text, "engine", edge.engine);
  if (edge.context != 0) Add(&text, "context", edge.context);
  if (edge.what == What::kClone) Add(&text, "child", edge.child);
  if (edge.what == What::kSetEvents || edge.what == What::kQuiesce) {
    text += ",\"events\":" + std::to_string(edge.events);
  }
  if (edge.acts) Add(&text, "action", edge.action);
  if (edge.what == What::kSignal) {
    Add(&text, "signal", edge.signal);
    Add(&text, "dequeued", edge.dequeued ? 1 : 0);
  }
  if (edge.numbered) Add(&text, "call", edge.call);
  return text + "}";
}

std::string EndText(uint64_t edges) { return "{\"end\":" + std::to_string(edges) + "}"; }

}  // namespace utrace::history
