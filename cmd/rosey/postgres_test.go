package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// writePostgresConfig is writeConfig for the PostgreSQL database of a URL file.
func writePostgresConfig(t *testing.T, natsURL, urlFile string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "database.yaml")
	content := fmt.Sprintf(`channel: {server: "https://cytu.be", name: Movies}
nats: {url: %q}
http: {address: "127.0.0.1:0"}
database: {postgres: {urlFile: %q}}
logLevel: debug
`, natsURL, urlFile)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// databaseOf returns the name of a test's database, which is also that of its role.
func databaseOf(t *testing.T, databaseURL string) string {
	t.Helper()
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.User.Username()
}

// One service meets every reason of the store's check. Each time the file with the URL is written again, without a
// restart.
func TestServiceReportsWhyPostgreSQLDoesNotWork(t *testing.T) {
	t.Parallel()
	server, nats := pgtest.Use(t), natstest.Start(t)
	newer, blocked := server.Database(t), server.Database(t)
	closePostgres(t, openPostgres(t, pgtest.WriteURL(t, newer)))
	server.ExecuteIn(t, databaseOf(t, newer), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	server.ExecuteIn(t, databaseOf(t, blocked), "CREATE TABLE public.chat (somebody_elses text)")

	file := filepath.Join(t.TempDir(), "url")
	p := start(t, "db", "--config", writePostgresConfig(t, nats.URL(), file))
	expect := func(reason status.Reason, message string) {
		t.Helper()
		if report := p.waitFor(reason); !strings.Contains(report.Message, message) {
			t.Errorf("%s: message %q, want %q", reason, report.Message, message)
		}
	}
	write := func(databaseURL string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(databaseURL), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(status.ReasonStoreURLAbsent, file)
	role := databaseOf(t, blocked)
	write(server.URL(role, "battery-staple", role))
	expect(status.ReasonStoreRefused, "password authentication failed")
	write("postgres://u:battery-staple@127.0.0.1:1/db")
	expect(status.ReasonStoreUnavailable, "connection refused")
	write("postgres://u:battery-staple@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/absent")
	expect(status.ReasonStoreURLInvalid, "/absent")
	write(newer)
	expect(status.ReasonStoreNewer, "999")
	write(blocked)
	expect(status.ReasonStoreUnsuitable, "tables chat")
	server.ExecuteIn(t, role, "DROP TABLE public.chat")
	p.waitFor(status.ReasonReady)

	publish := func(text string) {
		t.Helper()
		body := fmt.Sprintf(`{"username":"alice","message":%q}`, text)
		if err := nats.Client().Publish("rosey.db.message.log", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	publish("hi")
	natstest.Eventually(t, "the line to be stored", func() bool {
		return len(storedIn(t, blocked)) == 1
	})
	server.Fill(t, role)
	for range 400 {
		publish(incompressible(5000))
	}
	expect(status.ReasonStoreFull, "no space is left")
	if code := p.end(syscall.SIGKILL); code != -1 {
		t.Errorf("exit code %d", code)
	}
	for _, secret := range []string{pgtest.Password, "battery-staple", "postgres://u:b", "postgres://test"} {
		if said := fmt.Sprint(p.log()) + p.output(); strings.Contains(said, secret) {
			t.Errorf("%q is in the log: %s", secret, said)
		}
	}
}

func openPostgres(t *testing.T, urlFile string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), urlFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closePostgres(t *testing.T, s *postgres.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

var postgresChannel = store.Channel{Server: "https://cytu.be", Name: "Movies"}

func storedIn(t *testing.T, databaseURL string) []store.RecentLine {
	t.Helper()
	s := openPostgres(t, pgtest.WriteURL(t, databaseURL))
	defer closePostgres(t, s)
	lines, err := s.RecentChat(t.Context(), postgresChannel, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func incompressible(length int) string {
	text := make([]byte, length)
	for i := range text {
		text[i] = byte('a' + rand.IntN(26))
	}
	return string(text)
}

// pooledURLFile creates a database and returns a file with its URL through a pooler of transactions, which has fewer
// connections than the processes of a test may open.
func pooledURLFile(t *testing.T) string {
	t.Helper()
	server := pgtest.Use(t)
	database := databaseOf(t, server.Database(t))
	return pgtest.WriteURL(t, server.StartPooler(t, 3).URL(database)+
		"&default_query_exec_mode=exec&target_session_attrs=read-write")
}

func TestCommandsWithPostgreSQL(t *testing.T) {
	t.Parallel()
	testPostgresCommands(t, pgtest.Use(t).URLFile(t))
}

// Every command works wherever the service works.
func TestCommandsThroughAPooler(t *testing.T) {
	t.Parallel()
	testPostgresCommands(t, pooledURLFile(t))
}

func testPostgresCommands(t *testing.T, urlFile string) {
	t.Helper()
	file := writePostgresConfig(t, "nats://127.0.0.1:1", urlFile)
	expectCall(t, exit.Failure, "schema", "db", "show", "--config", file) // no service has created the schema yet

	s := openPostgres(t, urlFile)
	line := store.Event{ID: "1", Channel: postgresChannel, At: time.UnixMilli(1763700000000),
		Fact: store.ChatLine{Username: "alice", Text: "hi"}}
	if err := s.Apply(t.Context(), []store.Event{line}); err != nil {
		t.Fatal(err)
	}
	letters := []store.DeadLetter{
		store.NewDeadLetter("db.message.log", "", "was too early", []byte(`{"username":"bob","message":"ho"}`), line.At),
		store.NewDeadLetter("db.message.log", "", "not JSON", []byte("]"), line.At),
	}
	// A message without a channel is about the channel of the service that received it.
	foreign := store.NewDeadLetter("db.message.log", "", "of others", []byte(`{"username":"eve","message":"ha"}`), line.At)
	foreign.Prefix = "other"
	for _, each := range [][]store.DeadLetter{letters, {foreign}} {
		if _, err := s.AddDeadLetters(t.Context(), each, store.DeadLetterQuota{}); err != nil {
			t.Fatal(err)
		}
	}
	defer closePostgres(t, s) // the commands work while a service uses the database
	expectCall(t, exit.Clean, "was too early", "db", "dead", "list", "--config", file)
	expectCall(t, exit.Failure, "retry: 1 done", "db", "dead", "retry", "--all", "--config", file)
	expectCall(t, exit.Clean, "drop: 1 done", "db", "dead", "drop", "--all", "--config", file)
	expectCall(t, exit.Failure, "dead letter 3: not found", "db", "dead", "retry", "3", "--config", file)
	expectCall(t, exit.Clean, "other.db.message.log", "db", "dead", "list", "--prefix", "other", "--config", file)
	expectCall(t, exit.Clean, "drop: 1 done", "db", "dead", "drop", "3", "--prefix", "other", "--config", file)
	if chat := show(t, file).Chat; len(chat) != 2 {
		t.Errorf("chat: %v", chat)
	}
	for _, verb := range []string{"backup", "restore"} {
		expectCall(t, exit.Usage, "pg_dump", "db", verb, filepath.Join(t.TempDir(), "f"), "--config", file)
	}
	expectCall(t, exit.Usage, "both sqlite and postgres", "db", "show", "--config", file, "--database", "/d")

	python := writePython(t)
	flags := []string{"--channel", "Movies", "--database-postgres-url-file", urlFile}
	for range 2 {
		expectCall(t, exit.Clean, urlFile, append([]string{"import", python,
			"--database-retention-chat", "forever", "--database-retention-user-counts", "forever"}, flags...)...)
	}
	content := expectCall(t, exit.Clean, "alice", append([]string{"db", "show"}, flags...)...)
	if !strings.Contains(content, "1h0m0s") || strings.Contains(content, pgtest.Password) {
		t.Errorf("stored:\n%s", content)
	}
}
