package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// pythonEvents are the Python bot's messages, byte for byte. It publishes each of them twice.
var pythonEvents = []struct{ subject, body string }{
	{"user.joined", `{"username":"alice"}`},
	{"stats.high_water", `{"chat_count":5,"connected_count":7}`},
	{"message.log", `{"username":"alice","message":"hi"}`},
	{"stats.user_count", `{"chat_count":5,"connected_count":5}`},
	{"status.update", `{"status_data":{"bot_name":"bot","bot_rank":3,"bot_afk":0,"channel_name":"c",` +
		`"current_chat_users":5,"current_connected_users":7,"bot_start_time":1763700000,"bot_connected":1,` +
		`"playlist_items":2,"current_media_title":"T","current_media_duration":90}}`},
	{"user.left", `{"username":"alice"}`},
	{"action.pm_command", `{"timestamp":1763700000.5,"username":"mod","command":"say","args":"hi",` +
		`"result":"success","error":null}`},
}

const (
	now  = `"NOW"`  // a time during this test, in seconds
	text = `"TEXT"` // a message for people
)

// exchanges are the requests of Python clients, byte for byte, and the replies of the Python service, with correct
// values where that service's are wrong. One difference in shape: both last_error and error_message are present.
var exchanges = []struct{ subject, body, reply string }{
	{"messages.outbound.get", `{"limit":20,"max_retries":3}`, `[{"id":1,"timestamp":` + now + `,"message":"m",` +
		`"retry_count":0,"last_error":null,"error_message":null}]`},
	{"stats.recent_chat.get", `{"limit":50}`, `[{"timestamp":` + now + `,"username":"alice","message":"hi"}]`},
	{"query.user_stats", `{"username":"alice"}`, `{"username":"alice","first_seen":` + now + `,"last_seen":` + now +
		`,"total_chat_lines":1,"total_time_connected":0,"current_session_start":null,"success":true,"found":true}`},
	{"query.user_stats", `{"username":"bob"}`, `{"username":"bob","success":true,"found":false,"message":` + text + `}`},
	{"query.user_stats", `{}`, `{"success":false,"error":` + text + `}`},
	{"query.channel_stats", `{}`, `{"high_water_mark":{"users":5,"timestamp":` + now + `},` +
		`"high_water_connected":{"users":7,"timestamp":` + now + `},` +
		`"top_chatters":[{"username":"alice","chat_lines":1}],"total_users_seen":1,"success":true}`},
	{"kv.set", `{"plugin_name":"p","key":"k","value":{"a":1},"ttl_seconds":60}`, `{"success":true,"data":{}}`},
	{"kv.get", `{"plugin_name":"p","key":"k"}`, `{"success":true,"data":{"exists":true,"value":{"a":1}}}`},
	{"kv.get", `{"plugin_name":"p","key":"none"}`, `{"success":true,"data":{"exists":false}}`},
	{"kv.set", `{"plugin_name":"p","key":"k2","value":2}`, `{"success":true,"data":{}}`},
	{"kv.list", `{"plugin_name":"p","prefix":"k","limit":1}`,
		`{"success":true,"data":{"keys":["k"],"count":1,"truncated":true}}`},
	{"kv.set", `{"plugin_name":"p","key":"k"}`,
		`{"success":false,"error":{"code":"MISSING_FIELD","message":` + text + `}}`},
	{"kv.delete", `{"plugin_name":"p","key":"k"}`, `{"success":true,"data":{"deleted":true}}`},
}

// notServed are subjects on which requests fail at once, so that clients need not wait for a timeout.
var notServed = []string{
	"row.p.insert", "row.p.select", "row.p.update", "row.p.search", "row.p.schema.register", "migrate.p.apply",
	"migrate.p.status", "sql.p.execute",
}

// TestServiceWithAPythonBot sends the messages of Python clients, byte for byte, to the service.
func TestServiceWithAPythonBot(t *testing.T) {
	t.Parallel()
	for _, jetStream := range []bool{false, true} {
		for _, kind := range []string{"sqlite", "postgres"} {
			t.Run(fmt.Sprintf("%s, JetStream %t", kind, jetStream), func(t *testing.T) {
				t.Parallel()
				runPythonBot(t, kind, jetStream)
			})
		}
	}
}

func runPythonBot(t *testing.T, kind string, jetStream bool) {
	database := filepath.Join(t.TempDir(), "rosey.db")
	flag := "--database"
	openReadOnly := func(ctx context.Context) (store.Store, error) { return sqlite.OpenReadOnly(ctx, database) }
	if kind == "postgres" {
		database = pgtest.Use(t).URLFile(t)
		flag = "--database-postgres-url-file"
		openReadOnly = func(ctx context.Context) (store.Store, error) { return postgres.OpenReadOnly(ctx, database) }
	}
	nats := natstest.Start(t, func(o *server.Options) { o.JetStream, o.StoreDir = jetStream, t.TempDir() })
	p := start(t, "db", "--channel", "movienight", "--nats", nats.URL(), "--http", "127.0.0.1:0", flag, database)
	p.waitFor(status.ReasonReady)
	python := &pythonClient{T: t, conn: nats.Client(), began: time.Now().Unix()}
	python.awaitReply("messages.outbound.get", `{"limit":20,"max_retries":3}`, `[]`)
	python.awaitReply("messages.outbound.put", `{"message":"m"}`, `{"success":true,"id":1}`)
	for _, each := range pythonEvents {
		python.publish(each.subject, each.body)
		python.publish(each.subject, each.body)
	}
	for _, each := range exchanges {
		python.awaitReply(each.subject, each.body, each.reply)
	}
	python.publish("messages.outbound.mark_sent", `{"message_id":1}`)
	python.awaitReply("messages.outbound.get", `{"limit":20,"max_retries":3}`, `[]`)
	// The Python service would return the oldest lines of this second, in reverse order.
	line := func(text string) string { return `{"username":"alice","message":"` + text + `"` }
	for _, text := range []string{"1", "2", "3", "4"} {
		python.publish("message.log", line(text)+"}")
	}
	python.awaitReply("stats.recent_chat.get", `{"limit":2}`, "["+line("3")+`,"timestamp":`+now+"},"+line("4")+
		`,"timestamp":`+now+"}]")
	for _, subject := range notServed {
		python.checkNotServed(subject)
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
	opened, err := openReadOnly(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	channel := store.Channel{Server: config.DefaultServer, Name: "movienight"}
	rows, err := readChannel(t.Context(), opened, channel, 100)
	actions, actionsErr := opened.Actions(t.Context(), channel, 100)
	if err = errors.Join(err, actionsErr); err != nil {
		t.Fatal(err)
	}
	if len(rows.Chat) != 5 || len(rows.UserCounts) != 1 || len(actions) != 1 || len(rows.Users) != 1 {
		t.Errorf("rows %+v, actions %+v; want five lines, and one row of everything else", rows, actions)
	}
	if got := actions[0].Details; got != "cmd=say, args: hi, result: success" {
		t.Errorf("action %q", got)
	}
	got, err := json.Marshal(rows.Status)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"bot_afk":false,"bot_connected":true,"bot_name":"bot","bot_rank":3,"bot_start_time":1763700000,` +
		`"channel_name":"c","current_chat_users":5,"current_connected_users":7,"current_media_duration":90,` +
		`"current_media_title":"T","playlist_items":2}`
	if string(got) != want {
		t.Errorf("status is %s, want %s", got, want)
	}
}

// pythonClient is a plain NATS client.
type pythonClient struct {
	*testing.T
	conn  *nats.Conn
	began int64
}

func (c *pythonClient) publish(subject, body string) {
	c.Helper()
	if err := c.conn.Publish("rosey.db."+subject, []byte(body)); err != nil {
		c.Fatal(err)
	}
}

// awaitReply waits until a request has the wanted reply: an event in a stream is stored a moment later.
func (c *pythonClient) awaitReply(subject, body, want string) {
	c.Helper()
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		c.Fatal(err)
	}
	diff := ""
	defer func() {
		if diff != "" {
			c.Errorf("%s %s (-want +got):\n%s", subject, body, diff)
		}
	}()
	natstest.Eventually(c.T, "the reply of "+subject, func() bool {
		reply, err := c.conn.Request("rosey.db."+subject, []byte(body), waitTimeout)
		if err != nil {
			c.Fatalf("%s: %v", subject, err)
		}
		var got any
		if err := json.Unmarshal(reply.Data, &got); err != nil {
			c.Fatalf("%s: reply %s: %v", subject, reply.Data, err)
		}
		diff = cmp.Diff(wanted, c.masked("", got))
		return diff == ""
	})
}

// masked replaces values that differ in each run: times, and messages for people.
func (c *pythonClient) masked(field string, value any) any {
	switch value := value.(type) {
	case []any:
		for i := range value {
			value[i] = c.masked("", value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = c.masked(name, value[name])
		}
		if _, coded := value["code"]; coded {
			value["message"] = "TEXT"
		}
		if value["found"] == false {
			value["message"] = "TEXT"
		}
	case float64:
		if value >= float64(c.began) && value <= float64(time.Now().Unix()) {
			return "NOW"
		}
		if field == "total_time_connected" && value < 10 { // the machine may be slow
			return 0.
		}
	case string:
		if field == "error" {
			return "TEXT"
		}
	}
	return value
}

func (c *pythonClient) checkNotServed(subject string) {
	c.Helper()
	_, err := c.conn.Request("rosey.db."+subject, []byte(`{}`), waitTimeout)
	if !errors.Is(err, nats.ErrNoResponders) {
		c.Errorf("%s: %v, want no responders", subject, err)
	}
}
