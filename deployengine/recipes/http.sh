# Asks a URL until it answers as it should, so many times in a row. What stands before this says
# de_url, de_method, de_body; de_secret (yes: there is a secret in these or in a header), de_config
# (all of the request, for curl), the headers as arguments for wget; de_insecure; de_expect (status
# codes and ranges), de_sought and de_sought_as (an option of grep); de_within, de_every, de_patience
# (for one answer) in hundredths of a second; de_successes.
#
# curl is told everything on its standard input. wget takes it on its command line, so it gets no
# secret. Redirects are answers; only busybox follows them, and what it finds there is not looked at.

de_answer=$DEPLOYENGINE_TICKET_FOLDER/answer
de_errors=$DEPLOYENGINE_TICKET_FOLDER/errors
if [ -z "$de_sought" ]; then de_answer=/dev/null; fi

# So many blocks of 512 bytes of an answer are kept (bash counts in 1024).
de_most=20480

de_choose() {
  if command -v curl > /dev/null; then
    de_tool=curl
    return
  fi
  command -v wget > /dev/null ||
    de_fail "an http step needs curl or wget on the machine that asks, and there is neither"
  [ -z "$de_secret" ] || de_fail "url, headers or body hold a sensitive value, which wget could be \
given on its command line only; install curl on the machine that asks"
  case $(wget --version 2> /dev/null) in
    'GNU Wget '*) de_tool=wget ;;
    *) de_tool=busybox ;;
  esac
  de_limiter=
  if timeout 1 true 2> /dev/null; then
    de_limiter=timeout
  elif timeout -t 1 true 2> /dev/null; then
    de_limiter='timeout -t'
  fi
  [ "$de_tool" = busybox ] || return 0
  case $de_method$de_body in
    GET | POST*) ;;
    *) de_fail "this wget can only GET without a body and POST; install curl on the machine that asks" ;;
  esac
  case $de_insecure$de_url in
    [Hh][Tt][Tt][Pp][Ss]:*) de_fail "this wget does not check certificates; install curl on the \
machine that asks, or say insecure_tls: true" ;;
  esac
}

# de_ask OPTION...: asks once, for at most de_limit; an answer leaves de_status.
de_ask() {
  de_status='' de_line=''
  de_span "$de_limit"
  if [ "$de_tool" = curl ]; then
    de_ask_curl
  else
    de_ask_wget "$@"
  fi
}

de_ask_curl() {
  de_status=$(
    ulimit -f "$de_most" 2> /dev/null
    exec curl -q -s -S -K - -m "$de_seconds" -o "$de_answer" -w '%{http_code}' 2> "$de_errors" << EOF
$de_config
EOF
  )
  de_code=$?
  IFS= read -r de_line < "$de_errors"
  case $de_code in 28) de_late=yes ;; *) de_late='' ;; esac
}

de_ask_wget() {
  de_whole=$(((de_limit + 99) / 100))
  set -- -S -O "$de_answer" "$@"
  if [ -n "$de_insecure" ]; then set -- --no-check-certificate "$@"; fi
  if [ "$de_tool" = busybox ]; then
    case $de_method in POST) set -- --post-data "$de_body" "$@" ;; esac
    set -- -q "$@"
  else
    if [ -n "$de_body" ]; then set -- "--body-data=$de_body" "$@"; fi
    set -- --no-config -nv --tries=1 "--timeout=$de_seconds" --max-redirect=0 --content-on-error \
      "--method=$de_method" "$@"
  fi
  (
    ulimit -f "$de_most" 2> /dev/null
    # shellcheck disable=SC2086 # it is a word, two, or none
    exec ${de_limiter:+$de_limiter $de_whole} wget "$@" "$de_url" 2> "$de_errors"
  )
  de_code=$?
  case $de_code in 124 | 143) de_late=yes ;; *) de_late='' ;; esac
  while IFS= read -r de_each; do
    case $de_each in
      '  HTTP/'*)
        de_each=${de_each#*HTTP/* }
        if [ -z "$de_status" ]; then de_status=${de_each%% *}; fi ;;
      ' '* | '') ;;
      *) if [ -z "$de_line" ]; then de_line=$de_each; fi ;;
    esac
  done < "$de_errors"
}

de_is_expected() {
  for de_range in $de_expect; do
    if [ "$de_status" -ge "${de_range%-*}" ] && [ "$de_status" -le "${de_range#*-}" ]; then return 0; fi
  done
  return 1
}

de_is_there() {
  grep "$de_sought_as" -q -f - "$de_answer" 2> "$de_errors" << EOF
$de_sought
EOF
  case $? in
    0) return 0 ;;
    1) return 1 ;;
    *) de_fail "contains: grep cannot look for that: $(cat "$de_errors")" ;;
  esac
}

# Whether the answer is as it should be; if not, de_trouble says why.
de_judge() {
  if [ -n "$de_late" ]; then
    # The last try may be cut short, and says less then than what was found before.
    if [ "$de_limit" -ge "$de_patience" ] || [ -z "$de_told" ]; then
      de_trouble="no answer within $de_seconds s"
    fi
    return 1
  fi
  case $de_status in
    [1-5][0-9][0-9]) ;;
    *)
      if [ "$de_code" -gt 128 ]; then de_line="its answer broke off: too long"; fi
      de_trouble=${de_line:-no answer}
      return 1 ;;
  esac
  # wget ends with a code of its own for other statuses, too.
  case $de_tool$de_status in
    curl* | *2??)
      if [ "$de_code" -ne 0 ]; then
        de_trouble="it answered $de_status, and broke off: ${de_line:-too long}"
        return 1
      fi ;;
    busybox3??) : > "$de_answer" ;;
  esac
  if ! de_is_expected; then
    de_trouble="it answered $de_status, not $de_expect"
    return 1
  fi
  if [ -n "$de_sought" ] && ! de_is_there; then
    de_trouble="it answered $de_status, without $de_sought"
    return 1
  fi
}

# It is asked itself, whatever the worker's or the login's proxy is.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
de_choose
de_now
de_began=$de_clock
de_end=$((de_clock + de_within))
de_row=0 de_tries=0 de_told=''
while :; do
  de_limit=$((de_end - de_clock))
  if [ "$de_limit" -gt "$de_patience" ]; then de_limit=$de_patience; fi
  if [ "$de_limit" -lt 10 ]; then de_limit=10; fi
  if [ "$de_answer" != /dev/null ]; then : > "$de_answer" || exit 1; fi
  : > "$de_errors" || exit 1
  de_ask "$@"
  de_tries=$((de_tries + 1))
  if de_judge; then
    de_row=$((de_row + 1)) de_told=''
    if [ "$de_row" -ge "$de_successes" ]; then
      de_now
      de_span $((de_clock - de_began))
      de_say "$de_method $de_url is healthy: it answered $de_status at try $de_tries, after $de_seconds s"
      exit 0
    fi
  else
    de_row=0
    if [ "$de_trouble" != "$de_told" ]; then de_say "$de_method $de_url: $de_trouble"; fi
    de_told=$de_trouble
  fi
  de_now
  if [ $((de_clock + de_every)) -ge "$de_end" ]; then break; fi
  de_pause "$de_every"
  de_now
done
if [ "$de_row" -gt 0 ]; then
  de_trouble="only so many good answers in a row: $de_row of $de_successes"
fi
de_span "$de_within"
de_fail "$de_method $de_url was not healthy within $de_seconds s: $de_trouble"
