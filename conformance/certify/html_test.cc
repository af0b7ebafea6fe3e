// certificate.html, as text and as Chromium shows it.
#include "conformance/certify/html.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <regex>

#include "conformance/certify/html_parts.h"
#include "conformance/certify/supervise.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

const ClauseTable& Table() { return ClauseTable::BuiltIn(); }

TestResult Result(const Clause& clause, const std::string& name, Verdict verdict) {
  TestResult result;
  result.test = {clause.id + "." + name, clause.id, name};
  result.test.id.replace(clause.family().size(), 1, "_");
  result.verdict = verdict;
  result.milliseconds = 12;
  return result;
}

HostReport Host(const std::string& name) {
  HostReport host;
  host.name = name;
  host.path = "/home/somebody/build/a/rather/long/path/to/an/implementation/lib" + name + ".so";
  host.sha256 = std::string(64, '7');
  host.reproduce = "utrace certify --implementation " + host.path;
  host.facts.kind = name;
  host.facts.api_version = "20090421";
  host.facts.declared_limits = {{"LIM-01", "after SIGKILL the exit report may be missing"}};
  host.seconds = 83;
  return host;
}

// Passed on "live"; on "hosted" some of it does not apply.
Report Good() {
  Report report;
  report.tool_version = "0.1.0";
  report.spec_sha256 = std::string(64, '3');
  report.date = "2026-09-01T12:00:00Z";
  report.machine = {"Linux 6.1.0-18-amd64 #1 SMP", "x86_64", "workbench", 2};
  report.hosts = {Host("live"), Host("hosted")};
  for (const Clause& clause : Table().clauses()) {
    for (HostReport& host : report.hosts) {
      const bool applies = host.name == "live" || clause.chapter != 14;
      for (const char* name : {"DoesWhatIsRequired", "DoesItAlsoWhereThatIsHardForOtherReasons"}) {
        TestResult& test = host.results.emplace_back(
            Result(clause, name, applies ? Verdict::kPass : Verdict::kNotApplicable));
        if (!applies) test.needs = "exec";
      }
    }
  }
  return report;
}

Report Judged(Report report) {
  static constexpr int kCovered[] = {2, 3, 14, 16};
  Judge(Table(), kCovered, &report);
  return report;
}

// One of everything, with texts that mean harm.
Report Bad() {
  Report report = Good();
  std::vector<TestResult>& results = report.hosts[0].results;
  TestResult& failed = results[20];
  failed.verdict = Verdict::kFail;
  failed.expected = "-ENOENT";
  failed.seen = "<script>console.log('seen')</script><img src=x onerror=\"alert(1)\">";
  failed.message =
      "file.cc:7: " + std::string(300, 'x') + "\n\tsecond line \x01 \xe2\x80\xae turned";
  failed.witness = "REP-03: two callbacks of one task overlap\n  line 4: {\"begin\":2}";
  failed.history = "histories/1/x.jsonl";
  failed.log = "logs/1/x.log";
  failed.schedule = "random:7 'quoted'";
  results[30].verdict = Verdict::kBroken;
  results[30].message = "no puppet";
  results[40].verdict = Verdict::kFail;
  results[50].verdict = Verdict::kNotRun;
  results[60].verdict = Verdict::kUnsupported;
  results[61].verdict = Verdict::kUnsupported;
  report.waivers = {{results[40].test.clause, "<b>ticket</b> 17"}};
  return Judged(report);
}

bool Holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(HtmlText, KeepsTextText) {
  EXPECT_EQ(HtmlText("<a href=\"x\" b='y'>&amp;"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;");
  EXPECT_EQ(HtmlText("\xc3\xa4\n\t"), "\xc3\xa4\n\t");
  const std::string mark = "\xef\xbf\xbd";
  EXPECT_EQ(HtmlText(std::string("\0\x1b\x7f", 3)), mark + mark + mark);
  EXPECT_EQ(HtmlText("a\xe2\x80\xae"
                     "b\xe2\x81\xa6"
                     "c\xe2\x80\xa6"),
            "a" + mark + "b" + mark + "c\xe2\x80\xa6");
}

TEST(SpecText, MarksCode) {
  EXPECT_EQ(SpecText("`a<b` and `c`"), "<code>a&lt;b</code> and <code>c</code>");
  EXPECT_EQ(SpecText("one ` alone"), "one <code> alone</code>");
}

TEST(HtmlPage, ShowsAllThatIsKnownOfAFailure) {
  const std::string html = HtmlPage(Table(), Bad());
  const std::string failures = html.substr(html.find("<h2>What did not pass"));
  for (const char* part :
       {"<dt>requirement</dt>", "<dt>expected</dt><dd><span class=\"lines\">-ENOENT<",
        "&lt;script&gt;console.log(&#39;seen&#39;)", "<dt>witness</dt>", "REP-03: two callbacks",
        "histories/1/x.jsonl", "logs/1/x.log", "<dt>reproduce</dt>", "--schedule &#39;random:7",
        "no puppet", "&lt;b&gt;ticket&lt;/b&gt; 17"}) {
    EXPECT_TRUE(Holds(failures, part)) << part;
  }
  // Before everything else that is long.
  EXPECT_LT(html.find("<h2>What did not pass"), html.find("<h2>Clauses by chapter"));
  EXPECT_FALSE(Holds(html, "<script"));
  EXPECT_FALSE(Holds(html, "<img"));
  EXPECT_FALSE(Holds(html, "<b>ticket"));
}

TEST(HtmlPage, HasACellForEachClauseAndLoadsNothing) {
  const std::string html = HtmlPage(Table(), Judged(Good()));
  for (const Clause& clause : Table().clauses()) {
    EXPECT_TRUE(Holds(html, "href=\"#" + clause.id + "\"")) << clause.id;
    EXPECT_TRUE(Holds(html, "id=\"" + clause.id + "\"")) << clause.id;
    EXPECT_TRUE(Holds(html, SpecText(clause.text))) << clause.id;
  }
  EXPECT_TRUE(Holds(html, "EXE-01: PASS, live PASS, hosted NOT APPLICABLE"));
  EXPECT_TRUE(Holds(html, "<h3>On host hosted</h3>"));
  EXPECT_TRUE(Holds(html, "<dt>needs exec</dt>"));
  EXPECT_TRUE(Holds(html, "LIM-01</b> after SIGKILL"));
  EXPECT_FALSE(Holds(html, "What did not pass"));
  for (const char* part : {"://", "src=", "url(", "@import", "<link"}) {
    EXPECT_FALSE(Holds(html, part)) << part;
  }
}

TEST(HtmlPage, CallsASelectionNoCertificate) {
  Report report = Good();
  report.selection = {"ATT-05"};
  const std::string html = HtmlPage(Table(), Judged(report));
  EXPECT_TRUE(Holds(html, "This is no certificate: only a selection was tested."));
  EXPECT_FALSE(Holds(html, "Certificate of"));
}

// Keeps a page for whoever wants to look at it.
std::string Kept(const std::string& name, std::string html) {
  if (const char* outputs = getenv("TEST_UNDECLARED_OUTPUTS_DIR")) {
    std::ofstream(std::string(outputs) + "/" + name) << html;
  }
  return html;
}

// Renders pages in headless Chromium.
class Rendered : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(dir_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // Chromium's output, what it wrote to stderr included.
  std::string Chromium(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {"/usr/bin/chromium", "--headless",
                                     // A test may run as root, where Chromium has no sandbox.
                                     "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                     "--disable-background-networking", "--no-first-run",
                                     "--enable-logging=stderr", "--hide-scrollbars",
                                     "--user-data-dir=" + dir_ + "/user",
                                     // Ends when the page is loaded, however slow the machine is.
                                     "--virtual-time-budget=20000"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    std::string output;
    const SuperviseOutcome outcome = RunSupervised({.argv = argv,
                                                    .log_path = dir_ + "/chromium.log",
                                                    .deadline = std::chrono::minutes(4),
                                                    .log_limit = 64 << 20},
                                                   &output);
    EXPECT_EQ(outcome.error, "");
    EXPECT_FALSE(outcome.timed_out) << output;
    EXPECT_EQ(outcome.wait_status, 0) << output;
    return output;
  }

  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(dir_ + "/" + name) << content;
    return "file://" + dir_ + "/" + name;
  }

  struct Frame {
    std::string html;
    int width;
  };
  // What frames of these widths with these pages measure: "content WIDTH verdict TEXT" for each, and
  // then all messages of the console.
  std::vector<std::string> Measure(const std::vector<Frame>& frames) {
    std::string page = "<!DOCTYPE html><meta charset=utf-8><body><ol id=measured></ol>";
    for (const Frame& frame : frames) {
      page +=
          fmt::format("<iframe style=\"border:0;height:800px;width:{}px\" srcdoc=\"{}\"></iframe>",
                      frame.width, HtmlText(frame.html));
    }
    page +=
        "<script>onload = () => { for (const frame of document.querySelectorAll('iframe')) {"
        "const inner = frame.contentDocument, title = inner.getElementById('verdict');"
        "const box = title.getBoundingClientRect();"
        "const seen = title.checkVisibility({opacityProperty: true, visibilityProperty: true}) &&"
        " box.width > 0 && box.top >= 0 && box.bottom < 800;"
        "const line = document.createElement('li');"
        "line.textContent = `content ${inner.documentElement.scrollWidth} verdict ` +"
        " (seen ? title.innerText : 'hidden'); measured.append(line); } }</script>";
    const std::string output = Chromium({"--dump-dom", Write("frames.html", page)});
    std::vector<std::string> measured;
    for (const char* pattern : {"<li>(content [^<]*)</li>", "(CONSOLE[:(].*)"}) {
      const std::regex wanted(pattern);
      for (std::sregex_iterator found(output.begin(), output.end(), wanted), end; found != end;
           ++found) {
        measured.push_back((*found)[1]);
      }
    }
    return measured;
  }

  // The number of pages of the PDF that printing makes.
  ptrdiff_t PagesOf(const std::string& html) {
    const std::string pdf = dir_ + "/page.pdf";
    Chromium({"--no-pdf-header-footer", "--print-to-pdf=" + pdf, Write("page.html", html)});
    const std::string content = ReadFile(pdf);
    EXPECT_TRUE(content.starts_with("%PDF-")) << content.substr(0, 100);
    const std::regex page("/Type\\s*/Page[^s]");
    return std::distance(std::sregex_iterator(content.begin(), content.end(), page),
                         std::sregex_iterator());
  }

  std::string dir_ = testing::TempDir() + "html_test.XXXXXX";
};

using Lines = std::vector<std::string>;

TEST_F(Rendered, FitsAPhoneAndADeskAndComplainsOfNothing) {
  const std::string good = Kept("good.html", HtmlPage(Table(), Judged(Good())));
  const std::string bad = Kept("bad.html", HtmlPage(Table(), Bad()));
  std::string open = bad;
  for (size_t at = 0; (at = open.find("<details", at)) != std::string::npos; at += 8) {
    open.insert(at + 8, " open");
  }
  EXPECT_EQ(Measure({{good, 360}, {bad, 360}, {open, 360}, {bad, 1280}}),
            (Lines{"content 360 verdict PASS", "content 360 verdict FAIL",
                   "content 360 verdict FAIL", "content 1280 verdict FAIL"}));
}

TEST_F(Rendered, PrintsOnPaperWithAllClauses) {
  const ptrdiff_t pages = PagesOf(HtmlPage(Table(), Judged(Good())));
  // More than what is open on the screen, less than with the single tests.
  EXPECT_GE(pages, 8);
  EXPECT_LE(pages, 40);
}

// The measures above find what they are for.
TEST_F(Rendered, IsMeasuredByWhatFindsFaults) {
  const std::string good = HtmlPage(Table(), Judged(Good()));
  std::string wide = good;
  wide.insert(wide.find("</body>"), "<div style=\"width:700px\">x</div>");
  std::string hidden = good;
  hidden.insert(hidden.find("</style>"), "#verdict { visibility: hidden }");
  std::string script = good;
  script.insert(script.find("</body>"), "<script>console.log('x')</script>");
  const Lines lines = Measure({{wide, 360}, {hidden, 360}, {script, 360}});
  ASSERT_GE(lines.size(), 4u) << "the page's policy refuses the script, and the console says so";
  EXPECT_GT(atoi(lines[0].c_str() + std::string("content ").size()), 700) << lines[0];
  EXPECT_EQ(lines[1], "content 360 verdict hidden");
  EXPECT_EQ(lines[2], "content 360 verdict PASS");
  EXPECT_TRUE(lines[3].starts_with("CONSOLE")) << lines[3];
  EXPECT_EQ(PagesOf("<!DOCTYPE html><title>x</title>x"), 1);
}

}  // namespace
}  // namespace utrace::certify
