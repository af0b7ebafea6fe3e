#!/bin/sh
# Runs its arguments: the clause test driver and its options, as clause_tests() gives them.
exec "$@"
