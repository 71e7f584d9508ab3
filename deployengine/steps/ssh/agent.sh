#!/bin/sh
# The machine's half of a ticket that is reached by SSH: what steps/local_*.py, fences.py and
# neighbours.py do for machines of the worker's own host, in POSIX sh. fences.py says why it is right.
#
#   agent.sh VERB WORKDIR TICKETS [ARGUMENT...]
#
# It is sent along and lies in a folder named after its digest, beside wrapper.sh and the tools. It
# needs POSIX tools; setsid (for the script's own process group) and flock (for the machine's lock)
# where there are any. Forks are few, since each costs a millisecond.
#
# What it answers goes to stdout, and its talk to stderr, in lines that begin with "de:". Both begin
# with a line "deployengine:agent": whatever a login prints comes before that.
# Variables bear a prefix, as those of the script come into the same shell.

de_here=${0%/*}
de_proc=${DEPLOYENGINE_PROC:-/proc} # another one only in tests
de_verb=$1 de_workdir=$2 de_tickets=$3
shift 3
case $de_workdir in /*) ;; *) de_workdir=$PWD/$de_workdir ;; esac
case $de_tickets in /*) ;; *) de_tickets=$PWD/$de_tickets ;; esac
case $de_here in /*) ;; *) de_here=$PWD/$de_here ;; esac
de_fences=$de_tickets/.fences
de_packages=$de_tickets/.packages
de_nl='
'
# The fences under which a ticket may have begun, or any; its locks, where a work is handed over.
de_known=any de_alien='' de_locks='' de_ticket='' de_patient=''
if [ "$de_verb" = check ]; then de_umask=$(umask); fi
umask 077
set -f
PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin

# Talk on stderr. Where nobody listens any more this shell ends.
de_say() { printf 'de:%s\n' "$*" >&2 || exit 3; }

# Ends with a fault: its kind, then a text for people.
de_fault() {
  de_say fault "$@"
  exit 3
}

# Ends because a file could not be written in a folder.
de_unwritten() {
  if [ -d "$1" ] && [ ! -w "$1" ]; then de_fault folder "$1" "it cannot be written"; fi
  de_fault full "$1"
}

de_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

# A number without zeros in front, which some shells take for octal.
de_plain() { de_plain=${1#"${1%%[!0]*}"}; }

# A pause of so many seconds; a sleep that knows no fractions pauses for one.
de_pause() { sleep "$1" 2> /dev/null || sleep 1; }

# ---- processes ----

# What tells this boot of the machine from any other.
de_boot_id() {
  de_boot_now=
  if { read -r de_boot_now < "$de_proc/sys/kernel/random/boot_id"; } 2> /dev/null; then return; fi
  de_boot_now=$(sysctl -n kern.boottime 2> /dev/null | tr -cd 'A-Za-z0-9')
  de_boot_now=${de_boot_now:-unknown}
}

# The process of a number: its state, group, session and start. False when there is none.
de_process() {
  if [ -e "$de_proc/self/stat" ]; then
    de_text='' de_line=''
    # A process's name may hold a line's end.
    { while read -r de_line; do de_text=$de_text$de_line' '; done < "$de_proc/$1/stat"; } 2> /dev/null
    [ -n "$de_text" ] || return 1
    # shellcheck disable=SC2086
    set -- ${de_text##*)}
    de_p_state=$1 de_p_group=$3 de_p_session=$4 de_p_started=${20}
  else
    # shellcheck disable=SC2046
    set -- $(ps -o stat= -o pgid= -o lstart= -p "$1" 2> /dev/null)
    [ $# -gt 2 ] || return 1
    de_p_state=$1 de_p_group=$2 de_p_session=$2
    shift 2
    de_p_started=$(printf %s "$@" | tr -cd 'A-Za-z0-9')
  fi
  case $de_p_state in Z* | X* | x*) return 1 ;; esac
}

# Whether the leader of a record is alive itself.
de_leads() {
  [ -n "$de_pid" ] && [ "$de_boot" = "$de_boot_now" ] && de_process "$de_pid" &&
    [ "$de_p_started" = "$de_started" ]
}

# Whether anybody of the leader's group is alive. A group keeps its number from being given away, so
# members without a leader are still ours; a session of their own is a service's, and not ours.
de_group() {
  [ -n "$de_pid" ] && [ "$de_boot" = "$de_boot_now" ] || return 1
  if de_process "$de_pid" && [ "$de_p_started" != "$de_started" ]; then return 1; fi
  if [ -e "$de_proc/self/stat" ]; then
    set +f
    set -- "$de_proc"/[0-9]*
    set -f
  else
    # shellcheck disable=SC2046
    set -- $(ps -A -o pid= -o pgid= | while read -r de_a de_b; do [ "$de_b" != "$de_pid" ] || echo "$de_a"; done)
  fi
  for de_member; do # a name of its own: who asks goes through tickets as it does through these
    if de_process "${de_member##*/}" && [ "$de_p_group" = "$de_pid" ] && [ "$de_p_session" = "$de_pid" ]; then
      return 0
    fi
  done
  return 1
}

# ---- records ----

# Reads the record that a ticket began. de_begun: none, cancelled, record, or damaged, with what is
# wrong in de_damage.
de_record() {
  de_folder=$de_tickets/$1
  de_begun=none de_fence_of=0 de_pid='' de_started='' de_boot='' de_holds_of='' de_damage=''
  if [ -h "$de_folder" ]; then
    de_damaged "$de_folder is a symbolic link and not the folder of a ticket"
    return
  elif [ ! -d "$de_folder" ]; then
    if [ -e "$de_folder" ]; then de_damaged "$de_folder is a file and not the folder of a ticket"; fi
    return
  fi
  de_settle=0
  while [ -e "$de_folder/state" ] || [ -h "$de_folder/state" ]; do
    if de_parse "$1"; then return; fi
    de_settle=$((de_settle + 1))
    if [ "$de_settle" -gt "${de_patient:-20}" ] || [ ! -f "$de_folder/state" ]; then
      de_damaged "$de_folder/state is cut short or no record of a beginning"
      return
    fi
    de_pause 0.05 # the wrapper is between making this file and writing it
  done
  # A script's output and end come after the record of its beginning, never without it.
  if [ -s "$de_folder/output" ] || [ -e "$de_folder/exit" ]; then
    de_damaged "$de_folder/state is gone, but a script has run in that folder"
  fi
}

de_damaged() { de_begun=damaged de_pid='' de_damage=$1; }

de_parse() {
  [ -f "$de_folder/state" ] && [ ! -h "$de_folder/state" ] && [ -r "$de_folder/state" ] || return 1
  de_l1='' de_l2='' de_l3='' de_l4='' de_l5='' de_l6='' de_l7=''
  {
    read -r de_l1
    read -r de_l2
    read -r de_l3
    read -r de_l4
    read -r de_l5
    read -r de_l6 || de_l6=cut
    read -r de_l7 && de_l6=long
  } < "$de_folder/state"
  case $de_l1 in "ticket $1") ;; "ticket "?*) de_stranger="${de_l1#ticket }" ;; *) return 1 ;; esac
  if [ "$de_l2" = cancelled ]; then
    [ "$de_l3" = end ] && [ -z "$de_l4$de_l5" ] || return 1
    de_begun=cancelled
  else
    [ "$de_l6" = end ] || return 1
    de_fence_of=${de_l2#fence } de_holds_of=${de_l3#holds } de_boot=${de_l4#boot }
    de_number "$de_fence_of" || return 1
    case $de_l3 in "holds "*) ;; *) return 1 ;; esac
    case $de_l5 in "stat "*")"*) ;; *) return 1 ;; esac
    # shellcheck disable=SC2086
    set -- "$1" ${de_l5##*)}
    de_started=${21-}
    de_pid=${de_l5#stat } de_pid=${de_pid%% *}
    if [ -z "$de_started" ] || ! de_number "$de_pid"; then return 1; fi
    de_begun=record
  fi
  if [ "$de_l1" != "ticket $1" ]; then
    de_damaged "$de_folder/state is the record of another ticket, '$de_stranger'"
  elif [ "$de_begun" = record ] && [ "$de_known" != any ]; then
    case " $de_known " in
      *" $de_fence_of "*) ;;
      *) de_alien=yes
        de_damaged "$de_folder/state is the record of another run of that name, with fence $de_fence_of, from a database before this one" ;;
    esac
  fi
}

# The recorded end in de_code; false if there is none or it is damaged.
de_exit() {
  de_code='' de_line=''
  [ -f "$de_folder/exit" ] && [ ! -h "$de_folder/exit" ] || return 1
  { read -r de_code && ! read -r de_line; } 2> /dev/null < "$de_folder/exit" || return 1
  if ! de_number "$de_code" || [ "$de_code" -gt 255 ]; then return 1; fi
}

# Where a ticket is: absent, running, exited or unknown in de_state; de_code, de_seconds, de_why.
de_look() {
  de_boot_id
  while :; do
    de_record "$1"
    de_state='' de_why='' de_seconds=''
    case $de_begun in
      none)
        de_state=absent
        if de_was_removed "$1"; then
          de_damaged "$de_folder/state was removed after the script began"
        else return; fi ;;
    esac
    if [ "$de_begun" = damaged ]; then
      de_state=unknown de_why="$de_damage, so nobody knows whether its script ran or runs"
      return
    fi
    # First the wrapper, then its record: once the wrapper is gone, no record will come.
    de_alive=
    if de_leads; then de_alive=yes; fi
    if de_exit; then
      de_state=exited
      return
    elif [ -n "$de_alive" ] || de_group; then
      de_state=running
      de_age
      return
    elif [ "$de_begun" = cancelled ]; then
      de_state=exited de_code=143
      return
    elif [ -e "$de_folder/cancelled" ]; then
      de_state=exited de_code=137
      return
    fi
    # A wrapper that may not begin after all takes its record back.
    de_before=$de_begun$de_pid$de_started
    if [ ! -d "$de_folder" ]; then break; fi
    de_record "$1"
    if [ "$de_before" = "$de_begun$de_pid$de_started" ]; then break; fi
  done
  de_state=unknown
  de_lost
}

# For how long it has run, in seconds. A tick of the kernel's is a hundredth wherever Linux runs.
de_age() {
  de_up=
  { read -r de_up < "$de_proc/uptime"; } 2> /dev/null || return
  de_up=${de_up%% *}
  de_seconds=$((${de_up%.*}${de_up#*.} - de_started))
  if [ "$de_seconds" -lt 0 ]; then de_seconds=0; fi
  case $((de_seconds % 100)) in
    ?) de_seconds=$((de_seconds / 100)).0$((de_seconds % 100)) ;;
    *) de_seconds=$((de_seconds / 100)).$((de_seconds % 100)) ;;
  esac
}

de_lost() {
  de_size=$(wc -c 2> /dev/null < "$de_folder/output") || de_size=0
  de_why="it began with fence $de_fence_of as process $de_pid and wrote $((de_size)) bytes of output; "
  if [ -e "$de_folder/exit" ]; then
    de_why="$de_why$de_folder/exit is damaged and tells no exit status"
  elif [ ! -d "$de_folder" ]; then
    de_why="${de_why}its folder $de_folder is gone, and so are its processes"
  elif [ "$de_boot" != "$de_boot_now" ]; then
    de_why="${de_why}the machine was started anew since, and no exit status is on record"
  else
    de_why="${de_why}its processes are gone, and no exit status is on record"
  fi
}

# A start makes the folder before it signs; so who removed it was somebody else.
de_was_removed() {
  [ -n "$de_locks" ] && [ ! -e "$de_folder" ] || return 1
  for de_word in $de_locks; do
    case $de_word in
      [xX]:*)
        de_newest='' de_signer=''
        { read -r de_newest de_signer < "$de_fences/${de_word#?:}"; } 2> /dev/null
        if [ "${de_signer%% *}" = "$1" ]; then return 0; fi ;;
    esac
  done
  return 1
}

# ---- the lock of the machine ----

de_revoked() { [ -e "$de_fences/revoked-$1" ]; }

# Whether the script has begun. In doubt (de_doubt) no: its wrapper may yet take its record back.
de_has_begun() {
  de_doubt=
  de_record "$de_ticket"
  case $de_begun in none) de_was_removed "$de_ticket" && return 0; return 1 ;; esac
  if [ -z "$de_pid" ] || ! de_revoked "$de_fence_of"; then return 0; fi
  de_boot_id
  de_alive=
  if de_leads; then de_alive=yes; fi # asked first: once it is gone, it decides no more
  if [ -e "$de_folder/exit.new" ] || [ -e "$de_folder/exit" ]; then return 0; fi
  if [ -n "$de_alive" ]; then
    de_doubt=yes
    return 1
  fi
  de_record "$de_ticket"
  [ "$de_begun" != none ]
}

# Locks all that the ticket holds, as descriptors 4 and up, or nothing. Ends with a fault where a
# newer fence was seen. The words of de_locks: x and s are locked, exclusively or shared, X and S only
# looked at, l is locked exclusively by who holds it shared; x and X are signed.
de_take() {
  de_fd=4 de_last=
  for de_word in $de_locks; do
    de_file=$de_fences/${de_word#?:}
    if [ ! -e "$de_file" ] && ! { true >> "$de_file"; } 2> /dev/null; then
      de_fault unfit "cannot write in $de_fences"
    fi
    de_free=yes
    case $de_word in
      [xsl]:*)
        eval "command exec $de_fd<> \"\$de_file\"" || de_fault unfit "cannot open $de_file"
        if [ -n "$de_flock" ]; then
          case $de_word in
            s:*) flock -n -s "$de_fd" ;;
            *) flock -n -x "$de_fd" ;;
          esac
          case $? in
            0) ;;
            1) de_free='' ;; # somebody has it
            *) de_fault unfit "flock cannot lock in $de_fences; let the folder of the tickets (tickets in the catalog) be on a disk of its own machine" ;;
          esac
        fi
        de_fd=$((de_fd + 1)) ;;
    esac
    de_newest='' de_signer=''
    read -r de_newest de_signer < "$de_file"
    de_signer=${de_signer%% *}
    if [ -n "$de_newest" ]; then
      if ! de_number "$de_newest"; then
        de_fault unfit "$de_file should hold the newest fence of a resource and is damaged; nothing was started. See that no script runs on this machine any more, then remove that file"
      elif [ "$de_newest" -gt "$de_fence" ]; then
        de_plain "$de_newest"
        de_fault stale "${de_word#?:} $de_plain $de_signer"
      fi
    fi
    if [ -z "$de_free" ]; then
      de_release
      return 1
    fi
    de_last="$de_last $de_signer"
  done
  # When a wrapper was killed its locks are free, though its script lives.
  de_among=$de_last
  case " $de_holds" in *" exclusive:"*) de_among=all ;; esac
  if [ -z "$de_flock" ]; then de_among=all; fi
  if de_neighbours "$de_among"; then
    de_release
    return 1
  fi
  for de_word in $de_locks; do
    case $de_word in
      [xX]:*) printf '%020d %-127s\n' "$de_fence" "$de_ticket" 1<> "$de_fences/${de_word#?:}" ||
        de_unwritten "$de_fences" ;;
    esac
  done
  case $de_locks in [xX]:*) de_forget ;; esac
}

de_release() {
  while [ "$de_fd" -gt 4 ]; do
    de_fd=$((de_fd - 1))
    eval "exec $de_fd>&-"
  done
}

# From now on the file of the machine refuses what the markers of older fences refused.
de_forget() {
  set +f
  set -- "$de_fences"/revoked-*
  set -f
  for de_each; do
    de_old=${de_each##*-}
    if de_number "$de_old" && [ "$de_old" -lt "$de_fence" ]; then rm -f "$de_each"; fi
  done
}

# Whether some other ticket runs and holds by its record what clashes; with all of them in
# de_whom, as ticket/fence/grace.
de_neighbours() {
  de_whom=
  if [ "$1" = all ]; then
    set +f
    set -- "$de_tickets"/*/state
    set -f
  else
    # shellcheck disable=SC2086
    set -- $1
  fi
  [ $# -gt 0 ] || return 1
  de_boot_id
  de_patient=0
  for de_each; do
    de_each=${de_each%/state} de_each=${de_each##*/}
    case $de_each in "$de_ticket" | '*') continue ;; esac
    if [ -e "$de_tickets/$de_each/exit" ]; then continue; fi
    de_mine=$de_known de_known=any
    de_record "$de_each"
    de_known=$de_mine
    if [ "$de_begun" = record ] && de_clash && { de_leads || de_group; }; then
      de_whom="$de_whom $de_each/$de_fence_of/${de_holds_of%% *}"
    fi
  done
  de_patient='' de_folder=$de_tickets/$de_ticket
  [ -n "$de_whom" ]
}

de_clash() {
  for de_theirs in ${de_holds_of#* }; do
    for de_ours in ${de_holds#* }; do
      if [ "${de_theirs#*:}" = "${de_ours#*:}" ]; then
        case $de_theirs$de_ours in *exclusive:*) return 0 ;; esac
      fi
    done
  done
  return 1
}

# ---- start ----

# start TICKET FENCE KNOWN ON_STALE UMASK HOLDS LOCKS [TICKET KNOWN]...
# The further ones are those of runs that have ended; they are removed while the script runs.
# On stdin shell text that calls de_put NAME TEXT, sets de_program and de_argument, which read the
# script, and defines de_environment.
de_start() {
  de_ticket=$1 de_fence=$2 de_known=$3 de_on_stale=$4 de_mask=$5 de_holds=$6 de_locks=$7
  shift 7
  de_folder=$de_tickets/$de_ticket
  de_flock='' de_setsid=''
  if command -v flock > /dev/null; then de_flock=flock; fi
  if command -v setsid > /dev/null; then de_setsid=setsid; fi
  if de_revoked "$de_fence"; then de_fault revoked; fi
  if de_has_begun; then
    de_say attached
    de_follow 0
    return
  fi
  de_sent=$(cat)
  case $de_sent in
    *"$de_nl# whole") ;;
    *) de_fault cut ;;
  esac
  de_make
  eval "$de_sent"
  de_sent=
  de_begin "$@"
}

de_make() {
  de_fresh=
  if mkdir -m 700 "$de_folder" 2> /dev/null; then de_fresh=yes; fi
  if [ ! -d "$de_workdir" ]; then
    umask "$de_mask"
    de_error=$(mkdir -p "$de_workdir" 2>&1) || de_fault folder "$de_workdir" "$de_error"
    umask 077
  fi
  if [ ! -d "$de_folder" ] || [ ! -d "$de_fences" ]; then
    de_error=$(mkdir -p "$de_folder" "$de_fences" 2>&1) || de_fault folder "$de_folder" "$de_error"
  fi
}

# Writes a file of the ticket whole. Doing it again never touches what a script is reading.
de_put() {
  if [ -n "$de_fresh" ]; then
    set -C
    if { printf %s "$2" > "$de_folder/$1"; } 2> /dev/null; then
      set +C
      return
    fi
    set +C
  fi
  if ! { printf %s "$2" > "$de_folder/$1.$$"; } 2> /dev/null ||
    ! mv -f "$de_folder/$1.$$" "$de_folder/$1" 2> /dev/null; then
    if [ -d "$de_folder" ]; then de_unwritten "$de_folder"; fi
    de_fault gone "$de_folder"
  fi
}

de_begin() {
  de_rest=0.01 de_token=''
  while :; do
    while [ -n "$de_doubt" ] || ! de_take; do
      if de_has_begun; then
        de_say attached
        de_follow 0
        return
      fi
      if de_revoked "$de_fence"; then de_fault revoked; fi
      de_neighbours all
      if [ -z "$de_token" ]; then
        # Whoever renames this first decides whether the start goes on.
        de_token=$de_folder/waits.$$
        true > "$de_token"
        de_say waits "$$ ${de_whom:-another start}"
      fi
      if [ "$de_on_stale" = terminate ]; then de_end_older; fi
      de_say beat
      de_pause "$de_rest"
      case $de_rest in 0.01) de_rest=0.05 ;; 0.05) de_rest=0.2 ;; esac
    done
    if [ -n "$de_token" ]; then
      if ! mv "$de_token" "$de_token.go" 2> /dev/null; then
        if [ -e "$de_folder/off.$$" ]; then de_fault off; fi
        de_fault gone "$de_folder"
      fi
      rm -f "$de_token.go"
      de_token=
    fi
    de_run "$@"
    if [ "$de_state" != absent ]; then return; fi
    # The wrapper began nothing, and has said why; or another's took its record back meanwhile.
    if de_revoked "$de_fence"; then de_fault revoked; fi
    if ! de_has_begun && [ -z "$de_doubt" ]; then de_fault start; fi
  done
}

# Runs the wrapper to its end, and sends what the script writes meanwhile. If the connection breaks,
# who sends it ends, and this shell goes on waiting. The wrapper runs in the foreground, as shells let
# what is in the background ignore interrupts.
de_run() {
  true >> "$de_folder/output"
  exec 3< "$de_folder/output"
  de_send_on "$@" &
  de_sender=$!
  (
    de_environment
    PATH=$de_here/tools:$PATH DEPLOYENGINE_TICKET_FOLDER=$de_folder
    export PATH DEPLOYENGINE_TICKET_FOLDER
    exec $de_setsid ${de_shell:-/bin/sh} "$de_here/wrapper.sh" "$de_folder" "$de_workdir" \
      "$de_fence" "$de_holds" "$de_mask" '' "$de_program" ${de_argument:+"$de_argument"} \
      "$de_folder/script" < /dev/null >&2 3<&-
  )
  de_wrapped=$?
  de_release # first: whoever reads slowly keeps nobody from the machine
  kill "$de_sender" 2> /dev/null
  wait "$de_sender" 2> /dev/null
  if [ "$de_wrapped" = 1 ]; then # it was not the first, or could not begin
    de_look "$de_ticket"
    if [ "$de_state" != absent ]; then de_say attached; fi
  fi
  de_follow_on
}

# Removes the tickets that it is given, then sends what was written now and then, until it is told
# to end. It holds no lock, and its pauses hold nothing open, or sshd would wait for them.
de_send_on() {
  de_release
  de_stopped=
  trap 'de_stopped=yes' TERM
  if [ $# -gt 0 ]; then
    de_locks=
    de_clean "$@" > /dev/null 2>&1
  fi
  trap 'exit 0' TERM
  if [ -n "$de_stopped" ]; then exit 0; fi
  de_rest=0.05 de_beats=0
  while :; do
    de_doze "$de_rest"
    cat <&3 || exit 3
    case $de_rest in 0.05) de_rest=0.1 ;; 0.1) de_rest=0.2 ;; 0.2) de_rest=0.4 ;; *) de_rest=1 ;; esac
    de_beat
  done
}

# A pause that ends when this shell is told to.
de_doze() {
  sleep "$1" < /dev/null > /dev/null 2>&1 3<&- &
  if wait $!; then return; fi
  sleep 1 < /dev/null > /dev/null 2>&1 3<&- & # it knows no fractions
  wait $!
}

# Whoever listens no more is told by this: the write fails, and this shell ends.
de_beat() {
  de_beats=$((de_beats + 1))
  if [ "$de_beats" -gt 15 ]; then
    de_say beat
    de_beats=0
  fi
}

# Ends those that hold what this start needs with a lower fence, each with its own grace.
de_end_older() {
  for de_one in $de_whom; do
    de_grace=${de_one##*/} de_one=${de_one%/*}
    if [ "${de_one##*/}" -lt "$de_fence" ]; then
      de_say ends "${de_one%/*}"
      (
        de_locks=
        de_cancel "${de_one%/*}" "$de_grace" any
      ) || exit 3
    fi
  done
}

# calloff TICKET PROCESS: keeps a start that waits from going on; says "off", or "begins".
de_calloff() {
  if mv "$de_tickets/$1/waits.$2" "$de_tickets/$1/off.$2" 2> /dev/null; then
    echo off
  else echo begins; fi
}

# ---- following ----

# Sends what the script of the ticket writes, from byte $1 on, until it ends; then how it ended, and
# what it set as outputs.
de_follow() {
  de_folder=$de_tickets/$de_ticket
  if [ -f "$de_folder/output" ] && [ ! -h "$de_folder/output" ]; then
    exec 3< "$de_folder/output"
    if [ "$1" -gt 0 ]; then tail -c "+$(($1 + 1))" <&3 || exit 3; fi
  else exec 3< /dev/null; fi
  de_follow_on
}

de_follow_on() {
  de_rest=0.05 de_beats=0
  while :; do
    de_look "$de_ticket"
    cat <&3 || exit 3
    if [ "$de_state" != running ]; then break; fi
    de_pause "$de_rest"
    case $de_rest in 0.05) de_rest=0.2 ;; 0.2) de_rest=0.5 ;; *) de_rest=1 ;; esac
    de_beat
  done
  exec 3<&-
  if [ "$de_state" = absent ]; then return; fi
  de_told
  de_say end "$de_told"
  if [ -f "$de_folder/outputs" ] && [ ! -h "$de_folder/outputs" ]; then
    de_say outputs
    cat "$de_folder/outputs" >&2
  fi
}

# How the ticket is, in words.
de_told() {
  case $de_state in
    exited)
      de_told="exited $de_code"
      if [ -e "$de_folder/room" ] && [ ! -s "$de_folder/room" ]; then de_told="$de_told full"; fi ;;
    running)
      de_told="running ${de_seconds:-0}"
      # Now its record is not taken back any more.
      if [ -e "$de_folder/exit.new" ]; then de_told="$de_told sure"; fi ;;
    unknown) de_told="unknown $de_why; see on the machine what it did before it is run again" ;;
    *) de_told=$de_state ;;
  esac
}

# follow TICKET KNOWN LOCKS OFFSET
de_attach() {
  de_ticket=$1 de_known=$2 de_locks=$3
  de_record "$1"
  de_follow "$4"
  if [ "$de_state" = absent ]; then de_say end absent; fi
}

# status TICKET KNOWN LOCKS
de_status() {
  de_known=$2 de_locks=$3
  de_look "$1"
  de_told
  printf '%s\n' "$de_told"
}

# output TICKET KNOWN OFFSET LIMIT
de_output() {
  de_known=$2
  de_record "$1"
  if [ -z "$de_alien" ] && [ -f "$de_folder/output" ]; then
    tail -c "+$(($3 + 1))" "$de_folder/output" | dd "bs=$4" count=1 2> /dev/null
  fi
}

# outputs TICKET KNOWN
de_outputs() {
  de_known=$2
  de_record "$1"
  if [ -z "$de_alien" ] && [ -f "$de_folder/outputs" ] && [ ! -h "$de_folder/outputs" ]; then
    cat "$de_folder/outputs"
  fi
}

# ---- ending ----

# cancel TICKET GRACE KNOWN; the grace in seconds
de_cancel() {
  de_known=$3
  de_look "$1" # drops a record that a wrapper took back
  if [ "$de_begun" = none ]; then
    de_mask=077
    de_make
  fi
  while [ "$de_begun" = none ]; do
    set -C
    if { printf 'ticket %s\ncancelled\nend\n' "$1" > "$de_folder/state"; } 2> /dev/null; then
      set +C
      return
    fi
    set +C
    if [ ! -e "$de_folder/state" ]; then de_unwritten "$de_folder"; fi
    de_record "$1"
  done
  # What has ended by itself is left as it is.
  if [ -n "$de_pid" ] && { ! de_exit || [ -e "$de_folder/cancelled" ]; }; then de_end "$2"; fi
}

de_end() {
  de_tenths=${1%%.*}0
  case $1 in *.*) de_tenths=$((de_tenths + $(printf %.1s "${1#*.}"))) ;; esac
  for de_signal in TERM KILL; do
    if ! de_leads && ! de_group; then return; fi
    { true > "$de_folder/cancelled"; } 2> /dev/null # a full disk is no reason to let it run on
    kill -s "$de_signal" -- "-$de_pid" 2> /dev/null || de_end_children
    de_waited=0
    while de_leads || de_group; do
      if [ "$de_waited" -gt $((de_tenths * 2)) ]; then break; fi
      de_pause 0.05
      de_waited=$((de_waited + 1))
    done
    de_tenths=100
  done
  if de_leads || de_group; then de_fault survived "$de_pid"; fi
}

# Without setsid the script has no group of its own: then the wrapper's children are ended.
de_end_children() {
  # shellcheck disable=SC2046
  kill -s "$de_signal" $(ps -A -o pid= -o ppid= | while read -r de_a de_b; do
    if [ "$de_b" = "$de_pid" ]; then echo "$de_a"; fi
  done) 2> /dev/null
}

# clean [TICKET KNOWN]...: removes them, and names those that run. Each is renamed first, so that no
# one ever finds half of a ticket.
de_clean() {
  de_left=$#
  while [ "$de_left" -gt 0 ]; do
    de_left=$((de_left - 2)) de_each=$1 de_known=$2 de_alien=''
    shift 2
    de_look "$de_each"
    if [ -n "$de_alien" ]; then continue; fi # whose is left to whoever tidies up
    if [ "$de_state" = running ]; then
      printf '%s\n' "$de_each"
      continue
    fi
    if [ -e "$de_folder~" ]; then rm -rf "$de_folder~"; fi
    if [ -e "$de_folder" ] || [ -h "$de_folder" ]; then
      mv "$de_folder" "$de_folder~" && set -- "$@" "$de_folder~"
    fi
  done
  if [ $# -gt 0 ]; then rm -rf "$@"; fi
}

de_revoke() {
  if [ ! -d "$de_fences" ]; then
    de_error=$(mkdir -p "$de_fences" 2>&1) || de_fault folder "$de_fences" "$de_error"
  fi
  { true >> "$de_fences/revoked-$1"; } 2> /dev/null || de_unwritten "$de_fences"
}

de_list() {
  set +f
  for de_each in "$de_tickets"/*; do
    if [ -e "$de_each" ] || [ -h "$de_each" ]; then printf '%s\n' "${de_each##*/}"; fi
  done
}

# ---- packages ----

de_digest() {
  if command -v sha256sum > /dev/null; then
    sha256sum
  elif command -v shasum > /dev/null; then
    shasum -a 256
  elif command -v sha256 > /dev/null; then
    sha256 -q
  else openssl dgst -sha256 -r; fi
}

# has DIGEST: whether a package is there; it counts as used now.
de_has() {
  if [ -f "$de_packages/$1" ]; then
    touch "$de_packages/$1"
    echo yes
  else echo no; fi
}

# deliver DIGEST: what comes on stdin is packed by gzip, and kept if what is in it has that digest.
de_deliver() {
  if [ ! -d "$de_packages" ]; then
    de_error=$(mkdir -p "$de_packages" 2>&1) || de_fault folder "$de_packages" "$de_error"
  fi
  de_new=$de_packages/.$1.$$
  if ! cat > "$de_new" 2> /dev/null; then
    rm -f "$de_new"
    de_unwritten "$de_packages"
  fi
  de_found=$(gzip -dc < "$de_new" 2> /dev/null | de_digest)
  if [ "${de_found%% *}" != "$1" ]; then
    rm -f "$de_new"
    de_fault digest "${de_found%% *}"
  fi
  mv -f "$de_new" "$de_packages/$1" || de_unwritten "$de_packages"
  # What those left who died half-way; their number may be somebody else's by now, but not for days.
  find "$de_packages" -name '.*.*' -type f -mtime +0 -exec rm -f {} +
  set +f
  for de_each in "$de_packages"/.*.*; do
    de_process "${de_each##*.}" || rm -f "$de_each"
  done
  set -f
}

# ---- health ----

# check: what the machine is and has, one fact a line.
de_check() {
  echo "platform $(uname -srm)"
  echo "clock $(date +%s)"
  echo "umask $de_umask"
  for de_each in flock setsid tar gzip; do
    command -v "$de_each" > /dev/null || echo "missing $de_each"
  done
  if [ -z "$(de_digest < /dev/null 2> /dev/null)" ]; then echo "missing sha256sum"; fi
  de_mask=022 de_folder=$de_fences
  de_make
  if ! [ -w "$de_fences" ]; then de_fault folder "$de_fences" "it cannot be written"; fi
  if [ -n "$(command -v flock)" ]; then
    flock -n -s "$de_here/agent.sh" true
    case $? in
      0 | 1) ;;
      *) de_fault unfit "flock cannot lock in $de_tickets; let that folder (tickets in the catalog) be on a disk of its own machine" ;;
    esac
  fi
  case $(command -v printf) in
    */*) de_fault unfit "its /bin/sh has no printf of its own, and secrets would stand on command lines; no script can run there" ;;
  esac
  if ! (cd "$de_workdir") 2> /dev/null; then de_fault folder "$de_workdir" "it cannot be entered"; fi
  # shellcheck disable=SC2046
  set -- $(df -Pk "$de_tickets" 2> /dev/null | tail -n 1)
  echo "free ${4-}"
}

printf '\ndeployengine:agent\n'
printf '\ndeployengine:agent\n' >&2
case $de_verb in
  start | status | output | outputs | cancel | clean | revoke | calloff | has | deliver | check) "de_$de_verb" "$@" ;;
  follow) de_attach "$@" ;;
  tickets) de_list ;;
  *) de_fault unfit "there is no verb $de_verb" ;;
esac
# Whatever ends this shell before has another status, and counts as no answer.
exit 0
