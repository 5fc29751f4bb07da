#!/bin/sh
# Builds the shim with its C tests and runs them: run.sh [plain|spill|asan|tsan|all] [part of a test's name]
# spill: as plain, with every image of a transaction in the temporary file.
# run.sh mutants [number...]: puts each known bug in and names the test that kills it (of those whose name contains $DQ_ONLY).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
catalog=$here/../../tests/Dqlite.Simulation/Mutants/NativeMutants.cs
out=$(mktemp -d)
shm=$(mktemp -d -p "$(if [ -w /dev/shm ]; then echo /dev/shm; else echo "$out"; fi)")
trap 'rm -rf "$out" "$shm"' EXIT
cc=${CC:-gcc}
flags="-std=c11 -D_GNU_SOURCE -O1 -g -pthread -Wall -Wextra -Werror"
passed=0
failed=0
build() {
    # shellcheck disable=SC2086
    $cc $flags $2 -o "$out/$1" "$here"/../*.c "$here"/*.c -Wl,--no-as-needed -lm -ldl
}
one() {
    echo "== $1"
    build "$1" "$2"
    code=0
    "$out/$1" "${filter:-}" >"$out/$1.txt" 2>&1 || code=$?
    cat "$out/$1.txt"
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$out/$1.txt" | tail -1)
    if [ -z "$last" ] || grep -qE 'Sanitizer|runtime error' "$out/$1.txt"; then failed=$((failed + 1)); fi
    if [ "$code" != 0 ] || grep -qE 'Sanitizer|runtime error' "$out/$1.txt"; then
        # What follows may be all that is read of a long output: where it ended, and what was said of it.
        { echo "-- $1 ended with code $code:"; grep -vE '^ok  ' "$out/$1.txt" | grep -E 'seed|FAIL|[.]c:[0-9]|Sanitizer|runtime error|cannot' | tail -40; } >>"$out/failures.txt"
    fi
    if [ -n "$last" ]; then
        passed=$((passed + ${last%% *}))
        rest=${last#*, }
        failed=$((failed + ${rest%% *}))
    fi
}
# Number and rule of each mutant in the catalog, which names exactly the switches that there are.
list_mutants() {
    sed -n 's/^ *new("V\([0-9]*\)", \1, "\(.*\)",$/\1 \2/p' "$catalog" >"$out/catalog"
    cut -d' ' -f1 "$out/catalog" | sort >"$out/listed"
    grep -oh 'DQ_MUTANT([0-9]*)' "$here"/../*.c | tr -dc '0-9\n' | sort -u >"$out/switches"
    if ! diff "$out/listed" "$out/switches"; then
        echo "the catalog ($catalog) and the switches differ"
        exit 1
    fi
}
mutants() {
    killed=0
    survived=0
    list_mutants
    build mutants -DDQ_MUTANTS
    for number in $*; do
        rule=$(grep "^$number " "$out/catalog")
        DQ_MUTANT=$number DQ_SEED=${DQ_SEED:-1} TMPDIR=$shm timeout 120 "$out/mutants" "${DQ_ONLY:-}" >"$out/mutant.txt" 2>&1 || true
        rm -rf "$shm"/*
        by=$(sed -n 's/^FAIL //p' "$out/mutant.txt" | tail -1)
        if [ -z "$by" ]; then
            survived=$((survived + 1))
            by="SURVIVES"
        else
            killed=$((killed + 1))
        fi
        printf 'V%-3s %s\n     %s\n' "$number" "${rule#* }" "$by"
    done
    echo "$killed killed, $survived survived"
    [ "$survived" = 0 ]
}
mode=${1:-all}
if [ "$mode" = mutants ]; then
    shift
    [ $# -gt 0 ] || set -- $(sed -n 's/^ *new("V\([0-9]*\)", .*/\1/p' "$catalog")
    mutants "$@"
    exit
fi
filter=${2:-}
case $mode in plain | all) one plain "" ;; esac
case $mode in spill | all) DQ_SPILL=1 && export DQ_SPILL && one spill "" && unset DQ_SPILL ;; esac
case $mode in asan | all) one asan "-fsanitize=address,undefined -fno-omit-frame-pointer" ;; esac
case $mode in tsan | all) TSAN_OPTIONS="suppressions=$here/tsan.supp ${TSAN_OPTIONS:-}" && export TSAN_OPTIONS && one tsan "-fsanitize=thread" ;; esac
[ ! -s "$out/failures.txt" ] || cat "$out/failures.txt"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
