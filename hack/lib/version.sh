# shellcheck shell=bash
# The version of this tree: programs, images, chart and archives have the same one.

# first_version is what is developed before the first tag.
first_version=0.1.0

# tree_version prints the version of this tree: X.Y.Z at the tag vX.Y.Z. Between tags it is X.Y.Z-dev.COMMITS.gHASH, where
# X.Y.Z is what can come next. A modified working tree gets a new version each time: pods would not restart for new
# content under the same tag. All of them are Semantic Versions as Helm wants them, and, without a plus sign, tags of
# images.
tree_version() {
  local described
  described=$(git describe --tags --match 'v[0-9]*' --always --long --abbrev=8 --dirty 2>/dev/null) || described=none-dirty
  version_of "$described"
}

# version_of DESCRIBED prints the version of what git describe prints: TAG-COMMITS-gHASH, or HASH without a tag.
version_of() {
  local described=${1%-dirty} tag commits hash
  case $described in
    none) tag='' commits=0 hash='' ;; # no repository
    *-g*)
      hash=${described##*-} described=${described%-*}
      commits=${described##*-} tag=${described%-*} ;;
    *) tag='' hash=g$described commits=$(git rev-list --count HEAD) ;;
  esac
  if [ -n "$tag" ] && [ "$commits" -eq 0 ] && [ "$1" = "${1%-dirty}" ]; then
    echo "${tag#v}"
    return
  fi
  printf '%s.%s%s%s\n' "$(next_version "${tag#v}")" "$commits" "${hash:+.$hash}" \
    "$([ "$1" = "${1%-dirty}" ] || date +.dirty.%s)"
}

# next_version VERSION prints the beginning of versions that come after VERSION and before the next one.
next_version() {
  case $1 in
    "") echo "$first_version-dev" ;;
    *-*) echo "$1.dev" ;; # 1.0.0-rc.1 is followed by 1.0.0-rc.2 or 1.0.0
    *) echo "${1%.*}.$((${1##*.} + 1))-dev" ;;
  esac
}

# check_version VERSION fails unless it can be that of a release.
check_version() {
  local number='(0|[1-9][0-9]*)'
  [[ $1 =~ ^$number\.$number\.$number(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$ && ${#1} -le 100 ]] ||
    { echo "VERSION: expected X.Y.Z, or X.Y.Z-NAME.NUMBER, as in 0.1.0 and without v or +, got '$1'" >&2; return 1; }
}
