// The chapters of the specification that the suite claims to cover.
//
// Each of their MUST clauses needs a test: a whole run in which one has none is no certificate.
// coverage_test asks for tests of SHOULD clauses and of limits too. Add a chapter here once its tests
// are complete.
#ifndef CONFORMANCE_CERTIFY_COVERED_CHAPTERS_H_
#define CONFORMANCE_CERTIFY_COVERED_CHAPTERS_H_

namespace utrace::certify {

inline constexpr int kCoveredChapters[] = {2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                           12, 13, 14, 15, 16, 17, 18, 19, 20, 22};

}  // namespace utrace::certify

#endif  // CONFORMANCE_CERTIFY_COVERED_CHAPTERS_H_
