#!/usr/bin/env bash
# Runs every fuzz target of the module for a while: tools/fuzz.sh [10s]
set -euo pipefail
cd "$(dirname "$0")/.."
for_each=${1:-10s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# fuzz runs one target. When its time is up in the middle of an execution, go test
# sometimes fails with nothing but "context deadline exceeded";
# a finding names the failing input. Only the former is tried again.
fuzz() {
  for _ in 1 2 3; do
    if go test "$1" -run '^$' -fuzz "^$2\$" -fuzztime "$for_each" -parallel 2 2>&1 | tee "$out"; then
      return 0
    fi
    grep -q 'context deadline exceeded' "$out" || return 1
    if grep -q 'Failing input\|panic:\|_test.go:' "$out"; then
      return 1
    fi
    echo "fuzz $1 $2: the time was up in the middle of an execution, once more"
  done
  return 1
}

found=0
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
  for target in $(grep -h '^func Fuzz' "$dir"/*_test.go | sed 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/' | sort -u); do
    echo "fuzz $dir $target"
    fuzz "$dir" "$target"
    found=$((found + 1))
  done
done
echo "$found fuzz targets"
test "$found" -gt 0
