#!/bin/sh
# Imitates the runner of clause tests in every mood, for tests of the driver. What a test does is
# told by its name, what an implementation does by its file name; FAKE_LIST holds the test ids.
implementation='' result='' filter='' mode=run histories='' schedule=''
while [ $# -gt 0 ]; do
  case $1 in
    --implementation) implementation=${2##*/}; shift ;;
    --result) result=$2; shift ;;
    --history) histories=$2; shift ;;
    --schedule | --schedules) schedule="$1 $2"; shift ;;
    --gtest_filter=*) filter=${1#*=} ;;
    --list) mode=list ;;
    --probe) mode=probe ;;
    *) echo "fake_runner: unknown argument $1" >&2; exit 2 ;;
  esac
  shift
done

answer() { # VERDICT [MORE JSON]
  printf '{"id":"%s","clause":"x","name":"x","verdict":"%s","milliseconds":12.5%s}' \
    "$filter" "$1" "${2-}" >"$result"
}

if [ "$mode" = list ]; then
  case $FAKE_LIST in
    FAIL) echo 'no puppet' >&2; exit 2 ;;
    HANG) sleep 1000 ;;
  esac
  for id in $FAKE_LIST; do echo "$id"; done
  exit 0
fi

if [ "$mode" = probe ]; then
  version=20090421 kind=
  case $implementation in
    *nosymbols*) echo 'lacks these functions: utrace_control utrace_barrier' >&2; exit 3 ;;
    *crash*) kill -SEGV $$ ;;
    *hang*) sleep 1000 ;;
    *exits*) exit 0 ;;
    *oldversion*) version=19990101 ;;
    *hosted*) kind='"host_kind":"hosted","target_version":1,"capabilities":["fork"],' ;;
  esac
  echo 'the implementation prints something'
  printf '{%s"api_version":%s,"declared_limits":"LIM-01 no exit report\\nNO-BLOCKSTEP\\n"}' \
    "$kind" $version >"$result"
  exit 0
fi

echo "log of $filter"
case ${filter#*.} in
  Pass*) answer PASS; exit 0 ;;
  Fail*) answer FAIL ',"expected":"-ENOENT","seen":"-ESRCH","message":"file.cc:7 lookup"'; exit 1 ;;
  Breach*) echo "the history of $filter" >"$histories/$filter.history"
    answer FAIL ",\"witness\":\"REP-03: two callbacks overlap\",\"schedule\":\"$schedule\""
    exit 1 ;;
  Unsupported*) answer UNSUPPORTED ',"message":"LIM-01"'; exit 0 ;;
  NotHosted*)
    case $implementation in
      hosted*) answer 'NOT APPLICABLE' ',"needs":"exec"' ;;
      *) answer PASS ;;
    esac
    exit 0 ;;
  Broken*) answer BROKEN ',"message":"no puppet"'; exit 2 ;;
  Crash*) kill -SEGV $$ ;;
  LateCrash*) answer PASS; kill -ABRT $$ ;;
  Hang*) trap '' TERM INT; while :; do sleep 1000; done ;;
  SelfHung*) answer FAIL ',"message":"hung in step 3"'; exit 4 ;;
  Garbage*) echo 'not { json' >"$result"; exit 0 ;;
  Binary*) printf '{"id":"%s","verdict":"FAIL","seen":"\377\001<&\\"","message":7}' \
    "$filter" >"$result"; exit 1 ;;
  NoResult*) exit 0 ;;
  Liar*) answer FAIL; exit 0 ;;
  Other*) filter=ATT_05.Pass; answer PASS; exit 0 ;;
  LoadError*) echo 'cannot be loaded again' >&2; exit 3 ;;
  Leaves*) setsid sh -c 'echo $$ >"$0"; sleep 1000' "$FAKE_PID_FILE" &
    while ! [ -s "$FAKE_PID_FILE" ]; do sleep 0.01; done
    answer PASS; exit 0 ;;
  Term*) kill -TERM "$FAKE_DRIVER"; sleep 1000 ;;
esac
echo "fake_runner: unknown test $filter" >&2
exit 2
