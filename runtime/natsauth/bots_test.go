package natsauth_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsauth"
)

const header = "apiVersion: rosey.dev/v1alpha1\nkind: RoseyBot\n"

func TestParseBots(t *testing.T) {
	bots, err := natsauth.ParseBots("bots.yaml", []byte(`# one by one
---
`+header+`metadata: {name: movienight}
spec:
  nats:
    subjectPrefix: movies
    credentialsSecretRef: {name: bot-login}
    jetStream: {mode: Always, replicas: 3, maxBytes: 2Mi, provisioning: Manual}
  database: {natsCredentialsSecretRef: {name: db-login}}
  web: {enabled: true, tokensSecretRef: {name: tokens}, natsCredentialsSecretRef: {name: web-login}}
  channel: {name: Movies}
  pluginHost: {natsCredentialsSecretRef: {name: plugins-login}}
  plugins:
  - {name: dice, builtin: dice}
  - {name: weather, image: example/weather, natsCredentialsSecretRef: {name: weather-login},
     grants: {events: [message], act: [{verb: playlist.add, rank: 2}]}}
--- # a list, as kubectl prints it
apiVersion: v1
kind: List
items:
- {apiVersion: rosey.dev/v1alpha1, kind: RoseyBot, metadata: {namespace: other, name: plain},
   spec: {web: {enabled: false}}, status: {}}
- {apiVersion: rosey.dev/v1alpha1, kind: RoseyBot, metadata: {name: lounge},
   spec: {database: {sharedFrom: {name: movienight}}, web: {enabled: true}}}
- {apiVersion: rosey.dev/v1alpha1, kind: RoseyBot, metadata: {name: alone}, spec: {mode: Direct}}
`), "films")
	if err != nil {
		t.Fatal(err)
	}
	want := []natsauth.Bot{
		{
			Namespace: "films", Name: "movienight", Prefix: "movies", JetStream: "always", Manual: true, Replicas: 3,
			MaxBytes: 2 << 20, BotSecret: "bot-login", ServiceSecret: "db-login",
			Web: &natsauth.Web{Secret: "web-login", Tokens: true},
			Plugins: []natsauth.PluginUser{
				{Name: "plugin-host", Secret: "plugins-login", Plugins: []natsauth.Plugin{{Channel: "Movies", Name: "dice"}}},
				{Name: "weather", Secret: "weather-login", Plugins: []natsauth.Plugin{{
					Channel: "Movies", Name: "weather", Grants: config.PluginGrants{
						Events: []string{"message"}, Act: []config.ActGrant{{Verb: "playlist.add", Rank: new(2.0)}},
					},
				}}},
			},
		},
		{
			Namespace: "other", Name: "plain", Prefix: "rosey_other_plain", JetStream: "auto", Replicas: 1,
			MaxBytes: 64 << 20,
		},
		{
			Namespace: "films", Name: "lounge", SharedFrom: "movienight", Prefix: "rosey_films_lounge", JetStream: "auto",
			Replicas: 1, MaxBytes: 64 << 20, Web: &natsauth.Web{},
		},
	}
	if diff := cmp.Diff(want, bots); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParseBotsNamesWhatIsWrong(t *testing.T) {
	named := header + "metadata: {name: a}\n"
	spec := func(text string) string { return named + "spec: {" + text + "}\n" }
	another := "---\n" + header + "metadata: {name: b}\n"
	for _, test := range [][2]string{
		{named + "---\nkind: Pod", `bots.yaml: document 2: kind: "Pod", expected`},
		{"a: [", "bots.yaml: document 1: "},
		{"kind: RoseyBot\nkind: List", "bots.yaml: document 1: "},
		{"kind: RoseyBot\napiVersion: v1\nmetadata: {name: a}", `apiVersion: "v1", expected rosey.dev/v1alpha1`},
		{header + "metadata: {name: A}", `RoseyBot A: metadata.name: "A"`},
		{header + "metadata: {name: ../../etc}", `metadata.name: "../../etc"`},
		{header + "metadata: {name: a, namespace: a/b}", `metadata.namespace: "a/b"`},
		{named + "spec: []", "document 1: expected a RoseyBot"},
		{spec("nats: {subjectPrefix: a.b}"), `spec.nats.subjectPrefix: `},
		{spec("nats: {credentialsSecretRef: {name: ../x}}"), `spec.nats.credentialsSecretRef.name: "../x"`},
		{
			spec("database: {natsCredentialsSecretRef: {name: ../x}}"),
			`spec.database.natsCredentialsSecretRef.name: "../x"`,
		},
		{
			spec("web: {enabled: true, natsCredentialsSecretRef: {name: ../x}}"),
			`spec.web.natsCredentialsSecretRef.name: "../x"`,
		},
		{spec("nats: {jetStream: {mode: Maybe}}"), `spec.nats.jetStream.mode: "Maybe"`},
		{spec("nats: {jetStream: {provisioning: me}}"), `jetStream.provisioning: "me"`},
		{spec("nats: {jetStream: {replicas: 9}}"), `jetStream.replicas: 9`},
		{spec("nats: {jetStream: {maxBytes: -1}}"), `jetStream.maxBytes: "-1"`},
		{spec("nats: {jetStream: {maxBytes: 9Ti}}"), `jetStream.maxBytes: "9Ti"`},
		{named + "---\n" + named, "films/a: it is there twice"},
		{
			spec("database: {sharedFrom: {name: b}}"),
			`RoseyBot films/a: spec.database.sharedFrom.name: "b", expected a RoseyBot of the file`,
		},
		{
			spec("database: {sharedFrom: {name: b}}") + another + "spec: {database: {sharedFrom: {name: a}}}",
			`"b" sets sharedFrom itself`,
		},
		{spec("channel: {name: a}, plugins: [{name: A}]"), `spec.plugins[0].name: "A", expected 1 to 30`},
		{spec("plugins: [{name: a}]"), `spec.plugins[0].channel: "", expected`},
		{spec("channel: {name: a}, plugins: [{name: a}, {name: a}]"), `spec.plugins[1].name: "a" is there twice`},
		{spec("channel: {name: a}, plugins: [" + strings.Repeat("{name: a},", 21) + "]"), "spec.plugins: 21, expected"},
		{spec("channel: {name: a}, plugins: [{name: a, grants: {events: ['>']}}]"), `grants.events: ">", expected`},
		{spec("channel: {name: a}, plugins: [{name: a, grants: {state: ['*']}}]"), `grants.state: "*", expected one`},
		{
			spec("channel: {name: a}, plugins: [{name: a, grants: {act: [{verb: ban}]}}]"),
			`grants.act.verb: "ban", expected one of playlist.add`,
		},
		{
			spec("channel: {name: a}, plugins: [{name: a, natsCredentialsSecretRef: {name: ../x}}]"),
			`spec.plugins[a].natsCredentialsSecretRef.name: "../x"`,
		},
		{
			spec("channel: {name: a}, plugins: [{name: a, natsCredentialsSecretRef: {name: x}}], " +
				"nats: {credentialsSecretRef: {name: x}}"), `"x", expected another Secret than those of bot`,
		},
		{
			spec("channel: {name: c}, plugins: [{name: x}]") + another +
				"spec: {channel: {name: C, server: 'https://b'}, plugins: [{name: z}], database: {sharedFrom: {name: a}}}",
			"films/a and films/b: both have plugins in a channel c",
		},
		{"kind: List\nitems: [{kind: Secret}]", `items[0]: kind: "Secret"`},
	} {
		content, want := test[0], test[1]
		bots, err := natsauth.ParseBots("bots.yaml", []byte(content), "films")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "bots.yaml: ") {
			t.Errorf("%q: %v, %v; want %q", content, bots, err, want)
		}
	}
}

func FuzzParseBots(f *testing.F) {
	f.Add([]byte(header + "metadata: {name: a}\n---\nkind: List\nitems: []"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bots, err := natsauth.ParseBots("bots.yaml", data, "films")
		if err != nil && bots != nil {
			t.Errorf("RoseyBots and an error: %v, %v", bots, err)
		}
	})
}
