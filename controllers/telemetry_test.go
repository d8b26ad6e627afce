package controllers

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// endpoint returns spec.telemetry with an endpoint and more fields.
func endpoint(url string, fields ...string) string {
	return with("telemetry: {endpoint: '" + url + "', " + strings.Join(fields, ", ") + "}")
}

func TestSchemaOfTelemetry(t *testing.T) {
	namespace := newNamespace(t)
	const (
		expectedURL   = "expected http:// or https://, host[:port] and an optional path"
		expectedRatio = "expected a decimal number from 0 to 1 with at most 6 digits"
		expectedKeys  = "expected keys of at most 100 characters: lower case words"
		alreadySet    = "expected none of the attributes that are set already"
	)
	// The error is "" where the API server accepts the spec.
	for name, test := range map[string]struct{ spec, want string }{
		"endpoint alone":    {endpoint("http://collector:4318"), ""},
		"no port":           {endpoint("https://collector.example"), ""},
		"IPv6":              {endpoint("http://[fd00::1]:4317", "protocol: grpc"), ""},
		"path":              {endpoint("https://otlp.example/otlp"), ""},
		"all":               {endpoint("https://c", "headersSecretRef: {name: h, key: k}", "tlsSecretRef: {name: t}"), ""},
		"never":             {endpoint("http://c", `samplingRatio: "0"`), ""},
		"always":            {endpoint("http://c", `samplingRatio: "1.0"`), ""},
		"one in a million":  {endpoint("http://c", `samplingRatio: "0.000001"`), ""},
		"attributes":        {endpoint("http://c", `resourceAttributes: {deployment.environment.name: "a = b, ö"}`), ""},
		"none":              {with("telemetry: {}"), "spec.telemetry.endpoint: Required value"},
		"scheme":            {endpoint("otlp://c:4317"), expectedURL},
		"no scheme":         {endpoint("c:4317"), expectedURL},
		"no host":           {endpoint("http://:4318"), expectedURL},
		"no brackets":       {endpoint("http://::1:4318"), expectedURL},
		"query":             {endpoint("http://c:4318/?api=k"), expectedURL},
		"port":              {endpoint("http://c:65536"), expectedURL},
		"password":          {endpoint("http://u:p@c:4318"), "expected no user or password in the URL"},
		"path of grpc":      {endpoint("http://c:4317/a", "protocol: grpc"), "endpoint: expected no path with protocol grpc"},
		"protocol":          {endpoint("http://c", "protocol: http/json"), `supported values: "http/protobuf", "grpc"`},
		"ratio as a number": {endpoint("http://c", "samplingRatio: 0.5"), "must be of type string"},
		"ratio above 1":     {endpoint("http://c", `samplingRatio: "1.01"`), expectedRatio},
		"ratio below 0":     {endpoint("http://c", `samplingRatio: "-0.1"`), expectedRatio},
		"ratio in percent":  {endpoint("http://c", "samplingRatio: 1%"), expectedRatio},
		"ratio too fine":    {endpoint("http://c", `samplingRatio: "0.0000001"`), "may not be more than 8"},
		"key":               {endpoint("http://c", "resourceAttributes: {Team: a}"), expectedKeys},
		"key of a list":     {endpoint("http://c", `resourceAttributes: {"a=b,c": a}`), expectedKeys},
		"long key":          {endpoint("http://c", "resourceAttributes: {"+strings.Repeat("k", 101)+": a}"), expectedKeys},
		"service.name":      {endpoint("http://c", "resourceAttributes: {service.name: a}"), alreadySet},
		"of Kubernetes":     {endpoint("http://c", "resourceAttributes: {k8s.pod.name: a}"), alreadySet},
		"two lines":         {endpoint("http://c", `resourceAttributes: {a: "a\nb"}`), "expected one line of text"},
		"21 attributes":     {endpoint("http://c", "resourceAttributes: {"+many(21)+"}"), "at most 20 items"},
		"no Secret":         {endpoint("http://c", "headersSecretRef: {}"), "headersSecretRef.name: Required value"},
	} {
		t.Run(name, func(t *testing.T) {
			checkSchema(t, manifest(t, namespace, "movienight", test.spec), test.want)
		})
	}
}

// A Secret that is missing must not keep the bot from the channel, and somebody has to learn of it.
func TestMissingHeadersOfTracesAreNoReasonNotToBeAvailable(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Telemetry = &v1alpha1.Telemetry{
		Endpoint: "https://collector:4318", HeadersSecretRef: &v1alpha1.SecretKeyRef{Name: "otlp"},
		TLSSecretRef: &v1alpha1.ObjectRef{Name: "otlp-ca"},
	}
	create(t, bot)
	rollOut(t, bot)
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	report := healthyReport(status.BotComponent)
	report.Telemetry = "headers file /var/run/rosey/telemetry/headers: it does not exist"
	newPod(t, bot, manifests.Bot, runningPod(startProcess(t, report).ip, true))
	waitExpected(t, bot, expected{
		v1alpha1.ConditionBotAvailable, "True", v1alpha1.ReasonAvailable, "a bot pod is ready; its traces cannot be sent: " +
			"Secret otlp, key headers: headers file /var/run/rosey/telemetry/headers: it does not exist",
	}, expected{v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady, "in "})
}

func TestProblemOfTracesNamesTheSecret(t *testing.T) {
	for problem, want := range map[string]string{
		"": "",
		"directory /var/run/rosey/telemetry-tls: ca.crt: file does not exist": "; its traces cannot be sent: Secret " +
			"otlp-ca: directory /var/run/rosey/telemetry-tls: ca.crt: file does not exist",
		"connection refused": "; its traces cannot be sent: connection refused",
	} {
		bot := newBot("films")
		bot.Spec.Telemetry = &v1alpha1.Telemetry{
			HeadersSecretRef: &v1alpha1.SecretKeyRef{Name: "otlp"}, TLSSecretRef: &v1alpha1.ObjectRef{Name: "otlp-ca"},
		}
		in := statusInput{bot: bot, observed: newObserved(), reports: map[string]probeResult{
			"bot": {report: status.Report{Telemetry: problem}},
		}}
		in.observed.pods[manifests.Bot] = []corev1.Pod{podOf("bot", 1, runningPod("10.0.0.1", true))}
		if got := tracesNote(in); got != want {
			t.Errorf("%q: %q, want %q", problem, got, want)
		}
	}
}
