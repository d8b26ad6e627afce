package chart

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/runtime/config"
)

// Without an endpoint the operator sends no traces, whatever the other values are.
func TestNoTracesWithoutAnEndpoint(t *testing.T) {
	pod := deployment(t, render(t, "--set", "telemetry.headersSecret=otlp,telemetry.tlsSecret=ca")).Spec.Template.Spec
	for _, variable := range pod.Containers[0].Env {
		if strings.HasPrefix(variable.Name, "OTEL_") {
			t.Errorf("variable %s", variable.Name)
		}
	}
	if len(pod.Volumes) > 0 {
		t.Errorf("volumes are %v", pod.Volumes)
	}
}

func TestTracesOfTheOperator(t *testing.T) {
	all := render(t, "--set", "telemetry.endpoint=https://c:4317,telemetry.protocol=grpc,telemetry.samplingRatio=0.01",
		"--set", "telemetry.headersSecret=otlp,telemetry.tlsSecret=otlp-ca",
		"--set", `telemetry.resourceAttributes.deployment\.environment\.name=a b+c\,d`)
	pod := deployment(t, all).Spec.Template.Spec
	got := map[string]string{}
	for _, variable := range pod.Containers[0].Env {
		if strings.HasPrefix(variable.Name, "OTEL_") {
			got[variable.Name] = variable.Value
		}
	}
	for _, mounted := range pod.Containers[0].VolumeMounts {
		i := slices.IndexFunc(pod.Volumes, func(one corev1.Volume) bool { return one.Name == mounted.Name })
		secret := pod.Volumes[i].Secret
		got[mounted.MountPath] = secret.SecretName
		if !mounted.ReadOnly || mounted.SubPath != "" || !ptr.Deref(secret.Optional, false) {
			t.Errorf("%v of %v: expected an optional Secret, mounted read-only as a directory", mounted, secret)
		}
	}
	want := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
		"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01",
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=a%20b%2Bc%2Cd,k8s.container.name=operator," +
			"k8s.deployment.name=rosey-operator,k8s.namespace.name=rosey-system",
		config.TelemetrySecretDir: "otlp", config.TelemetryTLSDir: "otlp-ca",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, argument := range []string{
		"--telemetry-headers-file=" + path.Join(config.TelemetrySecretDir, config.TelemetryHeadersFile),
		"--telemetry-tls-dir=" + config.TelemetryTLSDir,
	} {
		if !slices.Contains(arguments(t, all), argument) {
			t.Errorf("arguments are %v, want %s", arguments(t, all), argument)
		}
	}
}
