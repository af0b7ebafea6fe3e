#!/bin/bash
# `utrace certify` says of each file that cannot be an implementation what is wrong with it, exits
# with 3, and does not hang. Arguments: the program, then the objects.
set -u
utrace=$PWD/$1
objects=$PWD/$(dirname "$2")
cd "$TEST_TMPDIR" || exit 1
echo 'no object at all' >text.so
mkdir directory.so
failures=0

expect() { # FILE PATTERN
  local output status start=$SECONDS
  output=$(timeout -k 5 50 "$utrace" certify --implementation "$1" --report report 2>&1)
  status=$?
  if [ $status -ne 3 ] || ! grep -qE -e "$2" <<<"$output" ||
    ! grep -q '^verdict: UNUSABLE' <<<"$output" || ! [ -s report/certificate.json ]; then
    printf 'FAILED: %s: status %d instead of 3, or no "%s" in:\n%s\n\n' "$1" $status "$2" "$output"
    failures=$((failures + 1))
  else
    printf 'ok: %s, %d s: %s\n' "${1##*/}" $((SECONDS - start)) "$(grep '^verdict' <<<"$output")"
  fi
}

expect nothing.so 'cannot be read: No such file'
expect directory.so 'no regular file'
expect text.so 'not an ELF file'
expect "$objects/no_symbols.so" 'missing: .*utrace_control.*utrace_barrier'
expect "$objects/wrong_architecture.so" 'built for (aarch64|x86_64)'
expect "$objects/wrong_version.so" 'version'
# A sanitizer in the runner turns SIGSEGV into an abort of its own.
expect "$objects/crashes.so" 'crashed by SIG(SEGV|ABRT) while it was loaded or in its first call'
expect "$objects/hangs.so" 'it hung: .* within 15 s'

# No process of the hanging one is left.
if pgrep -f -- "--implementation [^ ]*/hangs.so" >/dev/null; then
  echo 'FAILED: a process with hangs.so is left'
  failures=$((failures + 1))
fi
exit $((failures > 0))
