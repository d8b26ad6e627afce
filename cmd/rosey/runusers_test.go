package main

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsserver"
)

// A disk that is full for a moment must not leave a plugin that was removed what it could read.
func TestAChangeOfPermissionsThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	list := writeFile(t, "plugins.yaml", "- {name: weather, grants: {events: [message]}}\n")
	server, followed := followList(t, list)
	look := func(wantErr bool) {
		t.Helper()
		if err := followed.look(); (err != nil) != wantErr {
			t.Fatalf("error %v, want one: %t", err, wantErr)
		}
	}
	look(false)
	users := followed.users
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

// The server closes the connections that have not logged in yet when its users change. The first look at the list comes
// a second after the start, when plugins log in, and finds what the server has.
func TestALookAtAnUnchangedListKeepsNobodyFromLoggingIn(t *testing.T) {
	t.Parallel()
	server, followed := followList(t, writeFile(t, "plugins.yaml", "- {name: weather}\n"))
	weather := followed.users.others[1]
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	lines := bufio.NewReader(conn)
	if info, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(info, "INFO ") {
		t.Fatalf("%q, %v", info, err)
	}
	if err := followed.look(); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "CONNECT {\"user\":%q,\"pass\":%q}\r\nPING\r\n", weather.Name, weather.Password)
	if err != nil {
		t.Fatal(err)
	}
	for {
		switch line, err := lines.ReadString('\n'); {
		case strings.HasPrefix(line, "PONG"):
			return
		case err != nil || strings.HasPrefix(line, "-ERR"):
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// followList starts a NATS server whose users follow a file with a list of plugins.
func followList(t *testing.T, list string) (*natsserver.Server, *followedUsers) {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	c := &component{subjects: subjects, log: slog.New(slog.DiscardHandler)}
	c.config.Channel.Name, c.config.PluginsFile = "movienight", list
	c.config.Database.SQLite = &config.SQLite{Path: filepath.Join(t.TempDir(), "rosey.db")}
	server, users, err := c.startNATS("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server, c.newFollowedUsers(server, users)
}

// login connects as a user, and closes the connection.
func login(server *natsserver.Server, user natsserver.User) error {
	conn, err := nats.Connect(server.URL(), nats.UserInfo(user.Name, user.Password))
	if err == nil {
		conn.Close()
	}
	return err
}
