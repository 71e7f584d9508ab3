# Has systemd do something with units, and waits until they are as they should be. What stands before
# this says de_action, de_wanted (active, inactive, or nothing), de_scope, de_reload, de_within and
# de_stable in hundredths of a second, and the units as arguments.

command -v systemctl > /dev/null || de_fail "a systemd step needs systemctl, which this machine lacks"
if [ "$de_scope" = user ] && [ -z "$XDG_RUNTIME_DIR" ]; then
  XDG_RUNTIME_DIR=/run/user/$(id -u) # where no session of the user has set it
  export XDG_RUNTIME_DIR
fi

de_limiter=''

# Never asks for a password.
de_systemctl() {
  # shellcheck disable=SC2086 # it is two words, or none
  $de_limiter systemctl "--$de_scope" --no-ask-password --no-pager "$@"
}

# What can be seen of units that are not as they should be, and the end of all.
de_give_up() {
  de_why=$1
  shift
  for de_unit; do
    de_systemctl status --full --lines=0 -- "$de_unit"
    case $de_scope in
      user) journalctl --no-pager --lines=30 "--user-unit=$de_unit" ;;
      *) journalctl --no-pager --lines=30 "--unit=$de_unit" ;;
    esac
  done
  de_fail "$de_why"
}

# What systemctl is-active says of a unit, in de_state, and in de_life which of its lives it is in,
# so that one which ends and is started again at once is not taken for one that stays.
de_look() {
  de_state='' de_life=''
  while IFS='=' read -r de_key de_value; do
    case $de_key in
      ActiveState) de_state=$de_value ;;
      InvocationID) de_life=$de_value ;;
    esac
  done << EOF
$(de_systemctl show --property=ActiveState --property=InvocationID -- "$1")
EOF
}

# Looks at all units: de_bad, those that are not yet as they should be; de_lost, those that will not
# be any more; de_lives, what tells whether they have been so all the time.
de_look_at_all() {
  de_bad='' de_lost='' de_lives='' de_said=''
  for de_unit; do
    de_look "$de_unit"
    de_lives="$de_lives $de_life"
    de_said="$de_said${de_said:+, }$de_unit is ${de_state:-not known}"
    case $de_wanted$de_state in
      activeactive | inactiveinactive | inactivefailed) ;;
      activefailed) de_lost="$de_lost $de_unit" ;;
      *) de_bad="$de_bad $de_unit" ;;
    esac
  done
}

if [ -n "$de_reload" ]; then
  de_say "systemctl --$de_scope daemon-reload"
  de_systemctl daemon-reload || de_fail "systemctl daemon-reload ended with $?"
fi
de_now
de_end=$((de_clock + de_within))
# What is waited for afterwards has no longer for its own either: units may take minutes to start.
de_whole=$(((de_within + 99) / 100))
if [ -n "$de_wanted" ] && command -v timeout > /dev/null; then de_limiter="timeout $de_whole"; fi
de_say "systemctl --$de_scope $de_action $*"
de_systemctl "$de_action" -- "$@"
de_code=$?
case $de_code in
  0) ;;
  124 | 143) de_give_up "systemctl $de_action $* did not end within $de_whole s" "$@" ;;
  *) de_give_up "systemctl $de_action $* ended with $de_code" "$@" ;;
esac
de_limiter=''
if [ -z "$de_wanted" ]; then exit 0; fi

de_since='' de_before=''
while :; do
  de_look_at_all "$@"
  de_now
  if [ -n "$de_lost" ]; then
    # shellcheck disable=SC2086 # names of units hold no space
    de_give_up "$de_said" $de_lost
  elif [ -n "$de_bad" ]; then
    de_since=''
  elif [ -z "$de_since" ] || [ "$de_lives" != "$de_before" ]; then
    de_since=$de_clock
  fi
  de_before=$de_lives
  if [ -n "$de_since" ] && [ $((de_clock - de_since)) -ge "$de_stable" ]; then
    de_span "$de_stable"
    de_say "$de_said, for $de_seconds s"
    exit 0
  fi
  # Who was so in time may yet show that it stays.
  if [ "${de_since:-$de_clock}" -ge "$de_end" ]; then
    de_span "$de_within"
    # shellcheck disable=SC2086
    de_give_up "not $de_wanted and staying so within $de_seconds s: $de_said" ${de_bad:-"$@"}
  fi
  de_pause 20
done
