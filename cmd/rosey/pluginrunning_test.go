package main

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// TestRunningPluginsAreChecked checks a plugin that runs, one that does not, and one that is wrong in every way.
func TestRunningPluginsAreChecked(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := start(t, "plugin", "dice", "--nats", server.URL(), "--channel", "movienight")
	p.waitFor(status.ReasonReady)
	check := func(arguments ...string) (code int, out string) {
		t.Helper()
		code, stdout, stderr := call(t, append([]string{
			"plugin", "check", "--running", "--nats", server.URL(), "--channel", "movienight",
		}, arguments...)...)
		return code, stdout + stderr
	}
	if code, out := check("dice"); code != exit.Clean || !strings.Contains(out, "ok  dice  answers pings") ||
		strings.Contains(out, "roll") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out := check("--call", "dice"); code != exit.Clean || !strings.Contains(out, "ok  dice  roll") {
		t.Errorf("with calls: exit code %d: %s", code, out)
	}
	const nobody = "nobody answers as rosey_movienight_quotes"
	if code, out := check("quotes"); code != exit.Failure || !strings.Contains(out, nobody) {
		t.Errorf("a plugin that does not run: exit code %d: %s", code, out)
	}
	offersWrong(t, server)
	code, out := check("--call", "wrong")
	for _, want := range []string{
		"FAILED  wrong  answers pings", "FAILED  wrong  offers what can be used", "FAILED  wrong  deaf",
		"nobody has subscribed", "FAILED  wrong  slash", `does not begin with "/"`, "ok  wrong  usage", "wrong arguments: no",
	} {
		if code != exit.Failure || !strings.Contains(out, want) {
			t.Errorf("exit code %d, without %q: %s", code, want, out)
		}
	}
	code, _, stderr := call(t, "plugin", "check", "--call")
	if code != exit.Usage || !strings.Contains(stderr, "--running") {
		t.Errorf("--call alone: exit code %d: %s", code, stderr)
	}
}

// offersWrong is a plugin whose commands are wrong, each in another way, and which does not answer pings.
func offersWrong(t *testing.T, server *natstest.Server) {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	own, err := subjects.Plugin("movienight", "wrong")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := func(name, declared string) micro.EndpointInfo {
		return micro.EndpointInfo{
			Name: name, Subject: own.Call(name), Metadata: map[string]string{bus.CommandMetadata: declared}}
	}
	info, err := bus.Encode(micro.Info{
		Type:            micro.InfoResponseType,
		ServiceIdentity: micro.ServiceIdentity{Name: own.ServiceName(), ID: "one", Version: "1.0.0"},
		Endpoints: []micro.EndpointInfo{
			endpoint("deaf", `{"name":"deaf","examples":["deaf"]}`), endpoint("slash", `{"name":"slash","examples":["slash"]}`),
			endpoint("usage", `{"name":"usage","examples":["usage x"]}`), endpoint("broken", `{`),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	for subject, reply := range map[string]*nats.Msg{
		"$SRV.INFO." + own.ServiceName(): {Data: info},
		own.Call("slash"):                {Data: []byte(`{"lines":["/kick alice"]}`)},
		own.Call("usage"):                {Header: nats.Header{micro.ErrorCodeHeader: {"400"}, micro.ErrorHeader: {"no"}}},
	} {
		if _, err := client.Subscribe(subject, func(m *nats.Msg) { _ = m.RespondMsg(reply) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
}
