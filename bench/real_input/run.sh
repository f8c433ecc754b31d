#!/usr/bin/env bash
# The whole road on real input: bench/real_input/run.sh RUNS   (from the checkout's root; about 40 minutes on two cores)
# Needs ../shared/models/babyllama-tok361 and ../shared/data; results are in bench/results/real_input.md.
set -euo pipefail
RUNS=${1:?where the runs go}
MODELS=${DELTAKIT_MODELS:-../shared/models}
DATA=${DELTAKIT_DATA:-../shared/data}
mkdir -p "$RUNS"

# the base with its context raised, as the fine-tunes have it, so that sums over it can read whole records
cp -r --no-preserve=mode "$MODELS/babyllama-tok361" "$RUNS/base"
sed -i 's/"max_position_embeddings": 256/"max_position_embeddings": 1024/' "$RUNS/base/config.json"

deltakit sft bench/real_input/math.yaml -o "$RUNS/math"
deltakit sft bench/real_input/chat.yaml -o "$RUNS/chat"
deltakit extract "$RUNS/base" "$RUNS/math" -o "$RUNS/math.delta"
deltakit extract "$RUNS/base" "$RUNS/chat" -o "$RUNS/chat.delta"
deltakit diff "$RUNS/math" "$RUNS/chat" --against "$RUNS/base" --top 5

deltakit merge --base "$RUNS/base" --model "$RUNS/math:0.5" --model "$RUNS/chat:0.5" --vocabulary base -o "$RUNS/merged"
deltakit merge --base "$RUNS/base" --model "$RUNS/math:0.5" --model "$RUNS/chat:0.5" --method dare_ties --density 0.5 \
  --vocabulary base -o "$RUNS/dare-ties"
deltakit sparsify "$RUNS/base" "$RUNS/math.delta" --each "drop(density=0.5)" -o "$RUNS/math-dare.delta"
deltakit compress "$RUNS/base" "$RUNS/math.delta" --codec sign -o "$RUNS/math-sign.delta"
for codec in svd_mixed lowrank; do  # at the true bytes of the sign archive
  deltakit compress "$RUNS/base" "$RUNS/math.delta" --codec "$codec" --bytes "$RUNS/math-sign.delta" \
    -o "$RUNS/math-$codec.delta"
done
deltakit apply "$RUNS/base" "$RUNS/math.delta" -o "$RUNS/math-restored"
deltakit apply "$RUNS/base" "$RUNS/math-svd_mixed.delta" -o "$RUNS/math-svd_mixed"
deltakit verify "$RUNS/math-restored"

deltakit eval "base=$RUNS/base" "math=$RUNS/math" "chat=$RUNS/chat" "merged=$RUNS/merged" "dare_ties=$RUNS/dare-ties" \
  "expression=$RUNS/base + 0.7*$RUNS/math.delta" "DARE 0.5=$RUNS/base + $RUNS/math-dare.delta" \
  "restored=$RUNS/math-restored" "svd_mixed=$RUNS/base + $RUNS/math-svd_mixed.delta" \
  "lowrank=$RUNS/base + $RUNS/math-lowrank.delta" "sign=$RUNS/base + $RUNS/math-sign.delta" \
  --tasks gsm8k_alpaca --limit 200 --max-new-tokens 256 --loss "$DATA/gsm8k/test.jsonl" -o "$RUNS/results.json"
