package main

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// The line is newer than the default retention, and the sample older.
func TestConfiguredRetention(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := start(t, "db", "--config", writeConfig(t, t.TempDir(), server.URL()),
		"--database-retention-chat", "2h", "--database-retention-user-counts", "forever")
	p.waitFor(status.ReasonReady)
	client := server.Client()
	for subject, body := range map[string]string{
		"rosey.db.message.log": fmt.Sprintf(`{"username":"alice","message":"hi","timestamp":%d}`,
			time.Now().Add(-3*time.Hour).Unix()),
		"rosey.db.stats.user_count": fmt.Sprintf(`{"chat_count":1,"connected_count":2,"timestamp":%d}`,
			time.Now().Add(-60*24*time.Hour).Unix()),
	} {
		if err := client.Publish(subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	// The reply comes after the events are stored, so the maintenance finds both rows.
	if _, err := client.Request("rosey.db.messages.outbound.get", []byte(`{"limit":0}`), waitTimeout); err != nil {
		t.Fatal(err)
	}
	response, err := client.Request("rosey.db.maintenance.run", []byte(`{}`), waitTimeout)
	if err != nil {
		t.Fatal(err)
	}
	var reply bus.MaintenanceReply
	if err := json.Unmarshal(response.Data, &reply); err != nil || !reply.Success {
		t.Fatalf("%v: %s", err, response.Data)
	}
	if diff := cmp.Diff(bus.MaintenanceRemoved{Chat: 1}, reply.Removed); diff != "" {
		t.Errorf("removed: %s", diff)
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
}
