#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>

#include "core/model/races/scene.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  constexpr std::string_view kOption = "--schedule=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.substr(0, kOption.size()) != kOption) {
      std::fprintf(stderr,
                   "unknown option %s; known: --schedule=SCHEDULE (see core/model/scheduler.h)\n",
                   argv[i]);
      return 2;
    }
    utrace::model::SetSchedule(std::string(argument.substr(kOption.size())));
  }
  return RUN_ALL_TESTS();
}
