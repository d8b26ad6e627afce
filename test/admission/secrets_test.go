package admission

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/test/apiservertest"
)

// refused fails the test unless the error is the policy's, with this text.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %q", err, want)
	}
}

func allowed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("refused: %v", err)
	}
}

func needServer(t *testing.T) {
	t.Helper()
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
}

// Without the policy, everybody who may create RoseyBots reads every Secret of the namespace.
func TestSecretIsNamedOnlyByWhoMayGetIt(t *testing.T) {
	needServer(t)
	const receiver = `telemetry: {endpoint: "https://otlp.example/films", `
	for field, text := range map[string]string{
		"account.passwordSecretRef":         "account: {username: R, passwordSecretRef: {name: SECRET}}",
		"channel.passwordSecretRef":         "channel: {name: c, passwordSecretRef: {name: SECRET, key: k}}",
		"nats.credentialsSecretRef":         `nats: {url: "nats://other:4222", credentialsSecretRef: {name: SECRET}}`,
		"nats.tlsSecretRef":                 `nats: {url: "nats://other:4222", tlsSecretRef: {name: SECRET}}`,
		"database.postgres.urlSecretRef":    "database: {postgres: {urlSecretRef: {name: SECRET}}}",
		"database.natsCredentialsSecretRef": "database: {natsCredentialsSecretRef: {name: SECRET}}",
		"telemetry.headersSecretRef":        receiver + "headersSecretRef: {name: SECRET}}",
		"telemetry.tlsSecretRef":            receiver + "tlsSecretRef: {name: SECRET}}",
		"web.tokensSecretRef":               "web: {enabled: true, tokensSecretRef: {name: SECRET}}",
		"web.natsCredentialsSecretRef":      "web: {public: true, natsCredentialsSecretRef: {name: SECRET}}",

		"pluginHost.natsCredentialsSecretRef": "pluginHost: {natsCredentialsSecretRef: {name: SECRET}}",
	} {
		t.Run(field, func(t *testing.T) {
			create := func(user, secret string) error {
				object := bot("new", spec(strings.ReplaceAll(text, "SECRET", secret)))
				return users[user].client.Create(t.Context(), object, client.DryRunAll)
			}
			refused(t, create("author", "mine"), "spec."+field+": expected a Secret that author may get, not mine")
			refused(t, create("holder", "other"), "spec."+field+": expected a Secret that holder may get, not other")
			allowed(t, create("holder", "mine"))
			allowed(t, create("keeper", "other"))
		})
	}
}

// A list of Secrets would need more checks than one expression may make, and a shared RoseyBot has Secrets of its own.
func TestListsOfSecretsNeedAllSecrets(t *testing.T) {
	needServer(t)
	const variable = "extraEnv: [{name: TOKEN, valueFrom: {secretKeyRef: {name: mine, key: k}}}]"
	for field, fields := range map[string]map[string]any{
		"imagePullSecrets": spec("imagePullSecrets: [{name: mine}]"),
		"extraEnv":         spec(variable),

		"plugins.natsCredentialsSecretRef": spec(
			"plugins: [{name: a, image: registry.example/plugin, natsCredentialsSecretRef: {name: mine}}]"),
		"plugins.envFrom": spec(
			"plugins: [{name: a, image: registry.example/plugin, envFrom: [{secretRef: {name: mine}, prefix: PLUGIN_}]}]"),
		"pluginHost.envFrom": spec("pluginHost: {envFrom: [{secretRef: {name: mine}}]}"),
		"database.sharedFrom": func() map[string]any {
			content := spec("database: {sharedFrom: {name: first}}")
			delete(content, "nats")
			return content
		}(),
	} {
		t.Run(field, func(t *testing.T) {
			for _, user := range []string{"author", "holder"} {
				err := users[user].client.Create(t.Context(), bot("new", fields), client.DryRunAll)
				refused(t, err, "spec."+field+": expected no ")
				refused(t, err, "unless the user may get all Secrets of the namespace, which "+user+" may not")
			}
			allowed(t, users["keeper"].client.Create(t.Context(), bot("new", fields), client.DryRunAll))
		})
	}
}

// update changes a RoseyBot as a user, without storing the change.
func update(t *testing.T, user string, live *unstructured.Unstructured, fields string) error {
	t.Helper()
	changed := live.DeepCopy()
	for name, value := range spec(fields) {
		if err := unstructured.SetNestedField(changed.Object, value, "spec", name); err != nil {
			t.Fatal(err)
		}
	}
	return users[user].client.Update(t.Context(), changed, client.DryRunAll)
}

// Somebody who may not get the Secrets of a RoseyBot can still scale it, and cannot have them sent elsewhere.
func TestWhoMayNotGetASecretCannotChangeWhereItGoes(t *testing.T) {
	needServer(t)
	const secrets = `
account: {username: R, passwordSecretRef: {name: other}}
nats: {url: "nats://nats.nats.svc:4222", tlsSecretRef: {name: other}}
imagePullSecrets: [{name: other}]
database: {postgres: {urlSecretRef: {name: other}}}
web: {enabled: true, tokensSecretRef: {name: other}, natsCredentialsSecretRef: {name: other}}
`
	live := bot("live", spec(secrets))
	if err := users["keeper"].client.Create(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	for _, fields := range []string{"replicas: 2", "channel: {name: second}", "suspend: true", "resources: {}"} {
		allowed(t, update(t, "author", live, secrets+fields))
	}
	relabeled := live.DeepCopy()
	relabeled.SetLabels(map[string]string{"team": "films"})
	allowed(t, users["author"].client.Update(t.Context(), relabeled, client.DryRunAll))
	for name, fields := range map[string]string{
		"another image":       "image: registry.example/team/rosey:v1",
		"another server":      `channel: {name: movienight, server: "https://films.example:8443"}`,
		"another NATS server": `nats: {url: "nats://other:4222", tlsSecretRef: {name: other}}`,
		"no TLS":              `nats: {url: "nats://nats.nats.svc:4222"}`,
		"a variable":          "extraEnv: [{name: TZ, value: UTC}]",
		"an annotation":       "podMetadata: {annotations: {team: films}}",
		"a label":             "podMetadata: {labels: {team: films}}",
	} {
		t.Run(name, func(t *testing.T) {
			err := update(t, "author", live, secrets+fields)
			refused(t, err, "expected a Secret that author may get, not other")
			allowed(t, update(t, "keeper", live, secrets+fields))
		})
	}
	t.Run("headers of traces", func(t *testing.T) {
		const headers = `telemetry: {endpoint: "https://otlp.example/films", headersSecretRef: {name: other}}` + "\n"
		traced := bot("traced", spec(headers))
		if err := users["keeper"].client.Create(t.Context(), traced); err != nil {
			t.Fatal(err)
		}
		allowed(t, update(t, "author", traced, strings.Replace(headers, ", head", `, samplingRatio: "0.1", head`, 1)))
		elsewhere := strings.Replace(headers, "https://otlp.example/films", "http://collector.films.svc:4318", 1)
		err := update(t, "author", traced, elsewhere)
		refused(t, err, "spec.telemetry.headersSecretRef: expected a Secret that author may get, not other")
		allowed(t, update(t, "keeper", traced, elsewhere))
		// The Secrets of other fields are not in traces.
		allowed(t, update(t, "author", live, secrets+`telemetry: {endpoint: "http://collector.films.svc:4318"}`))
	})
	t.Run("of plugins", func(t *testing.T) {
		const plugin = "plugins: [{name: a, image: registry.example/plugin, config: {url: a}, " +
			"envFrom: [{secretRef: {name: other}, prefix: PLUGIN_}]}]\n"
		plugged := bot("plugged", spec(plugin))
		if err := users["keeper"].client.Create(t.Context(), plugged); err != nil {
			t.Fatal(err)
		}
		allowed(t, update(t, "author", plugged, plugin+"replicas: 0"))
		for _, fields := range []string{
			strings.Replace(plugin, "url: a", "url: b", 1), strings.Replace(plugin, "name: other", "name: mine", 1),
			plugin + `nats: {url: "nats://other:4222"}`,
		} {
			err := update(t, "author", plugged, fields)
			refused(t, err, "spec.plugins.envFrom: expected no Secret, unless the user may get all Secrets of the namespace")
			allowed(t, update(t, "keeper", plugged, fields))
		}
	})
	t.Run("another image is pulled", func(t *testing.T) {
		plugin := func(image string) string {
			return secrets + "plugins: [{name: a, image: registry.example/" + image + ", replicas: 1}]\n"
		}
		pulled := bot("pulled", spec(plugin("plugin")))
		if err := users["keeper"].client.Create(t.Context(), pulled); err != nil {
			t.Fatal(err)
		}
		allowed(t, update(t, "author", pulled, strings.Replace(plugin("plugin"), "replicas: 1", "replicas: 2", 1)))
		allowed(t, update(t, "author", pulled, secrets+"plugins: [{name: dice, builtin: dice}]"))
		err := update(t, "author", pulled, plugin("plugins/private"))
		refused(t, err, "spec.imagePullSecrets: expected no Secret, unless the user may get all Secrets of the namespace")
		allowed(t, update(t, "keeper", pulled, plugin("plugins/private")))
	})
	t.Run("of a shared RoseyBot", func(t *testing.T) {
		content := spec("database: {sharedFrom: {name: live}}")
		delete(content, "nats")
		sharer := bot("sharer", content)
		if err := users["keeper"].client.Create(t.Context(), sharer); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]any{"image": "rosey.example/rosey:0.1.0", "replicas": int64(0)} {
			changed := sharer.DeepCopy()
			if err := unstructured.SetNestedField(changed.Object, value, "spec", name); err != nil {
				t.Fatal(err)
			}
			if err := users["holder"].client.Update(t.Context(), changed, client.DryRunAll); name == "image" {
				refused(t, err, "spec.database.sharedFrom: expected no RoseyBot, unless")
			} else {
				allowed(t, err)
			}
		}
	})
	t.Run("another key", func(t *testing.T) {
		fields := strings.Replace(secrets, "name: other", "name: other, key: second", 1)
		err := update(t, "holder", live, fields)
		refused(t, err, "spec.account.passwordSecretRef: expected a Secret that holder may get, not other")
	})
}

// A variable can say where a process sends its credentials. Who may change ConfigMaps, and get no Secret, had those of
// the built-in plugins and of telemetry sent to a server of their own.
func TestEnvironmentOfTheBuiltinPluginsCannotSendCredentialsElsewhere(t *testing.T) {
	needServer(t)
	const (
		variables = "envFrom: [{configMapRef: {name: map}}]"
		plugins   = "plugins: [{name: dice, builtin: dice, config: {maxDice: '20'}}]\n"
		telemetry = `telemetry: {endpoint: "https://otlp.example/films", headersSecretRef: {name: other}}` + "\n"
	)
	for _, test := range []struct {
		field, before, after string
		ofPlugins            bool
	}{
		{
			"pluginHost.natsCredentialsSecretRef", "pluginHost: {natsCredentialsSecretRef: {name: other}}\n",
			"pluginHost: {natsCredentialsSecretRef: {name: other}, " + variables + "}\n", true,
		},
		{"telemetry.headersSecretRef", telemetry, telemetry + "pluginHost: {" + variables + "}\n", false},
	} {
		t.Run(test.field, func(t *testing.T) {
			live := bot(strings.ToLower(strings.ReplaceAll(test.field, ".", "-")), spec(plugins+test.before))
			if err := users["keeper"].client.Create(t.Context(), live); err != nil {
				t.Fatal(err)
			}
			message := "spec." + test.field + ": expected a Secret that author may get, not other"
			allowed(t, update(t, "author", live, plugins+test.before+"replicas: 0"))
			refused(t, update(t, "author", live, plugins+test.after), message)
			allowed(t, update(t, "keeper", live, plugins+test.after))
			others := strings.Replace(plugins, "20", "30", 1) + test.before
			if test.ofPlugins {
				refused(t, update(t, "author", live, others), message)
			} else {
				allowed(t, update(t, "author", live, others)) // no plugin decides where traces go
			}
		})
	}
}
