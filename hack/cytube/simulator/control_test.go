package simulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
)

func TestSocketConfig(t *testing.T) {
	t.Parallel()
	_, own := startSimulator(t, simulator.Options{})
	_, public := startSimulator(t, simulator.Options{PublicURL: "https://cytube.example/"})
	tests := map[string]struct {
		url    string
		status int
		body   string
	}{
		"host of the request": {
			own + "/socketconfig/movienight.json", http.StatusOK, `{"servers":[{"url":"` + own + `","secure":false}]}`,
		},
		"public URL": {
			public + "/socketconfig/movienight.json", http.StatusOK,
			`{"servers":[{"url":"https://cytube.example","secure":true}]}`,
		},
		"invalid name": {
			own + "/socketconfig/bad%20name!.json", http.StatusNotFound,
			`{"error":"Channel \"bad name!\" does not exist."}`,
		},
		"not JSON": {own + "/socketconfig/movienight", http.StatusNotFound, "404 page not found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if status, body := get(t, test.url); status != test.status || body != test.body {
				t.Errorf("got %d %s\nwant %d %s", status, body, test.status, test.body)
			}
		})
	}
}

// TestControl controls a channel through the API, as an end-to-end test does.
func TestControl(t *testing.T) {
	t.Parallel()
	_, url := startSimulator(t, simulator.Options{UsercountInterval: -1})
	channel := url + "/simulator/channels/movienight/"
	steps := []struct {
		method, path, body string
		status             int
		answer             string // contained in the response
	}{
		{"GET", "users", "", 200, `{"users":[],"connections":0}`},
		{"GET", "log", "", 200, `{"entries":[]}`},
		{"GET", "script", "", 200, `"state":"idle"`},
		{"POST", "join", `{"user":"alice"}`, 200, `{}`},
		{"POST", "join", `{"user":"alice"}`, 409, `name in use`},
		{"POST", "join", `{"user":"no blanks"}`, 400, `invalid name`},
		{"POST", "join", `{"name":"alice"}`, 400, `unknown field \"name\"`},
		{"POST", "say", `{"user":"alice","text":"a <b>"}`, 200, `"user":"alice","text":"a &lt;b&gt;"`},
		{"POST", "say", `{"user":"bob","text":"hi"}`, 404, `not in the channel's audience`},
		{"POST", "say", `nonsense`, 400, `expected a JSON object`},
		{"GET", "users", "", 200, `{"users":[{"name":"alice","rank":0}],"connections":1}`},
		{"GET", "log?kind=chat", "", 200, `{"entries":[{"seq":4,`},
		{"GET", "log?after=3", "", 200, `{"entries":[{"seq":4,`},
		{"GET", "log?after=4", "", 200, `{"entries":[]}`},
		{"GET", "log?after=x", "", 400, `expected a sequence number`},
		{"POST", "leave", `{"user":"alice"}`, 200, `{}`},
		{"POST", "leave", `{"user":"alice"}`, 404, `not in the channel's audience`},
		{"POST", "script", `{"seed":1}`, 400, `seconds: expected more than 0`},
		{"POST", "script", `{"seconds":600,"seed":5,"pace_ms":1}`, 200, `"state":"running","seed":5`},
		{"POST", "script", `{"seconds":600}`, 409, `a script is running already`},
		{"DELETE", "log", "", 405, ``},
	}
	for _, step := range steps {
		status, answer := call(t, step.method, channel+step.path, step.body)
		if status != step.status || !strings.Contains(answer, step.answer) {
			t.Fatalf("%s %s %s: got %d %s, expected %d with %s",
				step.method, step.path, step.body, status, answer, step.status, step.answer)
		}
	}
	if status, body := get(t, url+"/simulator/channels/bad%20name/users"); status != http.StatusBadRequest {
		t.Errorf("invalid channel name: got %d %s", status, body)
	}
	if status, body := get(t, url+"/healthz"); status != http.StatusOK || body != "ok" {
		t.Errorf("healthz: got %d %s", status, body)
	}
}

func TestScriptOverHTTP(t *testing.T) {
	t.Parallel()
	_, url := startSimulator(t, simulator.Options{})
	script := url + "/simulator/channels/movienight/script"
	if status, body := call(t, http.MethodPost, script, `{"seconds":0.2,"pace_ms":1}`); status != http.StatusOK {
		t.Fatalf("starting: %d %s", status, body)
	}
	deadline := time.Now().Add(waitLimit)
	for {
		var status simulator.ScriptStatus
		_, body := get(t, script)
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			t.Fatal(err)
		}
		if status.State == simulator.ScriptDone && status.Lines > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("script is not done: %s", body)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options simulator.Options
		message string
	}{
		"account name":  {simulator.Options{Accounts: []simulator.Account{{Name: "a b"}}}, `account name "a b"`},
		"account twice": {simulator.Options{Accounts: []simulator.Account{{Name: "a"}, {Name: "A"}}}, "given twice"},
		"channel name":  {simulator.Options{Channels: []simulator.ChannelOptions{{Name: ""}}}, `channel name ""`},
		"public URL":    {simulator.Options{PublicURL: "cytube.example"}, `public URL "cytube.example"`},
		"ping interval": {simulator.Options{PingInterval: -1}, "ping interval -1ns"},
		"limit":         {simulator.Options{Limits: simulator.Limits{Connections: -1}}, "none can be negative"},
		"flood limit": {
			simulator.Options{Limits: simulator.Limits{Queue: simulator.Flood{Burst: 1}}}, "queue limit: ",
		},
		"antiflood": {simulator.Options{Channels: []simulator.ChannelOptions{
			{Name: "films", ChatAntiflood: simulator.Flood{Burst: -1}},
		}}, "antiflood of channel films"},
	}
	for name, test := range tests {
		if _, err := simulator.New(test.options); err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: got error %v, expected it to name %s", name, err, test.message)
		}
	}
}
