# Brings one version of a package to where it is used. What stands before this says which and where:
# de_package, de_version, de_digest, de_name (of its folder), de_into, de_keep, de_user (of archives),
# de_variable (a pattern for the variable of the folder), and de_files, which writes the files that
# have values in them.
#
#   INTO/releases/NAME   a version with its values; what is there is whole and never written again
#   INTO/current         a link to the one in use, switched by one rename
#   INTO/.done/NAME      the digest of a version that was brought into use without a failure
#   INTO/.made/NAME      says that a folder of releases is ours; others are never removed
#
# It needs a POSIX shell, tar and gzip, and tools that every machine has.

de_fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# de_file ROOT PATH MODE SIZE: what comes on stdin replaces a file; SIZE "all", or bytes without the
# line's end that comes last.
de_file() {
  (
    umask 077
    cat > "$1.long" && cp "$1.long" "$1.file" || exit 1
    if [ "$4" = 0 ]; then
      : > "$1.file"
    elif [ "$4" != all ]; then
      dd if="$1.long" of="$1.file" bs="$4" count=1 2> /dev/null || exit 1
    fi
    chmod "$3" "$1.file" && mv -f "$1.file" "$1/$2" && rm -f "$1.long"
  )
}

# de_run NAME...: the first script of the package that bears one of the names.
de_run() {
  for de_script; do
    [ -f "$de_home/$de_script.sh" ] || continue
    de_first=
    IFS= read -r de_first < "$de_home/$de_script.sh"
    (
      cd "$de_home" || exit 1
      case $de_first in
        '#!'*) chmod u+x "$de_script.sh" && exec "./$de_script.sh" ;;
        *) exec sh "./$de_script.sh" ;;
      esac
    )
    de_code=$?
    if [ "$de_code" -ne 0 ]; then
      printf '%s.sh of %s %s ended with %s; %s\n' \
        "$de_script" "$de_package" "$de_version" "$de_code" "$(de_in_use)" >&2
      exit "$de_code"
    fi
    return
  done
}

# Tells what a shell would only stumble over, before anything is changed.
de_look_at_scripts() {
  de_found=
  for de_script in pre_deploy PreDeploy deploy Deploy post_deploy PostDeploy; do
    [ -f "$de_home/$de_script.sh" ] || continue
    de_found=yes de_first=
    IFS= read -r de_first < "$de_home/$de_script.sh"
    case $de_first in
      *"$(printf '\r')") de_fail "$de_script.sh of $de_package $de_version has Windows line ends, \
which no shell understands; nothing was switched: $(de_in_use)" ;;
    esac
  done
  if [ -z "$de_found" ]; then
    for de_script in "$de_home"/*/deploy.sh "$de_home"/*/Deploy.sh; do
      if [ -f "$de_script" ]; then
        printf '%s is not run: scripts must be at the top of the package\n' "${de_script#"$de_home/"}"
      fi
    done
  fi
}

# The name of the folder that is in use.
de_current_name() {
  de_where=$(cd -P "$de_current" 2> /dev/null && pwd -P) && printf '%s' "${de_where##*/}"
}

de_in_use() {
  de_now=$(de_current_name)
  if [ "$de_now" = "$de_name" ]; then
    printf 'it is in use already'
  elif [ -n "$de_now" ]; then
    printf '%s is still in use' "$de_now"
  else
    printf 'none is in use'
  fi
}

de_unpack() {
  [ -f "$de_archive" ] ||
    de_fail "$de_package $de_version is not on this machine any more; deployment retry brings it again"
  de_new=$de_releases/.new-$DEPLOYENGINE_TICKET
  if ! mkdir "$de_new" || ! {
    { gzip -dc "$de_archive" || : > "$de_new.damaged"; } | (cd "$de_new" && tar -xof -)
  } || [ -e "$de_new.damaged" ]; then
    rm -rf "$de_new" "$de_new.damaged"
    if ! gzip -t "$de_archive"; then
      rm -f "$de_archive"
      de_fail "the archive of $de_package $de_version was damaged on this machine and is removed, \
nothing was changed; deployment retry brings it again"
    fi
    de_fail "cannot unpack $de_package $de_version in $de_releases; nothing was changed. What \
tar says stands above; see that there is room on that disk"
  fi
  if ! de_files "$de_new" || ! mv "$de_new" "$de_home"; then
    rm -rf "$de_new"
    de_fail "cannot write the files of $de_package $de_version in $de_releases; nothing was changed"
  fi
}

# A link that is renamed over another replaces it in one step, if mv does not follow the old one: -T
# says so to GNU and busybox, -h to BSD. Where mv knows neither there is none for a moment.
de_switch() {
  de_link=$de_into/.current-$DEPLOYENGINE_TICKET
  rm -f "$de_link"
  ln -s "releases/$de_name" "$de_link" || de_fail "cannot make a link in $de_into"
  mv -fT "$de_link" "$de_current" 2> /dev/null ||
    mv -fh "$de_link" "$de_current" 2> /dev/null ||
    { rm -f "$de_current" && mv -f "$de_link" "$de_current"; }
  [ "$(de_current_name)" = "$de_name" ] || de_fail "cannot switch $de_current to $de_name"
}

# Removes a folder in which scripts may have made others that nobody may write in.
de_remove() {
  rm -rf "$1" 2> /dev/null || { chmod -R u+rwx "$1" && rm -rf "$1"; }
}

# Removes versions beyond those that are kept, and what failures have left.
de_prune() {
  de_kept=0 de_now=$(de_current_name)
  # shellcheck disable=SC2045 # names of versions hold no space
  for de_each in $(ls -t "$de_done"); do
    [ "$de_each" != "$de_name" ] || continue
    if [ "$de_kept" -lt "$de_keep" ] || [ "$de_each" = "$de_before" ]; then
      de_kept=$((de_kept + 1))
    else
      rm -f "$de_done/$de_each"
    fi
  done
  for de_each in "$de_made"/*; do
    de_each=${de_each##*/}
    if [ "$de_each" != "$de_name" ] && [ "$de_each" != "$de_before" ] &&
      [ "$de_each" != "$de_now" ] && [ ! -e "$de_done/$de_each" ]; then
      de_remove "${de_releases:?}/$de_each" && rm -f "$de_made/$de_each" &&
        printf 'removed %s\n' "$de_each"
    fi
  done
}

# Removes archives that nobody has used for a day, and whose versions are nowhere any more.
de_prune_archives() {
  mkdir -p "$de_store/used" && { printf '# %s\n' "$de_done" && cat "$de_done"/*; } \
    > "$de_store/used/.$de_user" && mv -f "$de_store/used/.$de_user" "$de_store/used/$de_user" || return
  for de_each in "$de_store"/used/*; do
    IFS= read -r de_whose < "$de_each"
    [ -d "${de_whose#\# }" ] || rm -f "$de_each" # those versions are gone
  done
  for de_each in "$de_store"/*; do
    if [ -f "$de_each" ] && [ -n "$(find "$de_each" -mtime +0)" ]; then
      grep -q "^${de_each##*/}\$" "$de_store"/used/* || rm -f "$de_each"
    fi
  done
}

case $de_into in /*) ;; *) de_into=$PWD/$de_into ;; esac
de_store=${DEPLOYENGINE_TICKET_FOLDER%/*}/.packages
de_archive=$de_store/$de_digest
de_releases=$de_into/releases
de_done=$de_into/.done
de_made=$de_into/.made
de_current=$de_into/current
de_home=$de_releases/$de_name

mkdir -p "$de_releases" "$de_done" "$de_made" || de_fail "cannot make folders in $de_into"
if [ -e "$de_current" ] && [ ! -h "$de_current" ]; then
  de_fail "$de_current is no link to a version; move it away, or say another place with into"
fi
de_before=$(de_current_name)
rm -rf "$de_releases"/.new-*

if [ -d "$de_home" ] && { [ -e "$de_done/$de_name" ] || [ "$de_before" = "$de_name" ]; }; then
  printf '%s %s is in %s already\n' "$de_package" "$de_version" "$de_home"
else
  de_remove "$de_home" || de_fail "cannot remove what is left of $de_home; nothing was changed"
  : > "$de_made/$de_name" || de_fail "cannot write in $de_made"
  de_unpack
  printf '%s %s unpacked in %s\n' "$de_package" "$de_version" "$de_home"
fi

export DEPLOYENGINE_PACKAGE="$de_package" DEPLOYENGINE_PACKAGE_VERSION="$de_version"
export DEPLOYENGINE_PACKAGE_FOLDER="$de_home"
# What get_variable finds, which only now is known.
printf '%s\n' "case \$name in $de_variable) found=yes value=\$DEPLOYENGINE_PACKAGE_FOLDER ;; esac" \
  >> "$DEPLOYENGINE_TICKET_FOLDER/variables"
set_output Package.InstallationDirectoryPath "$de_home"
set_output Package.Version "$de_version"

de_look_at_scripts
de_run pre_deploy PreDeploy
de_switch
de_run deploy Deploy
de_run post_deploy PostDeploy

printf '%s\n' "$de_digest" > "$de_done/.new" && mv -f "$de_done/.new" "$de_done/$de_name" ||
  de_fail "cannot write in $de_done"
de_prune
de_prune_archives
exit 0
