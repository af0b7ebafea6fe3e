// relacy keeps the stacks of its threads for as long as the program runs, and forgets where.
extern "C" const char* __lsan_default_suppressions();

extern "C" const char* __lsan_default_suppressions() { return "leak:create_fiber\n"; }
