package telemetry_test

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/test/logtest"
)

func TestInvalidSettingsAreNamed(t *testing.T) {
	huge := filepath.Join(t.TempDir(), "huge")
	if err := os.WriteFile(huge, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	const endpoint = "http://127.0.0.1:1"
	at := func(url string) telemetry.Settings { return telemetry.Settings{Endpoint: url} }
	ratio := func(r float64) telemetry.Settings { return telemetry.Settings{Endpoint: endpoint, SamplingRatio: &r} }
	for name, test := range map[string]struct {
		settings telemetry.Settings
		env      map[string]string
		want     string
	}{
		"scheme":       {settings: at("ftp://x"), want: "telemetry.endpoint: expected the URL"},
		"no URL":       {settings: at("collector:4317"), want: "telemetry.endpoint: expected"},
		"password":     {settings: at("http://u:hidden@x"), want: "telemetry.endpoint: expected a URL w"},
		"query":        {settings: at("http://x?a=b"), want: "telemetry.endpoint: expected a URL w"},
		"protocol":     {settings: telemetry.Settings{Endpoint: endpoint, Protocol: "udp"}, want: "telemetry.protocol: "},
		"ratio":        {settings: ratio(1.5), want: "telemetry.samplingRatio: 1.5"},
		"no ratio":     {settings: ratio(math.NaN()), want: "telemetry.samplingRatio: NaN"},
		"env endpoint": {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "x"}, want: "OTEL_EXPORTER_OTLP_ENDPOINT: "},
		"env protocol": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
			want: "OTEL_EXPORTER_OTLP_PROTOCOL: ",
		},
		"env sampler": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "some"},
			want: "OTEL_TRACES_SAMPLER: ",
		},
		"env ratio": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER_ARG": "2"},
			want: "OTEL_TRACES_SAMPLER_ARG: ",
		},
		"env timeout": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "10s"},
			want: "OTEL_EXPORTER_OTLP_TIMEOUT: ",
		},
		"env queue": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_MAX_QUEUE_SIZE": "0"},
			want: "OTEL_BSP_MAX_QUEUE_SIZE: ",
		},
		"env attributes": {
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_RESOURCE_ATTRIBUTES": "a"},
			want: "OTEL_RESOURCE_ATTRIBUTES: ",
		},
		"env header without =": {
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_HEADERS": "a=b,Authorization Bearer hidden",
			},
			want: "OTEL_EXPORTER_OTLP_HEADERS: pair 2: ",
		},
		"env header with a bad escape": {
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=100%hidden",
			},
			want: "OTEL_EXPORTER_OTLP_TRACES_HEADERS: pair 1: ",
		},
		"env header with a bad name": {
			settings: at(endpoint), env: map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "hidden name=a"},
			want: "OTEL_EXPORTER_OTLP_HEADERS: pair 1: ",
		},
		"env endpoint that is not used": {
			settings: at(endpoint), env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:hidden@x:port"},
			want: "OTEL_EXPORTER_OTLP_ENDPOINT: expected",
		},
		"env endpoint behind that of traces": {
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:hidden@x",
			},
			want: "OTEL_EXPORTER_OTLP_ENDPOINT: expected",
		},
		"env CA": {
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere",
			},
			want: "OTEL_EXPORTER_OTLP_CERTIFICATE: ",
		},
		"env CA without an end": {
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": huge,
			},
			want: "OTEL_EXPORTER_OTLP_CERTIFICATE: " + huge + ": expected at most",
		},
		"env certificate without an end": {
			env: map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": huge,
				"OTEL_EXPORTER_OTLP_CLIENT_KEY": huge,
			},
			want: "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and its key: " + huge + ": expected at most",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			var output logtest.Buffer
			provider, err := telemetry.Setup(telemetry.Options{
				Settings: test.settings, Log: slog.New(slog.NewTextHandler(&output, nil)), Registerer: prometheus.NewRegistry(),
			})
			provider.Shutdown(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("error %v, want %q without a secret", err, test.want)
			}
			if strings.Contains(output.String(), "hidden") {
				t.Errorf("the log has the secret: %s", output.String())
			}
		})
	}
}
