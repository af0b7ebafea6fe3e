#!/bin/sh
# Runs a program that was built for arm64 in QEMU's user mode, with the libraries of the cross compiler and of
# @arm64_libraries. There is no ptrace in it.
here=$(dirname "$0")
for root in "$here/../../arm64_libraries/root" "$here/../external/arm64_libraries/root" \
  "$0.runfiles/arm64_libraries/root" ../arm64_libraries/root; do
  [ ! -d "$root" ] || break
done
exec /usr/bin/qemu-aarch64-static -L /usr/aarch64-linux-gnu \
  -E "LD_LIBRARY_PATH=$root/usr/lib/aarch64-linux-gnu:$root/lib/aarch64-linux-gnu" "$@"
