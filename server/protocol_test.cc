#include "server/protocol.h"

#include <gtest/gtest.h>

namespace utrace::server {
namespace {

std::string Error(const std::string& text) {
  std::string error;
  EXPECT_FALSE(ParseRequest(text, &error)) << text;
  return error;
}

TEST(Protocol, RequestsSayWhatTheySaid) {
  const Request requests[] = {
      Hello{.version = "1", .command = "run"},
      MakeEngineRequest{.spec = "a:b=c", .plugin = true, .files = {"x", "y"}},
      AttachRequest{.targets = {1, 2147483647}, .threads = true, .follow = true, .force = true},
      AttachRequest{.targets = {7}, .command = true},
      EndRequest{},
      DetachRequest{.targets = {4}, .threads = true, .engine = "#3"},
      ListRequest{},
      ControlRequest{.kind = ControlRequest::Kind::kInterrupt, .targets = {5}, .force = true}};
  for (const Request& request : requests) {
    std::string error;
    const auto again = ParseRequest(ToText(request), &error);
    ASSERT_TRUE(again) << error;
    EXPECT_EQ(again->index(), request.index());
    EXPECT_EQ(ToText(*again), ToText(request));
  }
  EXPECT_EQ(DescriptorsOf(requests[0]), 1U);
  EXPECT_EQ(DescriptorsOf(requests[1]), 3U);
  EXPECT_EQ(DescriptorsOf(requests[2]), 0U);
}

TEST(Protocol, WhatIsNoRequestIsToldWhy) {
  EXPECT_EQ(Error(""), "the message is no JSON object");
  EXPECT_EQ(Error("[1]"), "the message is no JSON object");
  EXPECT_EQ(Error(std::string(kMaxMessage + 1, ' ')), "the message is too long");
  EXPECT_EQ(Error(std::string(1000, '[')), "the message is no JSON object");
  EXPECT_EQ(Error(R"({"do":"fly"})"), "there is no request \"fly\"");
  EXPECT_EQ(Error(R"({"do":"a\nb"})"), "there is no request \"a?b\"");
  EXPECT_EQ(Error(R"({"do":"list","targets":[-1]})"), "field \"targets\" is no good");
  EXPECT_EQ(Error(R"({"do":"list","targets":[2147483648]})"), "field \"targets\" is no good");
  EXPECT_EQ(Error(R"({"do":"list","more":1})"), "there is a field that is not known");
  EXPECT_EQ(Error(R"({"do":"stop","force":1})"), "field \"force\" is no good");
}

TEST(Protocol, RepliesSayWhatTheySaidAndFit) {
  const Reply reply{.kind = Reply::Kind::kEnded,
                    .pid = 3,
                    .number = 1,
                    .total = 2,
                    .text = "why",
                    .item = R"({"a":1})",
                    .lines = {"one", "\xff"}};
  std::string error;
  const auto again = ParseReply(ToText(reply), &error);
  ASSERT_TRUE(again) << error;
  EXPECT_EQ(again->kind, reply.kind);
  EXPECT_EQ(again->lines[1], "\xef\xbf\xbd");  // what is no UTF-8 is replaced
  EXPECT_EQ(ToText(*again), ToText(reply));

  const Reply big{.text = std::string(1 << 20, '\1'),
                  .lines = std::vector<std::string>(100000, "a problem")};
  const std::string text = ToText(big);
  EXPECT_LE(text.size(), kMaxMessage);
  EXPECT_NE(text.find("and more"), std::string::npos);
}

}  // namespace
}  // namespace utrace::server
