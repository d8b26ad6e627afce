package config_test

import (
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/config"
)

func TestNATSURLs(t *testing.T) {
	for _, url := range []string{
		"nats://n", "nats://nats.nats.svc:4222", "tls://a,wss://b:443", "nats://[::1]:4222", "nats://[fd00::1]",
		"nats://1.2.3.4:1", "nats://a_b-c:65535/", " nats://a , nats://b ",
	} {
		if problem := config.NATSURLProblem(url); problem != "" {
			t.Errorf("%s: %s", url, problem)
		}
	}
	const form = "expected nats://, tls://, ws:// or wss:// and host[:port]"
	for url, want := range map[string]string{
		"nats://::1:4222":         `"nats://::1:4222", expected an IPv6 address in brackets: nats://[::1]:4222`,
		"nats://::1":              "in brackets: nats://[::1]",
		"tls://fd00::1:2:4222/":   "in brackets: tls://[fd00::1:2]:4222",
		"nats://n,nats://fe80::1": "in brackets: nats://[fe80::1]",
		"nats://[::1:4222":        form,
		"nats://[::1]4222":        form,
		"nats://[zz]:1":           form,
		"nats://[1.2.3.4]:1":      form,
		"nats://[:::]":            form,
		"nats://a:4222:4222":      `"nats://a:4222:4222", ` + form,
		"nats://a:":               form,
		"nats://a:0":              form,
		"nats://a:65536":          `"nats://a:65536", ` + form,
		"nats://a:x":              form,
		"nats:// a":               form,
		"nats://a b":              form,
		"nats://a nats://b":       form,
		"a:4222":                  form,
		"a":                       form,
		"http://a":                form,
		"NATS://a":                form,
		"nats:a":                  form,
		"nats://":                 form,
		"nats://a,":               form,
		"nats://a,,nats://b":      form,
		",nats://a":               form,
		"nats://u:hush@a":         "must not contain a user, a password",
		"nats://hush@a":           "must not contain a user, a password",
		"nats://a/hush":           "must not contain a user, a password, a path",
		"":                        "required",
	} {
		problem := config.NATSURLProblem(url)
		if !strings.Contains(problem, want) || strings.Contains(problem, "hush") {
			t.Errorf("%s: %q, want %s", url, problem, want)
		}
	}
}
