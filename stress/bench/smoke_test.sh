#!/bin/sh
# Runs a benchmark once; fails if one of its cases reports an error.
set -eu
out=$("$1" --benchmark_min_time=0.000001)
printf '%s\n' "$out"
if printf '%s\n' "$out" | grep -q "ERROR OCCURRED"; then
  exit 1
fi
