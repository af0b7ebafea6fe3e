#!/bin/sh
# Passes if the suite finds the implementation at fault by a test of the clause that it breaks.
# Arguments: the clause, then the driver's command line.
set -u
clause=$1
shift
# The failures of the mutant are no failures of this test.
unset XML_OUTPUT_FILE
out=$("$@" 2>&1)
status=$?
printf '%s\n' "$out"
if [ "$status" -ne 1 ]; then
  echo "the suite did not find the mutant at fault: exit status $status, not 1" >&2
  exit 1
fi
if ! printf '%s\n' "$out" | grep -q "FAIL.*$clause"; then
  echo "no test of $clause failed" >&2
  exit 1
fi
