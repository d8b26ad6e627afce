package chart

import (
	"strings"
	"testing"

	"rosey.dev/rosey/test/apiservertest"
)

// openPolicy are the values of a policy without any limit.
const openPolicy = "admissionPolicy.enabled=true,admissionPolicy.secretsNeedGet=false," +
	"admissionPolicy.restrictSecurityContext=false,admissionPolicy.images={*},admissionPolicy.pluginImages={*}," +
	"admissionPolicy.servers={*}," +
	"admissionPolicy.environment={*},admissionPolicy.serviceAccounts={*},admissionPolicy.priorityClasses={*}," +
	"admissionPolicy.backupClaims={*}," +
	"admissionPolicy.tolerations={*},admissionPolicy.labels={*},admissionPolicy.annotations={*}"

const disabledUnknown = "monitoring.rules.enabled=true,monitoring.rules.disabled={RoseyNothing}"

func TestInvalidValuesAreRejected(t *testing.T) {
	needTools(t)
	for value, want := range map[string]string{
		"replica=2":                            "at '': additional properties 'replica' not allowed",
		"runtime.imag=x":                       "at '/runtime': additional properties 'imag' not allowed",
		"crds.instal=true":                     "at '/crds': additional properties 'instal' not allowed",
		"logLevel=loud":                        "at '/logLevel': value must be one of 'debug', 'info', 'warn', 'error'",
		"watchNamespaces={a,a}":                "at '/watchNamespaces': items at 0 and 1 are equal",
		"watchNamespaces={A}":                  "at '/watchNamespaces/0': 'A' does not match pattern",
		"cytube.connections=0":                 "at '/cytube/connections': minimum: got 0, want 1",
		"cytube.servers.a=5":                   "'a' does not match pattern '^https?://",
		"replicas=-1":                          "at '/replicas': minimum: got -1, want 0",
		"image.digest=sha256:12":               "at '/image/digest': 'sha256:12' does not match pattern",
		"image.repository=UP":                  "at '/image/repository': 'UP' does not match pattern",
		"monitoring.podMonitor=yes":            "at '/monitoring/podMonitor': value must be one of 'Auto', 'Always', 'Never'",
		"monitoring.runbookURL=wiki":           "at '/monitoring/runbookURL': 'wiki' does not match pattern",
		"monitoring.rules.labels.a-b=x":        "'a-b' does not match pattern '^[A-Za-z_]",
		disabledUnknown:                        "monitoring.rules.disabled: there is no alert RoseyNothing, only Rosey",
		"podLabels.a=1":                        "at '/podLabels/a': got number, want string",
		"tolerations[0].efect=NoSchedule":      "at '/tolerations/0': additional properties 'efect' not allowed",
		"affinity.node.x=y":                    "at '/affinity': additional properties 'node' not allowed",
		"resources.limit.cpu=1":                "at '/resources': additional properties 'limit' not allowed",
		"admissionPolicy.image={x}":            "at '/admissionPolicy': additional properties 'image' not allowed",
		"admissionPolicy.servers={cytu.be}":    "at '/admissionPolicy/servers/0': 'cytu.be' does not match pattern",
		"admissionPolicy.servers={http://u@b}": "at '/admissionPolicy/servers/0'",
		"admissionPolicy.natsServers={nats:A}": "at '/admissionPolicy/natsServers/0'",
		"admissionPolicy.images={x/*}":         "at '/admissionPolicy/images/0'",
		"admissionPolicy.images={/}":           "at '/admissionPolicy/images/0'",
		"admissionPolicy.egress={all}":         "at '/admissionPolicy/egress/0'",
		openPolicy:                             "admissionPolicy: every limit is off",
		"imagePullSecrets={x}":                 "at '/imagePullSecrets/0': got string, want object",
		"automaticUpdates.maxConcurrent=0":     "at '/automaticUpdates/maxConcurrent': minimum: got 0, want 1",
		"automaticUpdates.deadline=10":         "at '/automaticUpdates/deadline': got number, want string",
		// The operator would end with these each time that it starts.
		"automaticUpdates.deadline=0h0s":     "at '/automaticUpdates/deadline': '0h0s' does not match pattern",
		"automaticUpdates.deadline=9999999h": "at '/automaticUpdates/deadline': '9999999h' does not match pattern",
		"networkPolicy.metricsFrom=a/b/c=d":  "at '/networkPolicy/metricsFrom': 'a/b/c=d' does not match pattern",
		"networkPolicy.metricsFrom=a=-b":     "at '/networkPolicy/metricsFrom': 'a=-b' does not match pattern",

		"admissionPolicy.telemetryEndpoints={http://u:p@c}": "at '/admissionPolicy/telemetryEndpoints/0'",
		"telemetry.endpoint=c:4317":                         "at '/telemetry/endpoint': 'c:4317' does not match pattern",
		"telemetry.protocol=http":                           "at '/telemetry/protocol': value must be one of",
		"telemetry.samplingRatio=1%":                        "at '/telemetry/samplingRatio': '1%' does not match pattern",
		"telemetry.samplingRatio=2":                         "at '/telemetry/samplingRatio': maximum: got 2, want 1",
		"telemetry.headersSecret=A/b":                       "at '/telemetry/headersSecret': 'A/b' does not match pattern",
		"telemetry.resourceAttributes.Team=a":               "invalid propertyName 'Team'",
		`telemetry.resourceAttributes.service\.name=a`:      "invalid propertyName 'service.name'",
		"telemetry.endpoint=http://c:65536":                 "at '/telemetry/endpoint': 'http://c:65536' does not match",

		"telemetry.endpoint=http://c/a,telemetry.protocol=grpc": "at '/telemetry/endpoint': 'http://c/a' does not match",
	} {
		t.Run(value, func(t *testing.T) {
			_, err := apiservertest.RenderChart(t.Context(), "--set", value)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %q", err, want)
			}
		})
	}
}
