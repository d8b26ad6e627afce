package config_test

import (
	"testing"

	"rosey.dev/rosey/runtime/config"
)

// Alerts count what uses one server, whatever it calls it.
func TestShortHost(t *testing.T) {
	for host, want := range map[string]string{
		"nats.films.svc.cluster.local":  "nats.films",
		"nats.films.svc.cluster.local.": "nats.films",
		"Nats.Films.svc":                "nats.films",
		"nats.films":                    "nats.films",
		"nats":                          "nats",
		"nats.svc":                      "nats.svc", // a namespace may have this name
		"pg.example.com":                "pg.example.com",
		"2001:db8::1":                   "2001:db8::1",
		"":                              "",
	} {
		if got := config.ShortHost(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
