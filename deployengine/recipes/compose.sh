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

# One line for each container of the services: its id, service, state, health and exit code.
de_containers() {
  de_ids=$(de_compose ps --all --quiet "$@") || return 1
  if [ -z "$de_ids" ]; then return 0; fi
  # shellcheck disable=SC2086 # ids hold no space
  docker inspect --format '{{.Id}} {{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.State.ExitCode}}' $de_ids
}

# Looks at the services: de_bad, those that are not well yet; de_lost, those that will not be.
de_look() {
  de_bad='' de_lost='' de_count=0
  de_found=$(de_containers "$@") || return 1
  while read -r de_id de_service de_state de_health de_exit; do
    if [ -z "$de_id" ]; then continue; fi
    de_count=$((de_count + 1))
    case $de_state/$de_health in
      running/none | running/healthy) ;;
      exited/* | dead/* | */unhealthy) de_lost="$de_lost $de_service ($de_state, $de_health, $de_exit)" ;;
      *) de_bad="$de_bad $de_service ($de_state, $de_health)" ;;
    esac
  done << EOF
$de_found
EOF
}

# What can be seen of services that are not well, and the end of all.
de_give_up() {
  de_compose ps --all
  if de_found=$(de_containers); then
    while read -r de_id de_service de_state de_health de_exit; do
      case $de_state/$de_health in
        / | running/none | running/healthy) ;;
        *)
          de_say "last lines of $de_service ($de_state, $de_health, exit code $de_exit):"
          docker logs --tail 30 "$de_id" 2>&1 ;;
      esac
    done << EOF
$de_found
EOF
  fi
  de_fail "$*"
}

# Where up cannot wait by itself.
de_await() {
  de_now
  de_end=$((de_clock + de_within))
  while :; do
    de_look "$@" || de_give_up "the services cannot be looked at"
    if [ -n "$de_lost" ]; then de_give_up "not well:$de_lost"; fi
    if [ -z "$de_bad" ] && [ "$de_count" -gt 0 ]; then return; fi
    de_now
    if [ "$de_clock" -ge "$de_end" ]; then
      de_give_up "not well within $de_whole s:${de_bad:- no container}"
    fi
    de_pause 50
  done
}

if [ -n "$de_pull" ]; then
  de_say "docker compose pull $*"
  de_compose pull --quiet "$@" || de_fail "docker compose pull ended with $?; the services are as they were"
fi
de_services=$*
if [ -n "$de_orphans" ]; then set -- --remove-orphans "$@"; fi
if [ -n "$de_build" ]; then set -- --build "$@"; fi
case $(de_docker_compose up --help 2>&1) in
  *--wait-timeout*)
    de_say "docker compose up --detach --wait --wait-timeout $de_whole $*"
    de_compose up --detach --wait --wait-timeout "$de_whole" "$@" || de_give_up "docker compose up ended with $?" ;;
  *)
    de_say "docker compose up --detach $*"
    de_compose up --detach "$@" || de_give_up "docker compose up ended with $?"
    # shellcheck disable=SC2086 # names of services hold no space
    de_await $de_services ;;
esac
de_compose ps
