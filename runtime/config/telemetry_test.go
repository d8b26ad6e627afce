package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

func TestParseTelemetry(t *testing.T) {
	const expectedURL = "telemetry.endpoint: "
	for name, test := range map[string]struct{ keys, want string }{
		"endpoint alone": {"endpoint: http://collector:4318", ""},
		"IPv6":           {"endpoint: 'http://[fd00::1]:4317', protocol: grpc", ""},
		"path":           {"endpoint: https://otlp.example/otlp/, protocol: http/protobuf", ""},
		"root path":      {"endpoint: https://otlp.example/, protocol: grpc", ""},
		"no endpoint":    {"samplingRatio: '0.25'", ""}, // OTEL_EXPORTER_OTLP_ENDPOINT may have it
		"attributes":     {"resourceAttributes: 'a.b=c%20d,e=,f=g=h'", ""},
		"no scheme":      {"endpoint: 'collector:4317'", expectedURL + `"collector:4317", expected http:// or https://`},
		"no address":     {"endpoint: 'http://[a:b]:4317'", expectedURL + `"http://[a:b]:4317", expected`},
		"password":       {"endpoint: 'http://u:pw@c:4317'", expectedURL + "a value that may contain a password"},
		"API key":        {"endpoint: 'http://c:4317/?key=pw'", expectedURL + "a value that may contain a password"},
		"path of grpc":   {"endpoint: http://c/a, protocol: grpc", expectedURL + "expected no path with telemetry.protocol"},
		"slashes":        {"endpoint: http://c//, protocol: grpc", expectedURL + "expected no path with telemetry.protocol"},
		"protocol":       {"protocol: http/json", `telemetry.protocol: "http/json", expected one of http/protobuf, grpc`},
		"a number":       {"samplingRatio: 0.5", "telemetry.samplingRatio: a number, expected text: put it in quotes"},
		"above 1":        {"samplingRatio: '1.5'", `telemetry.samplingRatio: "1.5", expected a decimal number from 0 to 1`},
		"percent":        {"samplingRatio: 1%", `telemetry.samplingRatio: "1%", expected a decimal number from 0 to 1`},
		"no value":       {"resourceAttributes: a", `telemetry.resourceAttributes: "a", expected key=value`},
		"wrong escape":   {"resourceAttributes: 'a=%zz'", "telemetry.resourceAttributes: a value that may contain"},
		"headers":        {"headers: 'authorization=pw'", "telemetry.headers: no such key: a password is read from the file"},
	} {
		document := full + "telemetry: {" + test.keys + "}\n"
		_, err := config.Parse([]byte(document), status.DatabaseComponent)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want %q", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}

func TestTelemetryAsValues(t *testing.T) {
	telemetry := config.Telemetry{SamplingRatio: "0.01", ResourceAttributes: "a.b=c%20%2C=d,e="}
	if ratio := telemetry.Ratio(); ratio == nil || *ratio != 0.01 {
		t.Errorf("the ratio is %v", ratio)
	}
	want := map[string]string{"a.b": "c ,=d", "e": ""}
	if diff := cmp.Diff(want, telemetry.Attributes()); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if none := (config.Telemetry{}); none.Ratio() != nil || len(none.Attributes()) > 0 {
		t.Errorf("without settings there are %v and %v", none.Ratio(), none.Attributes())
	}
}
