#!/usr/bin/env bash
# Runs SQLite's own TCL test suite over the shim's VFS: run.sh [options] [TEST...]   (docs/sqlite-suite.md)
#   --quick            the files of quick.txt, about a minute; the default
#   --full             every file that exclusions.txt does not name
#   --source PATH      SQLite's full source, a directory or a tarball; without it: apt-get source sqlite3
#   --build DIR        keep source and build there and use them again
#   --user NAME        who runs the tests when this is root (nobody): root may write everything, some tests want that refused
#   --jobs N           files at a time (1)
#   --timeout SECONDS  per file (600)
#   --checkpoint N     the file is brought up to date every N commits (1)
#   --baseline         over SQLite's own VFS, without exclusions: what fails here is not the shim's doing
#   TEST               names of test files instead: select1 fts4aa
# Ends with "N passed, N failed": checks; a file without a result counts as one that failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
native=$here/../../native
exclusions=$here/exclusions.txt

fail() {
  echo "run.sh: $*" >&2
  exit 2
}

set_defaults() {
  selection=quick source= build= user=nobody jobs=1 timeout=600 checkpoint=1 baseline= tests=()
}

parse() {
  while [ $# -gt 0 ]; do
    case $1 in
      --quick | --full) selection=${1#--} ;;
      --baseline) baseline=1 ;;
      --source | --build | --user | --jobs | --timeout | --checkpoint)
        [ $# -gt 1 ] || fail "$1 needs a value"
        printf -v "${1#--}" %s "$2"
        shift
        ;;
      -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
      -*) fail "unknown option $1" ;;
      *) tests+=("${1%.test}") ;;
    esac
    shift
  done
}

# ---- source -------------------------------------------------------------------------------

# Debian's source package, with lists of our own: nothing of the machine's apt is changed.
apt_source() {
  local apt=$build/apt
  command -v apt-get >/dev/null && command -v dpkg-source >/dev/null || return 1
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  # shellcheck disable=SC2016
  apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sort -u >"$apt/sources.list"
  local own=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
  (cd "$apt" && apt-get "${own[@]}" update && apt-get "${own[@]}" source --download-only sqlite3) >"$apt/log" 2>&1 || return 1
  dpkg-source --no-check -x "$apt"/*.dsc "$build/source" >>"$apt/log" 2>&1
}

unpack() {
  mkdir -p "$build/source"
  tar -xf "$1" -C "$build/source" --strip-components=1
}

get_source() {
  if [ -n "$source" ] && [ -d "$source" ]; then
    source=$(cd "$source" && pwd)
  elif [ -n "$source" ]; then
    [ -f "$source" ] || fail "$source does not exist"
    [ -d "$build/source" ] || unpack "$source"
    source=$build/source
  else
    [ -d "$build/source" ] || apt_source || fail "SQLite's source cannot be had with apt-get source (see $build/apt/log). Give it: --source DIRECTORY or TARBALL (the full source with test/, not the amalgamation)"
    source=$build/source
  fi
  [ -f "$source/test/tester.tcl" ] || fail "$source has no test/tester.tcl: the full source is needed, not the amalgamation"
}

# ---- build ---------------------------------------------------------------------------------

check_tools() {
  local tool
  for tool in gcc make tclsh setpriv; do command -v "$tool" >/dev/null || fail "$tool is missing (Debian: gcc, make, tcl-dev, util-linux)"; done
  ls /usr/lib/*/tclConfig.sh /usr/lib*/tclConfig.sh >/dev/null 2>&1 || fail "tclConfig.sh is missing (Debian: tcl-dev)"
}

# The shim and the glue are a library beside testfixture, so that a change of them does not compile SQLite again.
build_library() {
  gcc -std=c11 -D_GNU_SOURCE -O1 -g -pthread -Wall -Wextra -Werror -shared -fPIC -I"$build/bld" \
    -o "$build/lib/libdqsuite.so.new" "$here/glue.c" "$native"/*.c -lm -ldl
  mv "$build/lib/libdqsuite.so.new" "$build/lib/libdqsuite.so"
}

build_testfixture() {
  mkdir -p "$build/bld" "$build/lib"
  cd "$build/bld"
  [ -f Makefile ] || "$source/configure" --enable-all --disable-shared CFLAGS=-O1 >configure.log 2>&1 || fail "configure failed: $build/bld/configure.log"
  make -j1 sqlite3.h >make.log 2>&1 || fail "make failed: $build/bld/make.log"
  build_library
  # shellcheck disable=SC1090
  make -j1 testfixture OPTS=-DSQLITE_EXTRA_INIT=dq_suite_init \
    LIBTCL="-L$build/lib -Wl,-rpath,$build/lib -Wl,--export-dynamic -ldqsuite $(. "$(ls /usr/lib/*/tclConfig.sh /usr/lib*/tclConfig.sh 2>/dev/null | head -1)" && echo "$TCL_LIB_SPEC") -lpthread -ldl" \
    >>make.log 2>&1 || fail "make testfixture failed: $build/bld/make.log"
  cd "$here"
}

# ---- which files ------------------------------------------------------------------------------

# Lists of other files, not tests.
drivers='all|async|quick|veryquick|memleak|permutations|soak|full|extraquick|mallocAll|rtree|fts3|session|rbu'

all_tests() {
  ls "$source"/test/*.test "$source"/ext/{rtree,fts5/test,session,expert,recover}/*.test 2>/dev/null | grep -vE "/($drivers)\.test$"
}

excluded() { # excluded NAME: the reason, or nothing
  [ -z "$baseline" ] && sed -n "s/^$1\.test: //p" "$exclusions"
}

chosen_tests() {
  local name path
  if [ ${#tests[@]} -eq 0 ] && [ "$selection" = quick ]; then mapfile -t tests < <(grep -v '^#' "$here/quick.txt"); fi
  if [ ${#tests[@]} -eq 0 ]; then mapfile -t tests < <(all_tests | sed 's|.*/||; s|\.test$||'); named=; else named=1; fi
  for name in "${tests[@]}"; do
    path=$(all_tests | grep "/$name\.test$" | head -1)
    if [ -z "$path" ]; then
      [ -z "$named" ] || echo "run.sh: there is no $name.test in this SQLite" >&2
    elif [ -n "$named" ] || [ -z "$(excluded "$name")" ]; then
      echo "$path"
    fi
  done
}

# ---- run --------------------------------------------------------------------------------------

run_one() { # run_one PATH: leaves $work/NAME.out and $work/NAME.counters
  local name directory as=()
  name=$(basename "$1" .test)
  directory=$work/$name
  mkdir -p "$directory/state"
  if [ "$(id -u)" = 0 ]; then
    chown -R "$user" "$directory"
    as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
  fi
  [ -z "$baseline" ] || export SUITE_OFF=1
  (cd "$directory" && SUITE_STATE=$directory/state SUITE_COUNTERS=$directory/counters SUITE_CHECKPOINT=$checkpoint \
    timeout "$timeout" "${as[@]}" "$build/bld/testfixture" "$1" --testdir="$directory/t" >out 2>&1 || echo "exit code $?" >>"$work/$name.out.code") || true
  mv "$directory/out" "$work/$name.out"
  [ ! -f "$directory/counters" ] || mv "$directory/counters" "$work/$name.counters"
  rm -rf "$directory"
  report_one "$name"
}

# One line: passed, failed and excluded checks, and the names of what failed.
report_one() {
  local line checks name failures=() left=0 bad=()
  line=$(grep -aE '^[0-9]+ errors out of [0-9]+ tests' "$work/$1.out" | tail -1 || true)
  if [ -z "$line" ] && [ ! -f "$work/$1.out.code" ]; then
    echo "$1 0 0 0 nothing-to-run" | tee -a "$work/results" # for another system, or a part that is not built
    return
  elif [ -z "$line" ]; then
    echo "$1 0 1 0 no-result:$( (grep -a 'testfixture: ' "$work/$1.out" || cat "$work/$1.out.code") | tail -1 | sed 's/.*testfixture: //' | tr -c '[:alnum:]._\n-' '_' | cut -c1-80)" | tee -a "$work/results"
    return
  fi
  checks=$(awk '{print $5}' <<<"$line")
  read -ra failures <<<"$(sed -n 's/^!Failures on these tests: //p' "$work/$1.out" | tail -1)"
  for name in "${failures[@]}"; do
    if [ -z "$baseline" ] && known "$name"; then left=$((left + 1)); else bad+=("$name"); fi
  done
  echo "$1 $((checks - ${#failures[@]})) ${#bad[@]} $left ${bad[*]}" | tee -a "$work/results"
}

known() { # known CHECK: exclusions.txt names it, perhaps by a pattern
  local pattern
  for pattern in "${patterns[@]}"; do
    # shellcheck disable=SC2053
    if [[ $1 == $pattern ]]; then return 0; fi
  done
  return 1
}

summary() {
  echo
  echo "what went through the shim:"
  cat "$work"/*.counters 2>/dev/null | awk '{n[$1] += $2; if (!($1 in order)) {order[$1] = ++k; name[k] = $1}} END {for (i = 1; i <= k; i++) printf "  %-16s %d\n", name[i], n[name[i]]}' | tee "$work/counters"
  echo
  read -r files passed failed left < <(awk '{p += $2; f += $3; x += $4} END {print NR + 0, p + 0, f + 0, x + 0}' "$work/results")
  # A rotten page is a test's own doing: it wrote into the file. A poisoned database is a bug.
  local poisoned
  poisoned=$(awk '$1 == "poisoned" {n += $2} END {print n + 0}' "$work/counters")
  [ "$poisoned" = 0 ] || echo "$poisoned databases poisoned"
  failed=$((failed + poisoned))
  echo "$files files; $left single checks excluded"
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ] && [ "$passed" != 0 ]
}

main() {
  set_defaults
  parse "$@"
  check_tools
  if [ -z "$build" ]; then
    build=$(mktemp -d)
    trap 'rm -rf "$build" "${work:-}"' EXIT
    chmod 755 "$build"
  else
    mkdir -p "$build"
    build=$(cd "$build" && pwd)
    trap 'rm -rf "${work:-}"' EXIT
  fi
  get_source
  build_testfixture
  work=$(mktemp -d -p "$(if [ -w /dev/shm ]; then echo /dev/shm; else echo "${TMPDIR:-/tmp}"; fi)")
  chmod 755 "$work"
  touch "$work/results"
  mapfile -t patterns < <(sed -n '/^#/d; /^[^ ]*\.test: /d; s/: .*//p' "$exclusions")
  local path
  while read -r path; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    run_one "$path" </dev/null &
  done < <(chosen_tests)
  wait
  summary
}
main "$@"
