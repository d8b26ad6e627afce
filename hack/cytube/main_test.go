package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/test/logtest"
)

const waitLimit = 30 * time.Second

var listening = regexp.MustCompile(`msg=listening url=(http://\S+)`)

// eventually polls until ready is true.
func eventually(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitLimit); !ready(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, waitLimit)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestRun starts the program with a script, waits for chat, and stops it as a signal would.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out logtest.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{
			"-listen", "127.0.0.1:0", "-script", "evening", "-channel", "films", "-pace", "1ms",
			"-account", "rosey:hunter2:3",
		}, &out)
	}()
	eventually(t, "listening", func() bool { return listening.MatchString(out.String()) })
	url := listening.FindStringSubmatch(out.String())[1]
	if got := get(t, url+"/healthz"); got != "ok\n" {
		t.Errorf("healthz: got %q", got)
	}
	eventually(t, "chat", func() bool {
		var log struct{ Entries []simulator.Entry }
		if err := json.Unmarshal([]byte(get(t, url+"/simulator/channels/films/log?kind=chat")), &log); err != nil {
			t.Fatal(err)
		}
		return len(log.Entries) > 3
	})
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(waitLimit):
		t.Fatal("did not end")
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error("a password is in the log")
	}
}

func TestAccountsFile(t *testing.T) {
	t.Parallel()
	want := []simulator.Account{
		{Name: "rosey", Password: "a:b", Rank: 3}, {Name: "owner", Password: "pw", Rank: 5},
		{Name: "half", Password: "pw", Rank: 1.5, ChannelRanks: map[string]float64{"films": 4}},
	}
	for name, text := range map[string]string{
		"accounts.yaml": "- {name: owner, password: pw, rank: 5}\n" +
			"- name: half\n  password: pw\n  rank: 1.5\n  channelRanks: {films: 4}\n",
		"accounts.json": `[{"name":"owner","password":"pw","rank":5},` +
			`{"name":"half","password":"pw","rank":1.5,"channelRanks":{"films":4}}]`,
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := parseFlags([]string{"-account", "rosey:a:b:3", "-accounts-file", file}, io.Discard)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, s.options.Accounts); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	own := simulator.CyTubeLimits()
	own.Connections, own.GuestLoginDelay = 3, time.Second
	tests := map[string]struct {
		args []string
		want simulator.Limits
	}{
		"as installed": {nil, simulator.CyTubeLimits()},
		"off":          {[]string{"-limits=false", "-connections=3"}, simulator.Limits{}},
		"some changed": {[]string{"-connections=3", "-guest-login-delay=1s"}, own},
	}
	for name, test := range tests {
		s, err := parseFlags(test.args, io.Discard)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, s.options.Limits); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "accounts.yaml")
	if err := os.WriteFile(broken, []byte("- {name: owner, pasword: hunter2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args    []string
		message string
	}{
		"account without rank":   {[]string{"-account", "rosey:hunter2"}, "flag -account, number 1: expected name"},
		"account with odd rank":  {[]string{"-account", "rosey:hunter2:x"}, "flag -account, number 1: rank: expected a"},
		"unknown script":         {[]string{"-script", "morning"}, `flag -script: expected "evening", got "morning"`},
		"stray argument":         {[]string{"movienight"}, `unexpected argument "movienight"`},
		"invalid channel":        {[]string{"-channel", "a b"}, `channel name "a b"`},
		"accounts file missing":  {[]string{"-accounts-file", "/does/not/exist"}, "flag -accounts-file: open /does/not/"},
		"accounts file misspelt": {[]string{"-accounts-file", broken}, `unknown field "pasword"`},
		"negative limit":         {[]string{"-connections=-1"}, "none can be negative"},
		"invalid address":        {[]string{"-listen", "127.0.0.1:99999"}, "listening on 127.0.0.1:99999"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out logtest.Buffer
			err := run(t.Context(), test.args, &out)
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("got error %v, expected %s", err, test.message)
			}
			if err != nil && strings.Contains(err.Error()+out.String(), "hunter2") {
				t.Error("the password is shown")
			}
		})
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: got error %v", err)
	}
}
