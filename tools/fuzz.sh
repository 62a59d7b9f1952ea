#!/usr/bin/env bash
# Runs every fuzz target of the module for a while: tools/fuzz.sh [10s]
set -euo pipefail
cd "$(dirname "$0")/.."
for_each=${1:-10s}
found=0
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
  for target in $(grep -h '^func Fuzz' "$dir"/*_test.go | sed 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/' | sort -u); do
    echo "fuzz $dir $target"
    go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$for_each" -parallel 2
    found=$((found + 1))
  done
done
echo "$found fuzz targets"
test "$found" -gt 0
