#!/bin/sh
# Builds the shim with its C tests and runs them: run.sh [plain|asan|tsan|all] [part of a test's name]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cc=${CC:-gcc}
flags="-std=c11 -D_GNU_SOURCE -O1 -g -pthread -Wall -Wextra -Werror"
passed=0
failed=0
one() {
    echo "== $1"
    # shellcheck disable=SC2086
    $cc $flags $2 -o "$out/$1" "$here"/../*.c "$here"/*.c -Wl,--no-as-needed -lm -ldl
    "$out/$1" "${filter:-}" >"$out/$1.txt" 2>&1 || true
    cat "$out/$1.txt"
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$out/$1.txt" | tail -1)
    if [ -z "$last" ] || grep -qE 'Sanitizer|runtime error' "$out/$1.txt"; then failed=$((failed + 1)); fi
    if [ -n "$last" ]; then
        passed=$((passed + ${last%% *}))
        rest=${last#*, }
        failed=$((failed + ${rest%% *}))
    fi
}
mode=${1:-all}
filter=${2:-}
case $mode in plain | all) one plain "" ;; esac
case $mode in asan | all) one asan "-fsanitize=address,undefined -fno-omit-frame-pointer" ;; esac
case $mode in tsan | all) TSAN_OPTIONS="suppressions=$here/tsan.supp ${TSAN_OPTIONS:-}" && export TSAN_OPTIONS && one tsan "-fsanitize=thread" ;; esac
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
