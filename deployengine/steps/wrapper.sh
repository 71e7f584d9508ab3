#!/bin/sh
# Runs one script as one ticket, and records that it began and how it ended.
#
#   wrapper.sh FOLDER WORKDIR FENCE UMASK COMMAND...
#
#   state      made exclusively, before the script: whoever makes it runs the script, any other
#              wrapper of the same ticket says "attached" and ends. This one file is why a script
#              runs at most once.
#   output     what the script wrote to stdout and stderr, in order
#   exit       the exit status, whole or absent (renamed); 128+n when signal n ended the script
#
# Until the script starts, stdout is the starter's ear: nothing said means begun.
# Forks: the script, nothing else; the last act (mv) replaces this shell.
# Variables bear a prefix, since those that the environment brings along belong to the script.
# All of it stands in one group so that the shell has read it to the end before it starts.
{
  de_folder=$1 de_workdir=$2 de_fence=$3 de_mask=$4
  shift 4
  # A signal to the group ends the script, not its recorder. (A trap, as opposed to an ignored
  # signal, is not handed on to the script.)
  de_stopped=
  trap 'de_stopped=yes' HUP INT QUIT TERM
  trap : PIPE USR1 USR2 ALRM
  umask 077
  cd "$de_workdir" || exit 1
  exec 3>> "$de_folder/output"

  de_boot='' de_stat=''
  read -r de_boot < /proc/sys/kernel/random/boot_id
  read -r de_stat < "/proc/$$/stat"
  de_won=
  set -C
  {
    de_won=yes
    printf 'fence %s\nboot %s\nstat %s\nend\n' "$de_fence" "$de_boot" "$de_stat" || de_won=full
  } 2> /dev/null > "$de_folder/state"
  set +C
  if [ -z "$de_won" ]; then
    if [ -e "$de_folder/state" ]; then echo attached; else echo "cannot write in $de_folder"; fi
    exit 1
  fi
  # Room for the exit status is taken now: a script that fills the disk still gets its end recorded.
  if [ "$de_won" = full ] || ! echo none 2> /dev/null > "$de_folder/exit.new"; then
    echo "no room in $de_folder"
    PATH=/usr/bin:/bin:$PATH
    exec rm -f "$de_folder/state"
  fi
  exec > /dev/null 2>&1

  if [ -n "$de_stopped" ]; then
    de_code=143
  else
    (umask "$de_mask" && exec "$@") >&3 2>&3 3>&-
    de_code=$?
  fi
  trap '' HUP INT QUIT TERM PIPE USR1 USR2 ALRM
  PATH=/usr/bin:/bin:$PATH
  printf '%4s\n' "$de_code" 1<> "$de_folder/exit.new" &&
    exec mv -f "$de_folder/exit.new" "$de_folder/exit"
  exit 1
}
