#!/usr/bin/env bash
# Fuzzes one target for some seconds, starting from the files in tests/corpus.
#
#   tools/fuzz.sh photo|checkpoint|labels|manifest SECONDS
#
# Needs a nightly toolchain and cargo-fuzz. Findings are saved in fuzz/artifacts. After a fix, move
# the input to tests/corpus/fuzz/TARGET, where the tests replay it.
# `tools/fuzz.sh TARGET keep` saves a small set of the inputs reached so far there.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
what=$2
corpus=fuzz/corpus/$target
mkdir -p "$corpus"

cp -n tests/corpus/fuzz/"$target"/* "$corpus" 2>/dev/null || true
case $target in
photo)
    # The first byte selects the file's name: see tests/hostile/inputs.rs.
    for file in tests/corpus/*; do
        [ -f "$file" ] || continue
        how='\000'
        [[ $file == *.tga ]] && how='\001'
        { printf "$how"; cat "$file"; } >"$corpus/$(basename "$file")"
    done
    ;;
checkpoint) cp -n tests/golden/pth/*.pth "$corpus" ;;
labels)
    printf '\002["cat", "dog"]' >"$corpus/list"
    printf '\002{"0": ["n01", "cat"], "1": ["n02", "dog"]}' >"$corpus/index"
    printf '\002{"cat": 0, "dog": 1}' >"$corpus/names"
    printf '\002cat\ndog\n' >"$corpus/lines"
    ;;
esac

fuzz() { cargo +nightly fuzz "$1" --fuzz-dir fuzz -O "$target" "${@:2}"; }
if [ "$what" = keep ]; then
    fuzz cmin
    # A random selection of small inputs.
    find "$corpus" -type f -size -900c | shuf | head -90 | while read -r file; do
        name=$(basename "$file")
        cp -n "$file" "tests/corpus/fuzz/$target/${name:0:12}"
    done
else
    # An input that takes 5 s counts as a hang, one that takes 2 GB as a memory bomb.
    fuzz run -- -max_total_time="$what" -timeout=5 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1
fi
