# shellcheck shell=bash
# The parts of a release, for hack/release, which has the variables that they share: version, registry, runbooks, source,
# epoch, revision, platforms, host_only, compile_all, output and work.
# shellcheck disable=SC2154

# check_setting NAME VALUE PATTERN EXPECTED
check_setting() {
  [[ -z $2 || $2 =~ ^$3$ ]] || { echo "$1: expected $4, got '$2'" >&2; return 1; }
}

# prepare_output removes what an earlier run has left, and nothing else: checksums.txt may also be a file that somebody
# has downloaded.
prepare_output() {
  local other
  if [ -e "$output" ]; then
    other=$(find "$output/" -mindepth 1 -maxdepth 1 ! -name images ! -name install.yaml ! -name 'checksums.txt*' \
      ! -name release-notes.md ! -name 'image-*.spdx.json' ! -name 'kubectl-rosey_*' ! -name 'rosey_*' \
      ! -name 'rosey-config_*' ! -name 'rosey-operator-*.tgz' ! -name rosey.yaml -print -quit)
    if [ -n "$other" ] || { [ ! -d "$output/images" ] && [ -n "$(ls -A "$output")" ]; }; then
      echo "--output $output: expected a directory that is empty, or that an earlier release has filled${other:+; it has $other}" >&2
      return 1
    fi
  fi
  rm -rf "$output"
  mkdir -p "$output/images"
  output=$(realpath "$output")
}

# make_programs builds each platform's programs into $work/OS_ARCH.
make_programs() {
  local platform packages os
  [ "$compile_all" = no ] || local -x GOFLAGS="$GOFLAGS -a"
  for platform in "${platforms[@]}"; do
    os=${platform%/*} packages=(./cmd/rosey)
    [ "$os" != linux ] || packages+=(./cmd/operator)
    [ "$os" = windows ] || packages+=(./cmd/kubectl-rosey)
    GOOS=$os GOARCH=${platform#*/} compile "programs for $platform" "-X main.version=$version" \
      "$work/${platform/\//_}" "${packages[@]}"
  done
}

# make_archives packs each program with the licence and the README, and the plugin of kubectl with its completion.
make_archives() {
  local platform name program
  for platform in "${platforms[@]}"; do
    platform=${platform/\//_}
    for program in "$work/$platform"/*; do
      name=${program##*/}
      name=${name%.exe}
      [ "$name" != operator ] || continue # it has an image only
      case $program in
        *.exe) pack_zip "$program" "$output/${name}_${version}_$platform.zip" ;;
        *) pack_tar "$program" "$output/${name}_${version}_$platform.tar.gz" ;;
      esac
    done
  done
}

# pack_tar PROGRAM ARCHIVE: with the script by which kubectl completes the commands of its plugin, and for Linux with the
# systemd unit of rosey.
pack_tar() {
  local more=()
  [[ $1 != */kubectl-rosey ]] || more=(--directory "$PWD/cmd/kubectl-rosey" kubectl_complete-rosey)
  [[ $2 != */rosey_*_linux_* ]] || more=(--directory "$PWD/config/systemd" rosey.service)
  tar --format=ustar --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --create \
    --directory "${1%/*}" "${1##*/}" "${more[@]}" --directory "$PWD" LICENSE README.md | gzip --no-name >"$2"
}

# pack_zip PROGRAM ARCHIVE: with git, which everybody has who builds this. The two pages are those of the commit.
pack_zip() { TZ=UTC git -c tar.umask=0022 archive --format=zip --output "$2" --add-file="$1" HEAD LICENSE README.md; }

# make_config packs what the documentation refers to in the directory config: samples, and the CRD.
make_config() {
  tar --format=ustar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --create \
    config/samples config/crd/bases | gzip --no-name >"$output/rosey-config_$version.tar.gz"
}

# make_images writes the images of both programs for Linux as OCI layouts. DIR.digest has the digest of each.
make_images() {
  local name platform archives
  for name in operator rosey; do
    archives=()
    for platform in "${platforms[@]}"; do
      [[ $platform == linux/* ]] || continue
      make_image "$name" "$platform"
      archives+=("$work/$name-${platform#*/}.tar")
    done
    write_layout "$output/images/$name" "$version" "$(annotations "$name")" "${archives[@]}" >"$output/images/$name.digest"
    rm "${archives[@]}"
    say "image $name: $(<"$output/images/$name.digest")"
  done
}

# make_image NAME PLATFORM
make_image() {
  local label labels=()
  while IFS= read -r label; do labels+=(--label "$label"); done < <(labels "$1")
  hack/cluster/cluster image --name-tag "$1:$version" --output "$work/$1-${2#*/}.tar" --platform "$2" \
    --program "$work/${2/\//_}/$1" "${labels[@]}"
}

# labels NAME prints KEY=VALUE lines: what the OCI's specification of images lists.
labels() {
  local key=org.opencontainers.image
  case $1 in
    operator) echo "$key.title=rosey-operator" ;;
    rosey) echo "$key.title=rosey" ;;
  esac
  echo "$key.description=$(description "$1")"
  echo "$key.version=$version"
  echo "$key.created=$(commit_time)"
  echo "$key.licenses=Apache-2.0"
  [ -z "$revision" ] || echo "$key.revision=$revision"
  [ -z "$source" ] || echo "$key.source=$source"
}

description() {
  case $1 in
    operator) echo "Operator for chat bots in CyTube channels on Kubernetes" ;;
    rosey) echo "Chat bot for CyTube channels, its database service and its web page" ;;
  esac
}

commit_time() { date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ; }

# annotations NAME prints the labels as members of a JSON object.
annotations() { labels "$1" | sed 's/\([^=]*\)=\(.*\)/"\1":"\2"/' | paste -sd ,; }

# make_chart packs the chart with its version, the images' digests and, if it is known, where the images are.
make_chart() {
  local chart=$work/rosey-operator
  helm=$(helm_program)
  cp -r charts/rosey-operator "$chart"
  {
    echo "annotations:"
    echo "  rosey.dev/operator-digest: $(<"$output/images/operator.digest")"
    echo "  rosey.dev/rosey-digest: $(<"$output/images/rosey.digest")"
    [ -z "$source" ] || printf 'home: %s\nsources: [%s]\n' "$source" "$source"
  } >>"$chart/Chart.yaml"
  [ -z "$registry" ] || {
    set_value "$chart" repository "$registry/operator"
    set_value "$chart" image "$registry/rosey"
  }
  [ -z "$runbooks" ] || set_value "$chart" runbookURL "$runbooks"
  find "$chart" -exec touch --date="@$epoch" {} +
  "$helm" package "$chart" --version "$version" --app-version "$version" --destination "$output" >/dev/null
  check_chart "$output/rosey-operator-$version.tgz"
}

# set_value CHART KEY VALUE: sets the one value of this name that is an empty string.
set_value() {
  local file=$1/values.yaml
  [ "$(grep -c "^  $2: \"\"\$" "$file")" -eq 1 ] || { echo "$file: expected one line '  $2: \"\"'" >&2; return 1; }
  sed -i "s|^  $2: \"\"\$|  $2: $3|" "$file"
}

# check_chart PACKAGE fails unless it installs exactly the images of this release.
check_chart() {
  local name=${registry:-registry.example} values rendered digest
  values=()
  [ -n "$registry" ] || values=(--set-string "image.repository=$name/operator,runtime.image=$name/rosey")
  rendered=$("$helm" template rosey-operator "$1" "${values[@]}")
  for digest in operator rosey; do
    grep -F "$name/$digest@$(<"$output/images/$digest.digest")" <<<"$rendered" >/dev/null ||
      { echo "the chart does not install the image $digest of this release" >&2; return 1; }
  done
}

# helm_program prints the path of Helm: the local cluster's, or one that is built alone.
helm_program() {
  if hack/cluster/cluster built 2>/dev/null; then
    echo "$(hack/cluster/cluster bin)/helm"
  else
    mkdir -p "$test_tools"
    build_test_tool hack/cluster helm.sh/helm/v4/cmd/helm >&2 && echo "$test_tools/helm"
  fi
}

# make_manifest writes what `kubectl apply -k config/default` would apply, with the images of this release.
make_manifest() {
  if [ -z "$registry" ]; then
    say "install.yaml is not made: it names the images where they are pulled, and REGISTRY is not set"
    return
  fi
  local file manifest=$output/install.yaml
  echo "# Rosey $version. To install it: kubectl apply --server-side -f install.yaml" >"$manifest"
  # A namespace has to be there before what is in it.
  while read -r file; do
    [ "$(wc -l <"$manifest")" -eq 1 ] || echo ---
    sed '1{/^---$/d}' "$file"
  done < <(resources config/default | sort -s -t : -k 1,1n | cut -d : -f 2) >>"$manifest"
  sed -i -e "s|^\( *image:\) operator\$|\1 $registry/operator@$(<"$output/images/operator.digest")|" \
    -e "s|^\( *value:\) REGISTRY/rosey:TAG\$|\1 $registry/rosey@$(<"$output/images/rosey.digest")|" \
    -e "s|^\( *\)app.kubernetes.io/component: operator\$|&\n\1app.kubernetes.io/version: \"$version\"|" "$manifest"
  [ "$(grep -cF "@sha256:" "$manifest")" -eq 2 ] ||
    { echo "install.yaml: expected the two images of this release" >&2; return 1; }
}

# resources DIR prints the files that a directory of kustomize lists, as ORDER:FILE.
resources() {
  local entry
  while read -r entry; do
    entry=$1/$entry
    if [ -d "$entry" ]; then
      resources "$entry"
    elif grep '^kind: Namespace$' "$entry" >/dev/null; then
      echo "1:$entry"
    else
      echo "2:$entry"
    fi
  done < <(sed -n 's/^- \([^ :]*\)$/\1/p' "$1/kustomization.yaml")
}

# make_notes writes the changelog's section of this version, and what belongs to the files.
make_notes() {
  local section
  section=$(changelog_section "${version%%-*}")
  if [ -z "$section" ] && [ "$version" = "${version%%-*}" ]; then
    echo "CHANGELOG.md: expected a section '## [$version]'" >&2
    return 1
  fi
  {
    printf '%s\n\n## Images\n\n' "${section:-No section of CHANGELOG.md is about this version.}"
    for name in operator rosey; do
      printf -- '- %s@%s\n' "${registry:+$registry/}$name" "$(<"$output/images/$name.digest")"
    done
    printf '\n%s\n' "\`sha256sum --check --ignore-missing checksums.txt\` checks the files that you have downloaded."
    [ "$host_only" = yes ] ||
      printf '\n%s\n' "The programs for Windows and macOS are built on Linux; they are not tried where they are built."
  } >"$output/release-notes.md"
}

# changelog_section VERSION prints the section without its heading and the empty lines around it. Its links to pages of
# the repository are relative, which they cannot be outside.
changelog_section() {
  [ -e CHANGELOG.md ] || return 0
  awk -v heading="## [$1]" '
    /^## / { inside = index($0, heading) == 1; next }
    /^\[[^]]*\]: / { next }
    inside && (started || NF) { started = 1; held = held $0 "\n"; if (NF) { printf "%s", held; held = "" } }' CHANGELOG.md |
    if [[ $source == https://github.com/* ]]; then
      sed -E "s,\]\(([A-Za-z0-9_./-]+)(#[^)]*)?\),](${source%/}/blob/v$version/\1\2),g"
    else
      cat
    fi
}

# make_krew_manifest fills in the manifest with which krew installs the plugin of kubectl from the published release.
# Without SOURCE there is no place where it could be.
make_krew_manifest() {
  local platform archive sum
  [ -n "$source" ] && [ "$host_only" = no ] || return 0
  sed -e '/^#/d' -e "s,SOURCE,$source,; s,VERSION,$version,g" cmd/kubectl-rosey/rosey.yaml >"$output/rosey.yaml"
  for platform in linux_amd64 linux_arm64 darwin_amd64 darwin_arm64; do
    archive=$output/kubectl-rosey_${version}_$platform.tar.gz
    sum=$(sha256sum <"$archive")
    sed -i "s,SHA256_$platform,${sum%% *}," "$output/rosey.yaml"
  done
}

# make_sboms lists what each program consists of (a Software Bill of Materials in the format SPDX): the version, the
# checksum and the licence of each Go module.
make_sboms() {
  local platform program name
  mkdir -p "$test_tools"
  build_test_tool hack/tools/syft github.com/anchore/syft/cmd/syft
  for platform in "${platforms[@]}"; do
    for program in "$work/${platform/\//_}"/*; do
      name=${program##*/}
      name=${name%.exe}
      [ "$name" = operator ] ||
        make_sbom "file:$program" "$name" "${name}_${version}_${platform/\//_}" "$(sha256sum <"$program")"
    done
    [[ $platform == linux/* ]] || continue
    for name in operator rosey; do
      make_sbom "oci-dir:$output/images/$name" "$name" "image-${name}_${version}_${platform/\//_}" \
        "$(sha256sum <<<"$(<"$output/images/$name.digest") $platform")" --platform "$platform"
    done
  done
  say "lists of contents: $(find "$output" -name '*.spdx.json' | wc -l)"
}

# make_sbom WHAT NAME FILE CHECKSUM ARGUMENT…: syft reads licences from the cache of Go's modules, and asks nobody. The
# document's time and its unique name would differ in every run, so they come from the commit and from CHECKSUM, that of
# what is listed.
make_sbom() {
  local what=$1 name=$2 file=$output/$3.spdx.json unique tool
  unique=$(sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/' <<<"$4")
  shift 4
  tool=$(cd hack/tools/syft && go list -m -f '{{.Version}}' github.com/anchore/syft)
  SYFT_CHECK_FOR_APP_UPDATE=false SYFT_GOLANG_SEARCH_LOCAL_MOD_CACHE_LICENSES=true \
    "$test_tools/syft" scan "$what" --quiet --source-name "$name" --source-version "$version" "$@" \
    --output "spdx-json=$file"
  sed -E -i -e 's/("documentNamespace":"[^"]*-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"/\1'"$unique"'"/' \
    -e 's/("created":")[^"]*"/\1'"$(commit_time)"'"/' -e "s/syft-\[not provided\]/syft-${tool#v}/" "$file"
}

# make_checksums lists every file but those inside the layouts, whose names are their checksums.
make_checksums() {
  local files
  mapfile -t files < <(cd "$output" && find . -type f ! -path './images/*/*' ! -name checksums.txt -printf '%P\n' |
    LC_ALL=C sort)
  (cd "$output" && sha256sum "${files[@]}" >checksums.txt)
}
