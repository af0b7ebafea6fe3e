#include "conformance/certify/html_parts.h"

#include <fmt/core.h>

#include <algorithm>

#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// "NOT RUN" -> "not-run"
std::string AsClass(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (c == ' ') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 as UTF-8.
bool TurnsDirection(std::string_view text) {
  if (text.size() < 3 || text[0] != '\xe2') return false;
  const auto second = static_cast<unsigned char>(text[1]);
  const auto third = static_cast<unsigned char>(text[2]);
  if (second == 0x80) return third == 0x8e || third == 0x8f || (third >= 0xaa && third <= 0xae);
  return second == 0x81 && third >= 0xa6 && third <= 0xa9;
}

}  // namespace

std::string HtmlText(std::string_view text) {
  std::string html;
  for (size_t n = 0; n < text.size(); ++n) {
    const char c = text[n];
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        if (TurnsDirection(text.substr(n))) {
          html += kReplacement;
          n += 2;
        } else if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
          html += kReplacement;
        } else {
          html += c;
        }
    }
  }
  return html;
}

std::string PageHead(std::string_view title, std::string_view style) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n",
      HtmlText(title), style);
}

std::string SpecText(std::string_view text) {
  std::string html;
  bool code = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find('`'), text.size());
    html += HtmlText(text.substr(0, end));
    if (end == text.size()) break;
    code = !code;
    html += code ? "<code>" : "</code>";
    text.remove_prefix(end + 1);
  }
  if (code) html += "</code>";
  return html;
}

std::string ClassOf(ClauseState state) { return AsClass(ClauseStateName(state)); }
std::string ClassOf(Verdict verdict) { return AsClass(VerdictName(verdict)); }

std::string ClassOf(Overall overall) {
  switch (overall) {
    case Overall::kPass:
      return "pass";
    case Overall::kPassWithWaivers:
      return "waived";
    case Overall::kFail:
    case Overall::kUnusable:
      return "fail";
    case Overall::kPartial:
      return "untested";
    case Overall::kBroken:
    case Overall::kIncomplete:
      break;
  }
  return "broken";
}

std::string_view SignOf(ClauseState state) {
  switch (state) {
    case ClauseState::kPassed:
      return "";
    case ClauseState::kFailed:
      return "\xe2\x9c\x95";  // U+2715, a cross
    case ClauseState::kWaived:
      return "~";
    case ClauseState::kBroken:
      return "!";
    case ClauseState::kNotRun:
      return "\xe2\x80\xa6";  // U+2026, an ellipsis
    case ClauseState::kUnsupported:
      return "\xe2\x88\x92";  // U+2212, a minus
    case ClauseState::kNotApplicable:
      return "\xc2\xb7";  // U+00B7, a middle dot
    case ClauseState::kUntested:
      break;
  }
  return "?";
}

std::string Badge(std::string_view name, const std::string& css_class) {
  return fmt::format("<span class=\"badge {}\">{}</span>", css_class, HtmlText(name));
}

std::string Fact(std::string_view label, const std::string& html) {
  if (html.empty()) return "";
  return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", HtmlText(label), html);
}

std::string TextFact(std::string_view label, std::string_view text) {
  text = Trimmed(text);
  if (text.empty()) return "";
  return Fact(label, fmt::format("<span class=\"lines\">{}</span>", HtmlText(text)));
}

std::string CodeFact(std::string_view label, std::string_view text) {
  text = Trimmed(text);
  if (text.empty()) return "";
  return Fact(label, fmt::format("<code>{}</code>", HtmlText(text)));
}

std::string RecordFact(std::string_view label, std::string_view text) {
  text = Trimmed(text);
  if (text.empty()) return "";
  return Fact(label, fmt::format("<span class=\"lines record\">{}</span>", HtmlText(text)));
}

}  // namespace utrace::certify
