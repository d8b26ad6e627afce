#!/usr/bin/env bash
# Writes what is derived from the Go code: deepcopy functions, the CRD and the operator's rights, for kustomize
# and for the chart; and the API reference.
#
#   hack/generate.sh           writes into the tree
#   hack/generate.sh --check   writes nothing, and fails where something would change
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

deepcopy=api/v1alpha1/zz_generated.deepcopy.go
crd=config/crd/bases/rosey.dev_roseybots.yaml
role=config/rbac/role.yaml
chart_crd=charts/rosey-operator/templates/crd.yaml
chart_rules=charts/rosey-operator/templates/_rules.tpl
reference=docs/api.md

generate() { # DIRECTORY
  local out=$1 file
  for file in "$deepcopy" "$crd" "$role" "$chart_crd" "$reference"; do
    mkdir -p "$out/$(dirname "$file")"
  done
  CGO_ENABLED=0 "$controller_gen" \
    object "output:object:dir=$out/$(dirname "$deepcopy")" \
    crd "output:crd:dir=$out/$(dirname "$crd")" \
    rbac:roleName=rosey-operator "output:rbac:dir=$out/$(dirname "$role")" \
    paths=./api/... paths=./controllers/...
  chart_crd "$out/$crd" >"$out/$chart_crd"
  chart_rules "$out/$role" >"$out/$chart_rules"
  CGO_ENABLED=0 go run ./hack/apidocs "$out/$crd" >"$out/$reference"
}

# The CRD is a template, so that an upgrade of the chart brings the new one; the policy keeps an uninstall of the
# chart from deleting every RoseyBot.
chart_crd() { # FILE
  echo '{{- /* Made by hack/generate.sh. */ -}}'
  echo '{{- if .Values.crds.install }}'
  sed -e '1{/^---$/d}' -e '0,/^  annotations:$/s//  annotations:\n    helm.sh\/resource-policy: keep/' "$1"
  echo '{{- end }}'
}

# The rules alone: watchNamespaces decides whether they are a ClusterRole or a Role in each namespace.
chart_rules() { # FILE
  echo '{{- /* Made by hack/generate.sh. */ -}}'
  echo '{{- define "rosey-operator.rules" }}'
  sed -n '/^rules:/,$p' "$1"
  echo '{{- end }}'
}

controller_gen=$(cd hack/tools && CGO_ENABLED=0 go tool -n controller-gen)
case ${1:-} in
  "") generate . ;;
  --check)
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    generate "$fresh"
    status=0
    for file in "$deepcopy" "$crd" "$role" "$chart_crd" "$chart_rules" "$reference"; do
      diff -u "$file" "$fresh/$file" || status=1
    done
    [ "$status" = 0 ] || echo "generated files are out of date: run hack/generate.sh" >&2
    exit "$status"
    ;;
  *)
    echo "usage: hack/generate.sh [--check]" >&2
    exit 2
    ;;
esac
