# What all recipes need. Their variables bear a prefix, since those without one are their author's.

# de_say TEXT: a line of output. It may hold secrets, and printf is a program in some shells, so it
# goes by standard input.
de_say() {
  cat << EOF
$*
EOF
}

de_fail() {
  de_say "$*" >&2
  exit 1
}

# de_now: hundredths of a second in de_clock, of a clock that nobody sets; where there is none, of
# the one that people set.
de_now() {
  de_clock=
  if { read -r de_clock de_rest < /proc/uptime; } 2> /dev/null; then
    de_clock=${de_clock%.*}${de_clock#*.}
  else
    de_clock=$(date +%s)00
  fi
}

# de_span HUNDREDTHS: as seconds, in de_seconds.
de_span() {
  de_seconds=$(($1 / 100)).$(($1 % 100 / 10))$(($1 % 10))
  de_seconds=${de_seconds%.00}
}

# de_pause HUNDREDTHS: POSIX has whole seconds only.
de_pause() {
  de_span "$1"
  sleep "$de_seconds" 2> /dev/null || sleep 1
}
