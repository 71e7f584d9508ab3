#!/bin/sh
# Runs one script as one ticket, and records that it began and how it ended.
#
#   wrapper.sh FOLDER WORKDIR FENCE HOLDS UMASK ODD COMMAND...
#
#   state      made exclusively, before the script: whoever makes it runs the script, any other
#              wrapper of the same ticket says "attached" and ends. This one file is why a script
#              runs at most once.
#   output     what the script wrote to stdout and stderr, in order
#   exit       the exit status, whole or absent (renamed); 128+n when signal n ended the script
#   room       a line, written before exit; empty where the disk had no room left for one, and so
#              perhaps none for what the script wrote
#
# Until the script starts, stdout is the starter's ear; its last word is "begun", "attached" or
# "revoked", or else the reason why nothing begins.
# Descriptors 4 to 9 are the locks of the machine: held until this shell ends, not by the script.
# Forks (on Linux): the script, nothing else; the last act (mv) replaces this shell.
# Variables bear a prefix, since those that the environment brings along belong to the script.
# ODD is empty but in a battery, see deployengine/failpoints.py: "kill:POINT" and "stop:POINT" are
# traps at a door (they meet this shell alone, as when the kernel kills it for want of memory; what
# the script left behind lives on), "without:PROTECTION" leaves one out, "trace:FILE" comes last.
# All of it stands in one group so that the shell has read it to the end before it starts.
{
  de_folder=$1 de_workdir=$2 de_fence=$3 de_holds=$4 de_mask=$5 de_odd=$6
  shift 6
  de_pass() {
    de_trace=/dev/null
    case $de_odd in *trace:*) de_trace=${de_odd##*trace:} ;; esac
    echo "$1" >> "$de_trace"
    case " $de_odd " in
      *" kill:$1 "*) echo "kill $1" >> "$de_trace" && kill -9 $$ ;;
      *" stop:$1 "*) echo "stop $1" >> "$de_trace" && kill -STOP $$ ;;
    esac
  }
  # A signal to the group ends the script, not its recorder. (A trap, as opposed to an ignored
  # signal, is not handed on to the script.)
  de_stopped=
  trap 'de_stopped=yes' HUP INT QUIT TERM
  trap : PIPE USR1 USR2 ALRM
  umask 077
  cd "$de_workdir" || exit 1
  exec 3>> "$de_folder/output"

  [ -z "$de_odd" ] || de_pass ticket.state.before
  de_boot='' de_stat=''
  de_proc=${DEPLOYENGINE_PROC:-/proc}
  if [ -r "$de_proc/self/stat" ]; then
    read -r de_boot < "$de_proc/sys/kernel/random/boot_id"
    read -r de_stat < "$de_proc/$$/stat"
  else # as on BSD: the same fields, those that are needed, and when it began
    de_boot=$(sysctl -n kern.boottime 2> /dev/null | tr -cd 'A-Za-z0-9')
    de_boot=${de_boot:-unknown}
    de_stat="$$ (sh) S 0 $$ $$ 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
    de_stat="$de_stat $(ps -o lstart= -p $$ | tr -cd 'A-Za-z0-9')"
  fi
  de_won=
  case $de_odd in *without:start-once*) ;; *) set -C ;; esac
  {
    de_won=yes
    printf 'ticket %s\nfence %s\nholds %s\nboot %s\nstat %s\nend\n' \
      "${de_folder##*/}" "$de_fence" "$de_holds" "$de_boot" "$de_stat" || de_won=full
  } 2> /dev/null > "$de_folder/state"
  set +C
  if [ -z "$de_won" ]; then
    if [ -e "$de_folder/state" ]; then echo attached; else echo "cannot write in $de_folder"; fi
    exit 1
  fi
  [ -z "$de_odd" ] || de_pass ticket.state.after
  # Only after the state was made: see fences.py. Whoever made the marker looks at the state next.
  if [ -e "${de_folder%/*}/.fences/revoked-$de_fence" ]; then
    case $de_odd in *without:revoked*) ;; *) de_won=revoked ;; esac
  fi
  # Room for the exit status is taken now: a script that fills the disk still gets its end recorded.
  if [ "$de_won" != yes ] || ! echo none 2> /dev/null > "$de_folder/exit.new"; then
    if [ "$de_won" = revoked ]; then echo revoked; else echo "no room in $de_folder"; fi
    PATH=/usr/bin:/bin:$PATH
    exec rm -f "$de_folder/state"
  fi
  echo begun
  exec > /dev/null 2>&1

  if [ -n "$de_stopped" ]; then
    de_code=143
  else
    (umask "$de_mask" && exec "$@") >&3 2>&3 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    de_code=$?
  fi
  trap '' HUP INT QUIT TERM PIPE USR1 USR2 ALRM
  PATH=/usr/bin:/bin:$PATH
  [ -z "$de_odd" ] || de_pass ticket.exit.before
  echo > "$de_folder/room"
  printf '%4s\n' "$de_code" 1<> "$de_folder/exit.new" || exit 1
  [ -n "$de_odd" ] || exec mv -f "$de_folder/exit.new" "$de_folder/exit"
  mv -f "$de_folder/exit.new" "$de_folder/exit"
  de_pass ticket.exit.after
  exit 0
}
