# Brings the services of Compose files up, and waits until they run and are healthy. What stands
# before this says de_compose (docker compose with its files and project), the environment, de_pull,
# de_build, de_orphans, de_within in hundredths of a second and de_whole in seconds, and the services
# as arguments.

command -v docker > /dev/null || de_fail "a docker-compose step needs docker, which this machine lacks"
if docker compose version > /dev/null 2>&1; then
  de_docker_compose() { docker compose "$@"; }
elif command -v docker-compose > /dev/null; then
  de_docker_compose() { docker-compose "$@"; }
else
  de_fail "a docker-compose step needs docker's plugin compose or docker-compose, and there is neither"
fi

# One line for each container of the services: its id, service, state, health, exit code, and whether
# somebody has run it beside its service. Without a service: of all that the files have, and of none
# that older ones had.
de_containers() {
  if [ $# -eq 0 ]; then
    de_names=$(de_compose config --services) || return 1
    # shellcheck disable=SC2086 # names of services hold no space
    set -- $de_names
  fi
  de_ids=$(de_compose ps --all --quiet "$@") || return 1
  if [ -z "$de_ids" ]; then return 0; fi
  # shellcheck disable=SC2086 # ids hold no space
  docker inspect --format '{{.Id}} {{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.State.ExitCode}} {{index .Config.Labels "com.docker.compose.oneoff"}}' $de_ids
}

# Looks at the services: de_bad, those that are not well yet; de_lost, those that will not be.
de_look() {
  de_bad='' de_lost='' de_count=0
  de_found=$(de_containers "$@") || return 1
  while read -r de_id de_service de_state de_health de_exit de_beside; do
    case $de_beside/$de_id in True/* | */) continue ;; esac
    de_count=$((de_count + 1))
    case $de_state/$de_health in
      running/none | running/healthy) ;;
      exited/* | dead/* | */unhealthy)
        de_lost="$de_lost, $de_service is $de_state, health $de_health, exit code $de_exit" ;;
      *) de_bad="$de_bad, $de_service is $de_state, health $de_health" ;;
    esac
  done << EOF
$de_found
EOF
}

# What can be seen of services that are not well, and the end of all: de_give_up WHY SERVICE...
de_give_up() {
  de_why=$1
  shift
  de_compose ps --all
  if de_found=$(de_containers "$@"); then
    while read -r de_id de_service de_state de_health de_exit de_beside; do
      case $de_beside/$de_id/$de_state/$de_health in
        True/* | *//* | */running/none | */running/healthy) ;;
        *)
          de_say "last lines of $de_service, which is $de_state, health $de_health, exit code $de_exit:"
          docker logs --tail 30 "$de_id" 2>&1 ;;
      esac
    done << EOF
$de_found
EOF
  fi
  de_fail "$de_why"
}

# Where up cannot wait by itself.
de_await() {
  de_now
  de_end=$((de_clock + de_within))
  while :; do
    de_look "$@" || de_give_up "the services cannot be looked at" "$@"
    if [ -n "$de_lost" ]; then de_give_up "not well: ${de_lost#, }" "$@"; fi
    if [ -z "$de_bad" ] && [ "$de_count" -gt 0 ]; then return; fi
    de_now
    if [ "$de_clock" -ge "$de_end" ]; then
      de_bad=${de_bad:-, there is no container}
      de_give_up "not well within $de_whole s: ${de_bad#, }" "$@"
    fi
    de_pause 50
  done
}

# de_up SERVICE...
de_up() {
  set -- up --detach ${de_build:+--build} ${de_orphans:+--remove-orphans} "$@"
  de_say "docker compose $*"
  de_compose "$@"
}

# de_bring SERVICE...: their images.
de_bring() {
  de_but=''
  if [ -n "$de_build" ]; then
    case $(de_docker_compose pull --help 2>&1) in *--ignore-buildable*) de_but=yes ;; esac
  fi
  set -- pull --quiet ${de_but:+--ignore-buildable} "$@"
  de_say "docker compose $*"
  de_compose "$@"
}

if [ -n "$de_pull" ]; then
  de_bring "$@" || de_fail "docker compose pull ended with $?; the services are as they were"
fi
case $(de_docker_compose up --help 2>&1) in
  *--wait-timeout*)
    de_up --wait --wait-timeout "$de_whole" "$@" || de_give_up "docker compose up ended with $?" "$@" ;;
  *)
    de_up "$@" || de_give_up "docker compose up ended with $?" "$@"
    de_await "$@" ;;
esac
de_compose ps
exit 0
