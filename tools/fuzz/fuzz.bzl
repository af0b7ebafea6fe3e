"""Readers of files from anywhere, under libFuzzer."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

def fuzz_target(name, srcs, corpus, deps = []):
    """Two targets around one LLVMFuzzerTestOneInput.

    NAME_corpus_test runs the corpus, and simple variations of it, with any compiler and sanitizer. It
    is part of the suite.

    NAME_fuzzer is libFuzzer's program, for as long as one likes:
    ./bazelw run --config=fuzz //PACKAGE:NAME_fuzzer -- -max_total_time=600 DIRECTORY
    DIRECTORY (absolute) gets what it finds; the corpus's own directory may be named behind it.

    Args:
      name: of the reader.
      srcs: with the function LLVMFuzzerTestOneInput.
      corpus: files to begin with.
      deps: of the sources.
    """
    cc_library(
        name = name + "_fuzz_function",
        testonly = True,
        srcs = srcs,
        deps = deps,
        alwayslink = True,
    )
    cc_test(
        name = name + "_corpus_test",
        size = "small",
        args = ["$(rootpath %s)" % file for file in corpus],
        data = corpus,
        deps = [
            ":" + name + "_fuzz_function",
            "//tools/fuzz:corpus_main",
        ],
    )
    cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        # libFuzzer brings main(), and comes with clang only: see --config=fuzz.
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":" + name + "_fuzz_function"],
    )
