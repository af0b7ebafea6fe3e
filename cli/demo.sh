#!/bin/sh
# Certifies our implementation on live threads, then shows the system calls of a real command.
set -u
# Beside this script as Bazel calls it: a link that leads to the source.
: "${RUNFILES_DIR:=$0.runfiles}"
case $RUNFILES_DIR in /*) ;; *) RUNFILES_DIR=$PWD/$RUNFILES_DIR ;; esac
export RUNFILES_DIR
utrace=$RUNFILES_DIR/utrace/cli/utrace
if ! [ -x "$utrace" ]; then
  echo "demo: $utrace is missing; start it with: ./bazelw run //cli:demo" >&2
  exit 4
fi

# Where the user stands, if that can be written to.
place=${BUILD_WORKING_DIRECTORY:-$PWD}
[ -w "$place" ] || place=${TMPDIR:-/tmp}

echo '$ utrace certify'
"$utrace" certify --report "$place/utrace-certificate"
certified=$?

log=$(mktemp) && output=$(mktemp) || exit 4
trap 'rm -f "$log" "$output"' EXIT
printf '\n$ utrace run -e syscall_log -- ls -l /usr/share/doc\n'
"$utrace" run -e syscall_log -- ls -l /usr/share/doc >"$output" 2>"$log"
ran=$?
lines=$(wc -l <"$log")
if [ "$lines" -gt 24 ]; then
  head -n 16 "$log"
  echo "... ($((lines - 24)) more lines) ..."
  tail -n 8 "$log"
else
  cat "$log"
fi
echo "(ls printed $(wc -l <"$output") lines and exited with $ran)"

if [ "$certified" -ne 0 ]; then
  echo "demo: the certification did not pass" >&2
  exit "$certified"
fi
if [ "$ran" -ne 0 ] || [ "$lines" -eq 0 ]; then
  echo "demo: utrace run failed" >&2
  exit 1
fi
