package admission

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/runtime/config"
)

func TestLimitsOfTheValues(t *testing.T) {
	needServer(t)
	const (
		digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		images = "spec.image: expected none, or registry.example/team/, registry.example/rosey@, " +
			"registry.example/rosey:v1, mirror.example:, rosey.example/rosey:0.1.0"
		plugins     = "spec.plugins.image: expected only registry.example/plugins/, registry.example/plugin"
		pluginRules = "spec.plugins.egress: expected none, or of these rules some: "
		hostRules   = "spec.pluginHost.egress: expected none, or of these rules some: "
		servers     = "spec.channel.server: expected only https://cytu.be, https://films.example:8443"
		natsServers = "spec.nats.url: expected only nats://nats.nats.svc:4222, nats://other:4222"
		receivers   = "spec.telemetry.endpoint: expected only http://collector.films.svc:4318, https://otlp.example/films"
		variables   = "spec.plugins.envFrom: expected a prefix that begins with " + config.PluginVariablePrefix
		environment = "spec.extraEnv: expected only the names TZ, TOKEN"
		context     = "spec.podSecurityContext: expected no root (runAsUser 0, runAsNonRoot false), no profile Unconfined"
		tolerations = "spec.scheduling.tolerations: expected only the keys films"
		egress      = `spec.networkPolicy.egress: expected networkPolicy.enabled true, and of these rules one or several: ` +
			`[{"ports":[{"port":53,"protocol":"UDP"}]},`
	)
	// The message is "" where the policy allows the fields.
	for _, test := range []struct{ fields, message string }{
		{"image: registry.example/team/any/rosey:v9", ""},
		{"image: registry.example/rosey@" + digest, ""},
		{"image: registry.example/team/rosey:v1@" + digest, ""},
		{"image: registry.example/rosey:v1", ""},
		{"image: rosey.example/rosey:0.1.0", ""},
		{"image: registry.example/rosey:v11", images},
		{"image: registry.example/rosey-other:v1", images},
		{"image: evil.example/registry.example/team/rosey", images},
		{"image: registry.example/team/", images},
		{"image: registry.example/team/../other/rosey", images},
		{"image: registry.example/team/./rosey", images},
		{"image: registry.example/team//other/rosey", images},
		{"image: registry.example/team/%2e%2e/other", images},
		{`image: registry.example/team/\x`, images},
		{"image: registry.example/team/rosey?x", images},
		{"image: registry.example/team/rosey#x", images},
		{"image: registry.example/team/Rosey", images},
		{"image: registry.example/team/-rosey", images},
		{"image: registry.example/team/rosey:v1:v2", images},
		{"image: registry.example/team/rosey:v1/../x", images},
		{"image: registry.example/team/rosey@sha256:0123", images},
		{"image: registry.example/team/rosey@" + digest + "/x", images},
		{`image: "registry.example/team/ro\u0455ey"`, images},
		{`image: "registry.example/team/rosey\u200b"`, images},
		{"image: Registry.example/team/rosey", images},
		{"image: registry.example.:443/team/rosey", images},
		{"image: registry.example.evil/team/rosey", images},
		{"image: registry.example:443/team/rosey", images},
		{"image: registry.example@evil/team/rosey", images},
		{"image: registry.example/teams/rosey", images},
		{"image: registry.example/rosey@../x", images},
		{"image: registry.example/rosey:v1@" + digest, images},
		{"image: https://registry.example/team/rosey", images},
		{"image: mirror.example:v2", ""},
		{"image: mirror.example:v2@" + digest, ""},
		{"image: mirror.example:5000/evil", images},
		{"image: mirror.example:5000/evil@" + digest, images},
		{"plugins: [{name: a, builtin: dice}, {name: b, image: registry.example/plugins/weather:v1}]", ""},
		{"plugins: [{name: a, image: registry.example/plugin}]", ""},
		{"plugins: [{name: a, builtin: dice}, {name: b, image: registry.example/team/rosey:v1}]", plugins},
		{"plugins: [{name: a, image: registry.example/plugins/../other}]", plugins},
		{"plugins: [{name: a, image: rosey.example/rosey:0.1.0}]", plugins},
		{"plugins: [{name: a, image: registry.example/plugin, egress: [{ports: [{port: 53, protocol: UDP}]}]}]", ""},
		{"plugins: [{name: a, image: registry.example/plugin, egress: [{}]}]", pluginRules},
		{"plugins: [{name: a, image: registry.example/plugin, envFrom: [{configMapRef: {name: a}}]}]", variables},
		{"plugins: [{name: a, image: registry.example/plugin, envFrom: [{secretRef: {name: a}}]}]", variables},
		{"plugins: [{name: a, image: registry.example/plugin, envFrom: [{secretRef: {name: a}, prefix: NODE_}]}]", variables},
		{
			"plugins: [{name: a, image: registry.example/plugin, envFrom: [{configMapRef: {name: a}, prefix: PLUGIN_A_}]}]", "",
		},
		{"pluginHost: {envFrom: [{configMapRef: {name: a}}]}", ""}, // the operator puts the prefix before these
		{"pluginHost: {egress: [{ports: [{port: 53, protocol: UDP}]}]}", ""},
		{"pluginHost: {egress: [{ports: [{port: 54, protocol: UDP}]}]}", hostRules},
		{`channel: {name: c, server: "https://films.example:8443"}`, ""},
		{`channel: {name: c, server: "https://Cytu.be"}`, ""},
		{`channel: {name: c, server: "http://cytu.be"}`, servers},
		{`channel: {name: c, server: "https://cytu.be.example"}`, servers},
		{`channel: {name: c, server: "https://cytu.be."}`, servers},
		{`channel: {name: c, server: "https://cytu.be:443"}`, servers},
		{`channel: {name: c, server: "https://cytu.be:8443"}`, servers},
		{`channel: {name: c, server: "https://films.example"}`, servers},
		{`channel: {name: c, server: "https://films.example:84430"}`, servers},
		{`channel: {name: c, server: "https://xn--cytu-be.example"}`, servers},
		{`nats: {url: "nats://other:4222, nats://NATS.nats.svc:4222"}`, ""},
		{`nats: {url: "nats://other:4222,nats://evil:4222"}`, natsServers},
		{`nats: {url: "nats://other:42220"}`, natsServers},
		{`nats: {url: "nats://other.:4222"}`, natsServers},
		{`nats: {url: "nats://other"}`, natsServers},
		{`nats: {url: "tls://other:4222"}`, natsServers},
		{`telemetry: {endpoint: "http://collector.films.svc:4318", samplingRatio: "0.1"}`, ""},
		{`telemetry: {endpoint: "https://otlp.example/films"}`, ""},
		{`telemetry: {endpoint: "https://otlp.example/Films"}`, receivers},
		{`telemetry: {endpoint: "https://otlp.example/films/other"}`, receivers},
		{`telemetry: {endpoint: "https://otlp.example"}`, receivers},
		{`telemetry: {endpoint: "http://collector.evil.svc:4318"}`, receivers},
		{`telemetry: {endpoint: "http://collector.films.svc:43180"}`, receivers},
		{"extraEnv: [{name: TZ, value: UTC}]", ""},
		{"extraEnv: [{name: TZ}, {name: ROSEY_CHANNEL_SERVER}]", environment},
		{"serviceAccountName: films", ""},
		{"serviceAccountName: default", "spec.serviceAccountName: expected only films"},
		{"scheduling: {priorityClassName: low}", ""},
		{
			"scheduling: {priorityClassName: system-node-critical}",
			"spec.scheduling.priorityClassName: expected only low",
		},
		{"database: {backup: {claimName: backups}}", ""},
		{"database: {backup: {every: 24h}}", ""},
		{"database: {backup: {claimName: payroll}}", "spec.database.backup.claimName: expected only backups"},
		{"scheduling: {tolerations: [{key: films}]}", ""},
		{"scheduling: {tolerations: [{key: films}, {key: other}]}", tolerations},
		{"scheduling: {tolerations: [{operator: Exists}]}", tolerations},
		{"podMetadata: {labels: {team: a}, annotations: {team: b}}", ""},
		{"podMetadata: {labels: {team: a, app: b}}", "spec.podMetadata.labels: expected only the keys team"},
		{"podMetadata: {annotations: {app: b}}", "spec.podMetadata.annotations: expected only the keys team"},
		{
			"plugins: [{name: a, image: registry.example/plugin, podMetadata: {labels: {team: a}, annotations: {team: b}}}]", "",
		},
		{
			"plugins: [{name: a, image: registry.example/plugin, podMetadata: {labels: {team: a, app: b}}}]",
			"spec.plugins.podMetadata.labels: expected only the keys team",
		},
		{
			"plugins: [{name: a, image: registry.example/plugin, podMetadata: {annotations: {app: b}}}]",
			"spec.plugins.podMetadata.annotations: expected only the keys team",
		},
		{"podSecurityContext: {}", ""},
		{"podSecurityContext: {runAsUser: 1000, fsGroup: 1000}", ""},
		{"podSecurityContext: {seLinuxOptions: {level: s0}}", ""},
		{"podSecurityContext: {seccompProfile: {type: Localhost}}", ""},
		{"podSecurityContext: {runAsUser: 0}", context},
		{"podSecurityContext: {runAsNonRoot: false}", context},
		{"podSecurityContext: {seccompProfile: {type: Unconfined}}", context},
		{"podSecurityContext: {appArmorProfile: {type: Unconfined}}", context},
		{"podSecurityContext: {sysctls: [{name: a, value: b}]}", context},
		{"podSecurityContext: {seLinuxOptions: {type: spc_t}}", context},
		{"podSecurityContext: {windowsOptions: {hostProcess: true}}", context},
		{"networkPolicy: {egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]}]}", ""},
		{"networkPolicy: {enabled: false}", egress},
		{"networkPolicy: {}", egress},
		{"networkPolicy: {egress: []}", egress},
		{"networkPolicy: {egress: [{}]}", egress},
		{"networkPolicy: {egress: [{ports: [{port: 53, protocol: UDP}]}, {}]}", egress},
		{"networkPolicy: {egress: [{ports: [{port: 54, protocol: UDP}]}]}", egress},
		{"networkPolicy: {egress: [{ports: [{port: \"53\", protocol: UDP}]}]}", egress},
	} {
		t.Run(test.fields, func(t *testing.T) {
			err := users["keeper"].client.Create(t.Context(), bot("new", spec(test.fields)), client.DryRunAll)
			if test.message == "" {
				allowed(t, err)
			} else {
				refused(t, err, test.message)
			}
		})
	}
	t.Run("no networkPolicy", func(t *testing.T) {
		content := spec("")
		delete(content, "networkPolicy")
		refused(t, users["keeper"].client.Create(t.Context(), bot("new", content), client.DryRunAll), egress)
	})
}
