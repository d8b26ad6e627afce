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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rosey.dev/rosey/test/porttest"
	"rosey.dev/rosey/test/processtest"
)

// notifications are the alerts that a receiver was notified of, by receiver, and how often it was for each group.
type notifications struct {
	mu     sync.Mutex
	names  map[string][]string
	groups map[string]int
}

func (n *notifications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Receiver, GroupKey string
		Alerts             []struct{ Labels map[string]string }
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups[body.GroupKey]++
	for _, alert := range body.Alerts {
		name := strings.TrimPrefix(alert.Labels["alertname"], "Rosey")
		if bot := alert.Labels["name"]; bot != "" {
			name += ":" + bot
		}
		n.names[body.Receiver] = append(n.names[body.Receiver], name)
	}
}

func (n *notifications) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := map[string][]string{}
	for receiver, all := range n.names {
		names[receiver] = slices.Compact(slices.Sorted(slices.Values(all)))
	}
	return fmt.Sprint(names)
}

// ofAlert returns how many notifications of an alert there were.
func (n *notifications) ofAlert(name string) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for group, times := range n.groups {
		if strings.Contains(group, fmt.Sprintf(`alertname=%q`, name)) {
			count += times
		}
	}
	return count
}

// firing returns the labels of an alert, with more as pairs of name and value.
func firing(name, owner, severity string, more ...string) map[string]string {
	labels := map[string]string{"alertname": "Rosey" + name, "owner": owner, "severity": severity}
	for i := 0; i < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	if labels["name"] != "" && labels["namespace"] == "" {
		labels["namespace"] = "films"
	}
	return labels
}

// With the configuration of docs/observability.md, a NATS server that is away with 200 RoseyBots is one notification, a
// PostgreSQL server is one, a node is one, and a database service that several share is one. What many have for another
// reason, such as a quota, is one for each alert. Nobody is notified of what somebody else has to mend, and no other
// cause is hidden.
func TestOneCauseIsOneNotification(t *testing.T) {
	program := prometheusProgram(t, "alertmanager")
	if _, err := os.Stat("/usr/share/prometheus/alertmanager/default.tmpl"); err != nil {
		t.Skip(err) // make test installs it, if it runs as root
	}
	got := &notifications{names: map[string][]string{}, groups: map[string]int{}}
	receiver := httptest.NewServer(got)
	t.Cleanup(receiver.Close)
	address := startAlertmanager(t, program, receiver.URL)

	const nats, other, postgres = "nats://one:4222", "nats://two:4222", "pg:5432"
	alerts := []map[string]string{
		firing("NATSUnavailable", "platform", "critical", "nats", nats),
		firing("PostgreSQLUnavailable", "platform", "critical", "postgres", postgres),
		firing("NodeUnavailable", "platform", "critical", "node", "n1"),
		firing("BotDatabaseUnavailable", "platform", "critical",
			"name", "lost", "database", "lost", "cause", "node", "node", "n1", "nats", other),
		firing("BotNotReady", "platform", "warning", "name", "lost2", "cause", "node", "node", "n1", "nats", other),
		firing("MessagesWait", "platform", "warning", "name", "lost", "pod", "lost-bot-x"),
		// Only this one cannot reach a server that works for the others.
		firing("BotDatabaseUnavailable", "platform", "critical",
			"name", "cut", "database", "cut", "cause", "postgres", "postgres", "other:5432", "nats", other),
		// The guest of one whose database is on the PostgreSQL server that is away.
		firing("BotDatabaseUnavailable", "platform", "critical",
			"name", "guest2", "database", "rows0", "cause", "shared", "nats", other),
		firing("BotNotReady", "channel", "warning", "name", "banned", "nats", nats),
		firing("BotUpdateWaits", "channel", "info", "name", "old"),
		// A RoseyBot whose service is well, and too slow.
		firing("MessagesLost", "platform", "critical", "name", "slow", "pod", "slow-db-x"),
		// A full disk.
		firing("BotDatabaseUnavailable", "channel", "critical", "name", "full", "database", "full", "nats", other),
		firing("MessagesLost", "channel", "critical", "name", "full", "pod", "full-bot-x"),
		firing("MessagesWait", "channel", "warning", "name", "full", "pod", "full-bot-x"),
		// JetStream refuses events: a warning does not hide that they are being lost.
		firing("BotNotReady", "platform", "warning", "name", "refused", "nats", other),
		firing("MessagesLost", "platform", "critical", "name", "refused", "pod", "refused-bot-x"),
		firing("MessagesWait", "platform", "warning", "name", "refused", "pod", "refused-bot-x"),
		firing("BotReconnects", "platform", "warning", "name", "refused", "pod", "refused-bot-x"),
		// A database service that two share.
		firing("BotDatabaseUnavailable", "platform", "critical", "name", "host", "database", "host", "nats", other),
		firing("BotDatabaseUnavailable", "platform", "critical",
			"name", "guest", "database", "host", "cause", "shared", "nats", other),
		firing("MessagesLost", "platform", "critical", "name", "guest", "pod", "guest-bot-x"),
	}
	for i := range 200 {
		name := fmt.Sprint("bot", i)
		alerts = append(alerts,
			firing("BotDatabaseUnavailable", "platform", "critical",
				"name", name, "database", name, "cause", "nats", "nats", nats),
			firing("MessagesLost", "platform", "critical", "name", name, "pod", name+"-bot-x"))
		name = fmt.Sprint("rows", i)
		alerts = append(alerts,
			firing("BotDatabaseUnavailable", "platform", "critical",
				"name", name, "database", name, "cause", "postgres", "postgres", postgres, "nats", other),
			firing("BotNotReady", "platform", "warning", "name", "quota", "namespace", name, "nats", other),
			firing("MessagesWait", "platform", "warning", "name", name, "pod", name+"-bot-x"))
	}
	postInOrder(t, "http://"+address+"/api/v2/alerts", alerts)
	// Its notification waits for as long as the others, so that none comes after it.
	post(t, "http://"+address+"/api/v2/alerts", []map[string]string{firing("Last", "platform", "critical")})
	const want = "map[channel:[BotDatabaseUnavailable:full BotNotReady:banned] " +
		"platform:[BotDatabaseUnavailable:cut BotDatabaseUnavailable:host BotNotReady:quota BotNotReady:refused Last " +
		"MessagesLost:refused MessagesLost:slow NATSUnavailable NodeUnavailable PostgreSQLUnavailable]]"
	prometheusServer{}.waitFor(t, "the notifications", func() error {
		if text := got.String(); text != want {
			return fmt.Errorf("notified of %s, want %s", text, want)
		}
		return nil
	})
	for _, alert := range []string{"RoseyNATSUnavailable", "RoseyPostgreSQLUnavailable", "RoseyBotNotReady"} {
		if count := got.ofAlert(alert); count != 1 {
			t.Errorf("%d notifications of %s, want one of all RoseyBots", count, alert)
		}
	}
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
	// All alerts of a group must have come before it is notified of the first time: the next time is minutes later.
	config = strings.Replace(config, "group_wait: 30s", "group_wait: 5s", 1)
	config = strings.Replace(config, "- name: nobody\n  webhook_configs: [{url: \""+notify+"\"}]", "- name: nobody", 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "alertmanager.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address = porttest.FreeAddress(t)
	server := exec.CommandContext(t.Context(), program, "--config.file="+path,
		"--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--cluster.listen-address=")
	processtest.Start(t, server)
	return address
}

// postInOrder sends alerts, those that inhibit others first, as Prometheus does. Otherwise an Alertmanager that is slow
// would notify of what it does not know yet to be inhibited.
func postInOrder(t *testing.T, url string, alerts []map[string]string) {
	t.Helper()
	var stages [3][]map[string]string
	for _, each := range alerts {
		stage := 2
		switch {
		case each["name"] == "":
			stage = 0
		case each["alertname"] == "RoseyBotDatabaseUnavailable", each["alertname"] == "RoseyBotNotReady":
			stage = 1
		}
		stages[stage] = append(stages[stage], each)
	}
	for i, stage := range stages {
		last := fmt.Sprint("last", i)
		post(t, url, append(stage, firing("NATSUnavailable", "platform", "info", "nats", last),
			firing("Inhibited", "platform", "info", "cause", "nats", "nats", last)))
		prometheusServer{}.waitFor(t, "Alertmanager knows what inhibits", func() error {
			return inhibited(t, url, last)
		})
	}
}

// inhibited returns an error unless the alert RoseyInhibited with this label nats is inhibited.
func inhibited(t *testing.T, url, nats string) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		url+"?filter=alertname%3DRoseyInhibited&filter=nats%3D"+nats, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var found []struct{ Status struct{ State string } }
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		return err
	}
	if len(found) != 1 || found[0].Status.State != "suppressed" {
		return fmt.Errorf("alerts with the label nats=%q are %+v", nats, found)
	}
	return nil
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
