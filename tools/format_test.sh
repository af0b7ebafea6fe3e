#!/usr/bin/env bash
# Fails if a tracked source file is not formatted as .clang-format says. Looks at the source tree
# itself: no target's inputs hold all of it.
set -eu
lint=$(readlink -f tools/lint)
exec "$lint" --format
