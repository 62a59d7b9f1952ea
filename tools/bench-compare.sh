#!/usr/bin/env bash
# Compares the benchmarks of single functions between a commit and the working
# tree: tools/bench-compare.sh [main]. The two are run by turns, so that what
# disturbs the machine disturbs both.
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-main}
packages=(call signal identity)
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree/base"; rm -rf "$tree"' EXIT
git worktree add --quiet --detach "$tree/base" "$base"

for p in "${packages[@]}"; do
  (cd "$tree/base" && go test -c -o "$tree/$p.before" "./$p")
  go test -c -o "$tree/$p.after" "./$p"
done
for _ in 1 2 3 4 5 6; do
  for p in "${packages[@]}"; do
    for side in before after; do
      (cd "$p" && "$tree/$p.$side" -test.run '^$' -test.bench . -test.benchmem -test.benchtime 200ms) >> "$tree/$side.txt"
    done
  done
done
go tool -modfile=tools/go.mod benchstat "$tree/before.txt" "$tree/after.txt"
