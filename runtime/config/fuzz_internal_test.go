package config

import (
	"testing"

	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/status"
)

// FuzzParse parses any file without a panic, accepts none that lacks a required value, and accepts the
// configuration that it returned.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{channel: {server: "https://CyTu.be/", name: m, passwordFile: /c}, account: {username: Rosey, passwordFile: /a},
  nats: {url: "nats://a:4222,nats://b:4222", subjectPrefix: mine}, database: {sqlite: {path: /data/rosey.db}},
  http: {address: "127.0.0.1:9"}, logLevel: debug}`,
		"", "null", "[]", "a: &a [*a]", "{{a}}: b", "logLevel: *x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		loaded, err := Parse(data, status.BotComponent)
		if err != nil {
			return
		}
		if loaded.Channel.Name == "" || loaded.NATS.URL == "" || (loaded.Account != nil && loaded.Account.Username == "") {
			t.Errorf("accepted: %+v", loaded)
		}
		again, err := yaml.Marshal(loaded)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(again, status.BotComponent); err != nil {
			t.Errorf("the result is not accepted: %v\n%s", err, again)
		}
	})
}
