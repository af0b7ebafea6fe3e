#!/bin/bash
# The template is copied out of the tree, built there as its README says, and loaded.
set -euo pipefail

utrace=$PWD/$1
sources=$PWD
away=$(mktemp -d)
export UTRACE_SOCKET_DIR=$away/server
trap 'rm -rf "$away"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# An engine finds the whole interface in the program that loads it.
functions() { nm -D --defined-only "$1" | awk '$3 ~ /^utrace_/ { print $3 }' | sort; }
diff <(functions "$utrace") <(functions core/libutrace.so) || fail "core/exports.lds is out of date"

cp examples/engine_template/{Makefile,my_engine.cc} "$away"
cd "$away"
make -s UTRACE="$sources" CXXFLAGS="-O1 -Wall -Wextra -Werror"

"$utrace" run -e ./my_engine.so:output=log -- sh -c '/bin/true; exit 3' || status=$?
[ "${status:-0}" = 3 ] || fail "the command ended with ${status:-0}"
grep -Eq '^[0-9]+ executes /.*/true$' log || fail "no exec of true in: $(cat log)"
[ "$(grep -Ec '^[0-9]+ made [1-9][0-9]* system calls$' log)" = 2 ] || fail "not two ends in: $(cat log)"

# Without following, and to standard error.
"$utrace" run -e ./my_engine.so:follow=no -- sh -c '/bin/true; exit 0' 2>errors
[ "$(grep -c ' made ' errors)" = 1 ] || fail "not one end in: $(cat errors)"

# Beside an engine that is built in, and a second one of its own kind.
"$utrace" run -e "$away/my_engine.so:output=one" -e syscall_log:output=calls \
  -e ./my_engine.so:output=two -- true
cmp one two || fail "two of a kind saw different things"
# The log has a line for each call, the one that ends the process included.
made=$(grep -Eo 'made [0-9]+' one | cut -d' ' -f2)
[ "$made" = "$(grep -Ec '^\[[0-9]+\] [a-z_0-9]+\(' calls)" ] || fail "$made calls, but: $(cat calls)"

# What a user does wrong is told, and nothing is run.
if "$utrace" run -e ./my_engine.so:follow=maybe -- touch ran 2>errors; then fail "follow=maybe"; fi
grep -q 'my_engine: follow=maybe: must be yes or no' errors || fail "$(cat errors)"
if "$utrace" run -e ./my_engine.so:colour=red -- touch ran 2>errors; then fail "colour=red"; fi
grep -q 'my_engine has no option "colour"; it has: output=FILE, follow=yes|no' errors ||
  fail "$(cat errors)"
if "$utrace" run -e ./Makefile -- touch ran 2>errors; then fail "a Makefile as an engine"; fi
grep -q './Makefile: is no shared object' errors || fail "$(cat errors)"
[ ! -e ran ] || fail "the command was run"
