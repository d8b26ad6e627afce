{{/* Name of the operator's objects in the release's namespace. */}}
{{- define "rosey-operator.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Name of cluster-scoped objects. It contains the namespace, so that two releases do not conflict. */}}
{{- define "rosey-operator.clusterName" -}}
{{ printf "%s:%s" .Release.Namespace (include "rosey-operator.name" .) }}
{{- end }}

{{- define "rosey-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rosey-operator.labels" -}}
{{ include "rosey-operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Fails unless both images are named: no default could be pulled. */}}
{{- define "rosey-operator.needImages" -}}
{{- $missing := list }}
{{- if not .Values.image.repository }}{{ $missing = append $missing "image.repository: expected the name of the operator's image without its tag, for example registry.example/rosey/operator" }}{{ end }}
{{- if not .Values.runtime.image }}{{ $missing = append $missing "runtime.image: expected the image of the bots, for example registry.example/rosey/rosey:1.2.3" }}{{ end }}
{{- if $missing }}{{ fail (printf "\n%s\n" (join "\n" $missing)) }}{{ end }}
{{- end }}

{{/* With a digest, the tag is left out: it would have no effect and could name another version. */}}
{{- define "rosey-operator.image" -}}
{{- include "rosey-operator.needImages" . }}
{{- $digest := .Values.image.digest }}
{{- if not (or $digest .Values.image.tag) }}{{ $digest = index (.Chart.Annotations | default dict) "rosey.dev/operator-digest" }}{{ end }}
{{- if $digest }}{{ printf "%s@%s" .Values.image.repository $digest }}
{{- else }}{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "rosey-operator.runtimeImage" -}}
{{- include "rosey-operator.needImages" . }}
{{- $image := .Values.runtime.image }}
{{- if regexMatch "[:@][^/]*$" $image }}{{ $image }}
{{- else }}{{ with index (.Chart.Annotations | default dict) "rosey.dev/rosey-digest" }}{{ printf "%s@%s" $image . }}
{{- else }}{{ printf "%s:%s" $image .Chart.AppVersion }}
{{- end }}{{ end }}
{{- end }}

{{/* Not empty if PodMonitors are to be installed. */}}
{{- define "rosey-operator.podMonitor" -}}
{{- $api := .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PodMonitor" }}
{{- if has .Values.monitoring.podMonitor (ternary (list "Auto" "Always") (list "Always") $api) }}yes{{ end }}
{{- end }}

{{/* OTEL_RESOURCE_ATTRIBUTES of the operator. Values are encoded as in a URL. */}}
{{- define "rosey-operator.resourceAttributes" -}}
{{- $own := dict "k8s.namespace.name" .Release.Namespace "k8s.deployment.name" (include "rosey-operator.name" .) "k8s.container.name" "operator" }}
{{- range $i, $key := keys $own .Values.telemetry.resourceAttributes | uniq | sortAlpha }}
{{- if $i }},{{ end }}{{ $key }}={{ get $own $key | default (get $.Values.telemetry.resourceAttributes $key) | urlquery | replace "+" "%20" }}
{{- end }}
{{- end }}

{{/* The Secrets that the operator mounts for traces, as a list of name and secret. */}}
{{- define "rosey-operator.telemetrySecrets" -}}
{{- with .Values.telemetry }}
{{- if and .endpoint .headersSecret }}
- {name: telemetry, secret: {{ .headersSecret | quote }}}
{{- end }}
{{- if and .endpoint .tlsSecret }}
- {name: telemetry-tls, secret: {{ .tlsSecret | quote }}}
{{- end }}
{{- end }}
{{- end }}
