package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsserver"
)

// A disk that is full for a moment must not leave a plugin that was removed what it could read.
func TestAChangeOfPermissionsThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	list := writeFile(t, "plugins.yaml", "- {name: weather, grants: {events: [message]}}\n")
	c := &component{subjects: subjects, log: slog.New(slog.DiscardHandler)}
	c.config.Channel.Name, c.config.PluginsFile = "movienight", list
	c.config.Database.SQLite = &config.SQLite{Path: filepath.Join(t.TempDir(), "rosey.db")}
	server, users, err := c.startNATS("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	followed := c.newFollowedUsers(server, users)
	look := func(wantErr bool) {
		t.Helper()
		if err := followed.look(); (err != nil) != wantErr {
			t.Fatalf("error %v, want one: %t", err, wantErr)
		}
	}
	look(false)
	weather := users.others[1]
	if err := login(server, weather); err != nil {
		t.Fatal(err)
	}

	inTheWay := users.credentialsDir("later")
	if err := errors.Join(os.WriteFile(inTheWay, nil, 0o600),
		os.WriteFile(list, []byte("- {name: later}\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	look(true)
	if err := login(server, weather); err != nil {
		t.Errorf("after a change that failed: %v", err)
	}
	look(true)
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	look(false)
	if err := login(server, weather); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("the plugin that was removed: %v", err)
	}
	if err := login(server, followed.users.others[1]); err != nil {
		t.Errorf("the plugin that was added: %v", err)
	}
}

// login connects as a user, and closes the connection.
func login(server *natsserver.Server, user natsserver.User) error {
	conn, err := nats.Connect(server.URL(), nats.UserInfo(user.Name, user.Password))
	if err == nil {
		conn.Close()
	}
	return err
}
