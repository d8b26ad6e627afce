package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/logtest"
)

var httpAddress = regexp.MustCompile(`"http":"(127\.0\.0\.1:\d+)"`)

// A program that is one plugin has a status, and uses the credentials that it finds, also when they change.
func TestAProgramThatIsAPlugin(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	p.Command(command("echo"), echo)
	p.Setting(plugin.Setting{Name: "a"})
	r := newRig(t, p, permitted(ownCalls, ownCancel, ownInbox, ownInfo))
	dir, settings := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "username"), "plugin")
	write(t, filepath.Join(dir, "password"), "wrong")
	var log logtest.Buffer
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- plugin.Execute(ctx, p, []string{
			"--nats", r.server.URL(), "--channel", channel, "--nats-credentials-dir", dir, "--plugin-settings", settings,
		}, &log, &log)
	}()
	report := func() (report status.Report) {
		found := httpAddress.FindStringSubmatch(log.String())
		if found == nil {
			return report
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+found[1]+"/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return report
		}
		defer func() { _ = response.Body.Close() }()
		if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
			t.Error(err)
		}
		return report
	}
	eventually(t, "the refused login", func() bool { return report().Reason == status.ReasonNATSRefused })
	write(t, filepath.Join(dir, "password"), "pw")
	eventually(t, "ready", func() bool { return report().Ready })
	if got := report(); got.Component != status.PluginComponent || len(got.Checks) != 2 || got.Version != "1" {
		t.Errorf("%+v", got)
	}
	r.next()
	if o := r.call("echo", "alice", "1"); len(o.Lines) != 1 {
		t.Errorf("%+v", o)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if bye := r.next(); bye != r.subjects.Bye() {
		t.Errorf("said %s", bye)
	}
	if strings.Contains(log.String(), "wrong") {
		t.Error("the log has the password")
	}
}

func TestFlagsOfAPlugin(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	run := func(arguments ...string) (out, problem string) {
		t.Helper()
		var log bytes.Buffer
		p := plugin.New("test", "1.2.3")
		p.Command(command("echo"), echo)
		if err := plugin.Execute(t.Context(), p, arguments, &log, &log); err != nil {
			problem = err.Error()
		}
		return log.String(), problem
	}
	if out, problem := run("--version"); out != "test 1.2.3\n" || problem != "" {
		t.Errorf("%q, %s", out, problem)
	}
	if out, problem := run("--help"); !strings.HasPrefix(out, "Run the plugin test ") || problem != "" ||
		!strings.Contains(out, "--nats-credentials-dir") || strings.Contains(out, "postgres") {
		t.Errorf("%q, %s", out, problem)
	}
	nats := "--nats=" + server.URL()
	for want, arguments := range map[string][]string{
		"channel.name: \"\", expected": {nats}, "nats.url: required": {"--channel=a"}, "unknown flag: --x": {"--x"},
		`"x": expected flags only`: {"x"}, `plugin.name (from --plugin-name): "A"`: {nats, "--channel=a", "--plugin-name=A"},
		"no such file":       {"--config=" + filepath.Join(t.TempDir(), "absent")},
		"listening for HTTP": {nats, "--channel=a", "--http=256.0.0.1:80"},
	} {
		if _, problem := run(arguments...); !strings.Contains(problem, want) {
			t.Errorf("%v: %q, want %q", arguments, problem, want)
		}
	}
	file := filepath.Join(t.TempDir(), "plugin.yaml")
	if err := os.WriteFile(file, []byte("channel: {name: a}\nplugin: {name: B}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, problem := run(nats, "--config="+file); !strings.Contains(problem, `plugin.name: "B"`) {
		t.Error(problem)
	}
}
