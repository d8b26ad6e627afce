package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/config"
)

func settings(url string) config.Config {
	return config.Config{
		Channel: config.Channel{Name: "movienight"},
		NATS:    config.NATS{URL: url, SubjectPrefix: "rosey"},
	}
}

func connect(t *testing.T, url string) *cli.Client {
	t.Helper()
	return connectWith(t, settings(url))
}

// connectAs connects as a user of the server.
func connectAs(t *testing.T, url, user, password string) *cli.Client {
	t.Helper()
	configuration := settings(url)
	configuration.NATS.CredentialsDir = t.TempDir()
	for name, content := range map[string]string{"username": user, "password": password} {
		path := filepath.Join(configuration.NATS.CredentialsDir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return connectWith(t, configuration)
}

func connectWith(t *testing.T, configuration config.Config) *cli.Client {
	t.Helper()
	client, err := cli.Connect(t.Context(), configuration, bus.CLIRole, natstest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// respond replies to the requests on a subject and records them.
func respond(t *testing.T, from *nats.Conn, suffix bus.Suffix, reply string) (requests func() []map[string]any) {
	t.Helper()
	var mu sync.Mutex
	var got []map[string]any
	_, err := from.Subscribe("rosey."+string(suffix), func(m *nats.Msg) {
		var request map[string]any
		if err := json.Unmarshal(m.Data, &request); err != nil {
			t.Errorf("request %s: %v", m.Data, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, request)
		_ = m.Respond([]byte(reply))
	})
	if err == nil {
		err = from.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() []map[string]any { mu.Lock(); defer mu.Unlock(); return got }
}

func TestSay(t *testing.T) {
	natsServer := natstest.Start(t)
	requests := respond(t, natsServer.Client(), bus.OutboundPut, `{"success":true,"id":7}`)
	client := connect(t, natsServer.URL())
	for range 2 {
		if id, err := client.Say(t.Context(), "hello <there>"); err != nil || id != 7 {
			t.Errorf("%d, %v", id, err)
		}
	}
	sent := requests()
	if len(sent) != 2 {
		t.Fatalf("requests %v", sent)
	}
	if diff := cmp.Diff(map[string]any{"message": "hello <there>", "channel": "movienight"}, sent[0]); diff != "" {
		t.Error(diff)
	}
}

// TestACommandNeedsItsOwnPermission sends a command as a user that may only say lines.
func TestACommandNeedsItsOwnPermission(t *testing.T) {
	natsServer := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "service", Password: "s"}, {Username: "cli", Password: "c",
			Permissions: &server.Permissions{Publish: &server.SubjectPermission{
				Allow: []string{"rosey." + string(bus.OutboundPut)}}}}}
	})
	service := natsServer.ClientAs("service", "s")
	lines := respond(t, service, bus.OutboundPut, `{"success":true,"id":1}`)
	commands := respond(t, service, bus.OutboundPutCommand, `{"success":true,"id":2}`)
	everything := connectAs(t, natsServer.URL(), "service", "s")
	if id, err := everything.Say(t.Context(), " /kick alice\n"); err != nil || id != 2 {
		t.Errorf("%d, %v", id, err)
	}
	client := connectAs(t, natsServer.URL(), "cli", "c")
	if id, err := client.Say(t.Context(), "hello"); err != nil || id != 1 {
		t.Errorf("%d, %v", id, err)
	}
	_, err := client.Say(t.Context(), "/kick alice")
	if err == nil || !strings.Contains(err.Error(), `may not publish to "rosey.db.messages.outbound.put_command"`) ||
		strings.Contains(err.Error(), "queued") {
		t.Errorf("error %v", err)
	}
	if len(lines()) != 1 || len(commands()) != 1 || commands()[0]["message"] != "/kick alice" {
		t.Errorf("lines %v, commands %v", lines(), commands())
	}
}

func TestStats(t *testing.T) {
	natsServer := natstest.Start(t)
	other := natsServer.Client()
	respond(t, other, bus.QueryChannelStats, `{"high_water_mark":{"users":3,"timestamp":1},
		"high_water_connected":{"users":9,"timestamp":1},"top_chatters":[{"username":"alice","chat_lines":3}],
		"total_users_seen":1,"success":true}`)
	requests := respond(t, other, bus.QueryUserStats, `{"username":"alice","success":true,"found":false,"message":"no"}`)
	client := connect(t, natsServer.URL())
	stats, err := client.ChannelStats(t.Context())
	if err != nil || stats.TotalUsersSeen != 1 || stats.TopChatters[0].ChatLines != 3 {
		t.Errorf("%+v, %v", stats, err)
	}
	user, err := client.UserStats(t.Context(), "alice")
	if err != nil || user.Found || requests()[0]["username"] != "alice" {
		t.Errorf("%+v, %v", user, err)
	}
}

func TestErrorsAreOneClearLine(t *testing.T) {
	natsServer := natstest.Start(t)
	client := connect(t, natsServer.URL())
	other := natsServer.Client()
	respond(t, other, bus.QueryUserStats, `{"success":false,"error":"Missing username"}`)
	if _, err := other.Subscribe("rosey.db.messages.outbound.put", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	_, noService := client.ChannelStats(t.Context())
	_, refused := client.UserStats(t.Context(), "")
	_, timedOut := client.Say(t.Context(), "x")
	protected := natstest.Start(t, func(o *server.Options) { o.Authorization = "token" })
	_, authorization := cli.Connect(t.Context(), settings(protected.URL()), bus.CLIRole, natstest.Log(t))
	_, unreachable := cli.Connect(t.Context(), settings("nats://127.0.0.1:1"), bus.CLIRole, natstest.Log(t))
	for want, err := range map[string]error{
		"no database service answers on rosey.db.query.channel_stats":                                       noService,
		"the database service cannot answer: Missing username":                                              refused,
		"did not answer in time: 2s on rosey.db.messages.outbound.put; the line may be queued all the same": timedOut,
		"refuses the connection: authorization violation":                                                   authorization,
		"cannot reach NATS at nats://127.0.0.1:1: connection refused":                                       unreachable,
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") ||
			strings.Contains(err.Error(), "trying again") {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestTail(t *testing.T) {
	natsServer := natstest.Start(t)
	other := natsServer.Client()
	client := connect(t, natsServer.URL())
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	filter, err := cli.ParseFilter(nil)
	if err != nil {
		t.Fatal(err)
	}
	publish := func() {
		for _, m := range []*nats.Msg{
			{Subject: "rosey.db.message.log", Data: []byte(`{"username":"alice","message":"hi","channel":"MovieNight"}`),
				Header: nats.Header{bus.MsgIDHeader: {"1/db.message.log"}}},
			{Subject: "rosey.db.message.log", Data: []byte(`{"username":"eve","message":"hi","channel":"elsewhere"}`)},
			{Subject: "another.db.message.log", Data: []byte(`{}`)},
			{Subject: "rosey.db.messages.outbound.get", Reply: "_INBOX.x", Data: []byte(`{}`)},
			{Subject: "rosey.events.cytube.movienight.changeMedia", Data: []byte(`{"event":"changeMedia"}`)},
			{Subject: "rosey.plugin.elsewhere.dice.out.hello", Data: []byte(`{"id":"x","channel":"MovieNight"}`)},
			{Subject: "rosey.plugin.movienight.dice.out.hello", Data: []byte(`{"id":"x","channel":"elsewhere"}`)},
			{Subject: "rosey.db.odd", Data: []byte("odd")},
		} {
			if err := other.PublishMsg(m); err != nil {
				t.Error(err)
			}
		}
	}
	var got []string
	err = client.Tail(ctx, filter, publish, func(m cli.Message) error {
		line, err := json.Marshal(m)
		if err != nil {
			return err
		}
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil || fields["time"] == nil {
			t.Errorf("%s: %v", line, err)
		}
		delete(fields, "time")
		line, err = json.Marshal(fields)
		got = append(got, string(line))
		if len(got) == 4 {
			stop()
		}
		return err
	})
	want := []string{
		`{"id":"1/db.message.log","payload":{"channel":"MovieNight","message":"hi","username":"alice"},` +
			`"subject":"db.message.log"}`,
		`{"payload":{"event":"changeMedia"},"subject":"events.cytube.movienight.changeMedia"}`,
		`{"payload":{"channel":"elsewhere","id":"x"},"subject":"plugin.movienight.dice.out.hello"}`,
		`{"subject":"db.odd","text":"odd"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
