package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// notifications are the alerts that a receiver was notified of, by receiver.
type notifications struct {
	mu    sync.Mutex
	names map[string][]string
}

func (n *notifications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Receiver string
		Alerts   []struct{ Labels map[string]string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, alert := range body.Alerts {
		n.names[body.Receiver] = append(n.names[body.Receiver], alert.Labels["alertname"])
	}
}

func (n *notifications) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprint(n.names)
}

// With the configuration of docs/observability.md, a NATS server that is away with 200 RoseyBots is one notification,
// and hides no other cause.
func TestOneCauseIsOneNotification(t *testing.T) {
	program := prometheusProgram(t, "alertmanager")
	if _, err := os.Stat("/usr/share/prometheus/alertmanager/default.tmpl"); err != nil {
		t.Skip(err) // make test installs it, if it runs as root
	}
	got := &notifications{names: map[string][]string{}}
	receiver := httptest.NewServer(got)
	t.Cleanup(receiver.Close)
	address := startAlertmanager(t, program, receiver.URL)

	const nats = "nats://one:4222"
	alerts := []map[string]string{
		{"alertname": "RoseyNATSUnavailable", "owner": "platform", "severity": "critical", "nats": nats},
		{
			"alertname": "RoseyBotNotReady", "owner": "channel", "severity": "warning", "namespace": "n", "name": "banned",
			"nats": nats,
		},
		{"alertname": "RoseyBotUpdateWaits", "owner": "channel", "severity": "info", "namespace": "n", "name": "old"},
		// A RoseyBot on another NATS server.
		{"alertname": "RoseyMessagesLost", "owner": "platform", "severity": "critical", "namespace": "n", "name": "full"},
	}
	for i := range 200 {
		name := fmt.Sprint("bot", i)
		alerts = append(alerts,
			map[string]string{
				"alertname": "RoseyBotDatabaseUnavailable", "owner": "platform", "severity": "critical", "namespace": "n",
				"name": name, "cause": "nats", "nats": nats,
			}, map[string]string{
				"alertname": "RoseyMessagesLost", "owner": "platform", "severity": "critical", "namespace": "n", "name": name,
				"pod": name + "-bot-x",
			})
	}
	post(t, "http://"+address+"/api/v2/alerts", alerts)
	want := "map[channel:[RoseyBotNotReady] platform:[RoseyMessagesLost RoseyNATSUnavailable]]"
	other := "map[channel:[RoseyBotNotReady] platform:[RoseyNATSUnavailable RoseyMessagesLost]]"
	server := prometheusServer{}
	server.waitFor(t, "the notifications", func() error {
		if text := got.String(); text != want && text != other {
			return fmt.Errorf("notified of %s, want %s", text, want)
		}
		return nil
	})
}

// startAlertmanager starts Alertmanager with the configuration of the document, whose receivers notify a URL, and
// returns its address.
func startAlertmanager(t *testing.T, program, notify string) (address string) {
	t.Helper()
	document, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile("(?s)<!-- alertmanager -->\n```yaml\n(.*?)```").FindSubmatch(document)
	if parts == nil {
		t.Fatal("docs/observability.md has no configuration of Alertmanager")
	}
	config := regexp.MustCompile(`(?m)^(- name: .*)$`).
		ReplaceAllString(string(parts[1]), "$1\n  webhook_configs: [{url: \""+notify+"\"}]")
	config = strings.Replace(config, "group_wait: 30s", "group_wait: 1s", 1)
	config = strings.Replace(config, "- name: nobody\n  webhook_configs: [{url: \""+notify+"\"}]", "- name: nobody", 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "alertmanager.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address = freeAddress(t)
	var log bytes.Buffer
	server := exec.CommandContext(t.Context(), program, "--config.file="+path,
		"--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--cluster.listen-address=")
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("log of Alertmanager:\n%s", log.String())
		}
	})
	return address
}

// post sends alerts with these labels as Prometheus does, as soon as Alertmanager listens.
func post(t *testing.T, url string, labels []map[string]string) {
	t.Helper()
	var alerts []map[string]any
	for _, each := range labels {
		alerts = append(alerts, map[string]any{"labels": each, "startsAt": time.Now().UTC().Format(time.RFC3339)})
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	prometheusServer{}.waitFor(t, "Alertmanager takes the alerts", func() error {
		response, err := http.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", response.Status)
		}
		return nil
	})
}
