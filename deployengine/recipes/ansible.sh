# Runs a playbook, limited to one machine. What stands before this says de_playbook, de_inventory,
# de_limit, de_tags, de_check, and de_vars: YAML, which may be secret and so goes into a file.

command -v ansible-playbook > /dev/null || de_fail "an ansible step needs ansible-playbook on the \
machine that runs_on names, and it is not there"

set -- "--limit=$de_limit"
if [ -n "$de_inventory" ]; then set -- "$@" "--inventory=$de_inventory"; fi
if [ -n "$de_tags" ]; then set -- "$@" "--tags=$de_tags"; fi
if [ -n "$de_check" ]; then set -- "$@" --check; fi
de_say "ansible-playbook $* $de_playbook"
de_file=$DEPLOYENGINE_TICKET_FOLDER/extra_vars.yaml
if [ -n "$de_vars" ]; then
  (
    umask 077
    cat > "$de_file" << EOF
$de_vars
EOF
  ) || de_fail "cannot write $de_file"
  set -- "$@" "--extra-vars=@$de_file"
fi
ansible-playbook "$@" "$de_playbook"
de_code=$?
rm -f "$de_file"
exit "$de_code"
