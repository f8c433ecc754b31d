#!/usr/bin/env bash
# Experts of both toy tasks by three seeds, over the demo's base: about a minute each on two quiet cores.
#   bench/compress_quality/family.sh runs/family
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1" && cd "$1"
for kind in math chat; do
  [ -f $kind.jsonl ] || deltakit data toy $kind --count 8000 -o $kind.jsonl
  [ -f $kind.test.jsonl ] || deltakit data toy $kind --split test --count 100 -o $kind.test.jsonl
done
for seed in 0 1 2; do
  for kind in math chat; do
    [ -d $kind-$seed ] || deltakit sft "$root/recipes/sft/demo-$kind.yaml" -o $kind-$seed --set base="$root/recipes/demo/base" \
      --set data.path=$kind.jsonl --set train.max_steps=250 --set train.seed=$seed --format quiet
  done
done
