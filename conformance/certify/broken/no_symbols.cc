// A shared object that is no implementation: it has one of the functions, and something else.
extern "C" __attribute__((visibility("default"))) unsigned long utrace_api_version() { return 0; }
extern "C" __attribute__((visibility("default"))) int unrelated() { return 42; }
