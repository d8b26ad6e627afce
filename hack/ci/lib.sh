# shellcheck shell=bash
# What the jobs of .github/workflows/release.yml have in common. The variables GITHUB_* are those of the runner; dist has
# what hack/release made.

. hack/lib/version.sh

# The tag is vX.Y.Z, and everything else is called X.Y.Z. A tag can have characters that make and a shell would act on.
version=${GITHUB_REF_NAME:?expected the tag}
[[ $version =~ ^v[0-9] ]] || { echo "GITHUB_REF_NAME: expected a tag vX.Y.Z, got '$version'" >&2; exit 1; }
version=${version#v}
check_version "$version" || exit 1

# release_registry prints the registry of the repository's owner; names of images have no capitals.
release_registry() {
  local owner=${GITHUB_REPOSITORY_OWNER:?expected the owner of the repository}
  echo "${REGISTRY_HOST:?expected the host of the registry}/${owner,,}"
}
