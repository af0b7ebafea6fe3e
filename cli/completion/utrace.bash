# Completion of utrace(1) in bash: source this file, or install it as
# /usr/share/bash-completion/completions/utrace.

# What a user may want to trace: the processes of this user.
_utrace_processes() {
  local entry
  for entry in /proc/[0-9]*; do
    [[ -O $entry ]] && echo "${entry#/proc/}"
  done
}

_utrace_engines() {
  "$1" engines 2>/dev/null | sed -n 's/^\([a-z_0-9]*\) .*/\1/p'
}

# The option keys of one engine, each with its "=".
_utrace_engine_options() {
  "$1" engines 2>/dev/null |
    sed -n "/^$2 /,/^[a-z]/{s/^  \([a-z_0-9]*=\).*/\1/p}"
}

# What follows -e: NAME[:KEY=VALUE[,KEY=VALUE...]], or the path of a shared object.
_utrace_engine() {
  local program=$1 word=$2 name before
  if [[ $word == */* && $word != *:* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -X '!*.so' -- "$word"; compgen -d -- "$word")
  elif [[ $word == *:* ]]; then
    name=${word%%:*}
    before=${word%"${word##*[:,]}"}
    compopt -o nospace 2>/dev/null
    mapfile -t COMPREPLY < <(
      compgen -P "$before" -W "$(_utrace_engine_options "$program" "$name")" -- "${word#"$before"}")
  else
    compopt -o nospace 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -W "$(_utrace_engines "$program")" -- "$word")
  fi
  # Bash replaces what follows the last colon only, where that breaks words.
  if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local prefix=${word%"${word##*:}"} n
    for n in "${!COMPREPLY[@]}"; do COMPREPLY[n]=${COMPREPLY[n]#"$prefix"}; done
  fi
}

# COMP_WORDS with the words joined again that bash breaks at ":" and "=".
_utrace_words() {
  local n word glue=
  words=()
  for ((n = 0; n <= COMP_CWORD; ++n)); do
    word=${COMP_WORDS[n]}
    if ((${#words[@]} > 0)) && [[ $word == [:=]* || $glue ]]; then
      words[-1]+=$word
      glue=
      [[ $word == *[:=] ]] && glue=1
    else
      words+=("$word")
    fi
  done
}

_utrace() {
  local commands="run attach wrap detach ps stop resume interrupt engines serve certify check merge"
  local words word last command= options= n
  COMPREPLY=()
  _utrace_words
  word=${words[-1]}
  last=${words[-2]:-}
  ((${#words[@]} > 2)) && command=${words[1]}

  if [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$word")
    return
  fi
  # Behind their options, `run` and `wrap` have another command: complete that one's name, then files.
  if [[ $command == run || $command == wrap ]]; then
    for ((n = 2; n < ${#words[@]} - 1; ++n)); do
      case ${words[n]} in
        -e | --engine | -o | --output | -E | --trace | -P | --path) ((++n)) ;;
        --) break ;;
        -*) ;;
        *) break ;;
      esac
    done
    if ((n < ${#words[@]} - 1)); then
      if [[ ${words[n]} == -- && n -eq ${#words[@]}-2 ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
      else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
      fi
      return
    fi
  fi

  case $last in
    -e | --engine)
      _utrace_engine "${words[0]}" "$word"
      return
      ;;
    -o | --output | -P | --path | --implementation | --waivers | --report)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    --only | --jobs | --schedule | --schedules) return ;;
  esac

  case $command in
    run) options="--engine --output --trace --path --failed --summary --paths --fast --help" ;;
    attach)
      options="--engine --output --trace --path --failed --summary --paths --threads --follow --force --quiet --help"
      ;;
    wrap) options="--children --help" ;;
    detach) options="--engine --threads --help" ;;
    ps) options="--json --help" ;;
    stop | interrupt) options="--threads --force --help" ;;
    resume) options="--threads --help" ;;
    engines) options="--json --help" ;;
    serve | check) options="--help" ;;
    merge) options="--help --report" ;;
    certify)
      options="--implementation --waivers --only --report --jobs --schedule --schedules --help"
      ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    return
  fi
  case $command in
    attach | detach | ps | stop | resume | interrupt)
      mapfile -t COMPREPLY < <(compgen -W "$(_utrace_processes)" -- "$word")
      ;;
    run | wrap) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
    engines)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -X '!*.so' -- "$word"; compgen -d -- "$word")
      ;;
    check | merge)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      ;;
  esac
}

complete -F _utrace utrace
