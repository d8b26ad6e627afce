package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/relational"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m.Run)) }

// mustOpen opens a database, to be closed with the test.
func mustOpen(t testing.TB, urlFile string) *Store {
	t.Helper()
	s, err := Open(t.Context(), urlFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// name returns the name of a database and its role.
func name(t *testing.T, databaseURL string) string {
	t.Helper()
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.User.Username()
}

// meanings are the errors of package store that say why a store cannot be opened.
var meanings = []error{
	store.ErrURLAbsent, store.ErrURLInvalid, store.ErrRefused, store.ErrFull, store.ErrNewerSchema, store.ErrMigration,
	store.ErrRejected, store.ErrForeign, store.ErrUnsuitable,
}

// expect tests the meaning of an error, and that it shows no secret.
func expect(t *testing.T, err, want error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%v, want an error with %q", err, says)
		return
	}
	for _, meaning := range meanings {
		if errors.Is(err, meaning) != errors.Is(want, meaning) {
			t.Errorf("%v: is %q: %v", err, meaning, errors.Is(err, meaning))
		}
	}
	for _, secret := range []string{pgtest.Password, "hunter2", "://u:h", "://test"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows %q: %v", secret, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has several lines: %v", err)
	}
}

func openFails(t *testing.T, urlFile string, want error, says string) {
	t.Helper()
	for _, open := range []func() (*Store, error){
		func() (*Store, error) { return Open(t.Context(), urlFile) },
		func() (*Store, error) { return OpenReadOnly(t.Context(), urlFile) },
	} {
		s, err := open()
		if err == nil {
			_ = s.Close()
		}
		expect(t, err, want, says)
	}
}

func TestOpenWithoutURL(t *testing.T) {
	t.Parallel()
	absent := filepath.Join(t.TempDir(), "absent")
	openFails(t, absent, store.ErrURLAbsent, absent)
	openFails(t, pgtest.WriteURL(t, ""), store.ErrURLAbsent, "absent or empty")
}

// A mistake in a URL is named, but never with the password, wherever the mistake put it.
func TestOpenWithInvalidURL(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"hunter2":                                                            "expected postgres://",
		"mysql://u:hunter2@host/db":                                          "expected postgres://",
		"user=u password=hunter2 host=h":                                     "expected postgres://",
		"postgres://u:hunter2@host:port/db":                                  "percent-encoded",
		"postgres://u:hun%ter2@host/db":                                      "percent-encoded",
		"postgres://u:hunter2/x@host/db":                                     "percent-encoded",
		"postgres://u:1/hunter2@host/db":                                     "percent-encoded",
		"postgres://u:hunter2?x@host/db":                                     "percent-encoded",
		"postgres://u:hunter2#x@host/db":                                     "percent-encoded",
		"postgres://u:hunter2@a,b:x/db":                                      "port",
		"postgres://u:hunter2@host/db?sslmode=x":                             "sslmode is invalid",
		"postgres://u:hunter2@host/db?sslmode=verify-full&sslrootcert=/nix":  "/nix",
		"postgres://u:hunter2@host/db?sslmode=require&sslkey=/k&sslcert=/c":  "/k",
		"postgres://u:hunter2@host/db?sslmode=require&sslcert=/c":            "sslcert",
		"postgres://u:hunter2@host/db?passfile=/absent":                      "passfile: stat /absent",
		"postgres://u:hunter2@host/db?service=s&servicefile=/absent":         "/absent",
		"postgres://u:hunter2@host/db?service=nobody":                        "service",
		"postgres://u:hunter2@host/db?connect_timeout=soon":                  "connect_timeout",
		"postgres://u:hunter2@host/db?target_session_attrs=any-old":          "target_session_attrs",
		"postgres://u:hunter2@host/db?pool_max_conns=many":                   "pool_max_conns",
		"postgres://u:hunter2@host/db?pool_max_conns=0":                      "pool_max_conns",
		"postgres://u:hunter2@host/db?default_query_exec_mode=fast":          "default_query_exec_mode",
		"postgres://u@host/db?password=hunter2&sslmode=hunter2":              "sslmode",
		"postgres://u@host/db?password=hunter2&sslmode=require&sslcert=/abs": "sslcert",
	} {
		openFails(t, pgtest.WriteURL(t, text), store.ErrURLInvalid, says)
	}
}

func TestOpenRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	role := name(t, server.Database(t))
	openFails(t, pgtest.WriteURL(t, server.URL(role, "hunter2", role)), store.ErrRefused, "password authentication failed")
	openFails(t, pgtest.WriteURL(t, server.URL("nobody", "hunter2", role)), store.ErrRefused, "nobody")
	openFails(t, pgtest.WriteURL(t, server.URL(role, pgtest.Password, "absent")), store.ErrRefused, "does not exist")

	// A role may connect to the database of another one, and not use its tables.
	other := name(t, server.Database(t))
	file := pgtest.WriteURL(t, server.URL(role, pgtest.Password, other))
	_, err := Open(t.Context(), file)
	if !errors.Is(err, store.ErrRefused) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("without the permission to create tables: %v, want ErrRefused", err)
	}
	mustOpen(t, pgtest.WriteURL(t, server.URL(other, pgtest.Password, other)))
	openFails(t, file, store.ErrRefused, "permission denied")
}

func TestOpenUnreachable(t *testing.T) {
	t.Parallel()
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	openFails(t, pgtest.WriteURL(t, "postgres://u:hunter2@/db?host="+nowhere), nil, "connecting to the database server")
	openFails(t, pgtest.WriteURL(t, "postgres://u:hunter2@127.0.0.1:1/db"), nil, "refused")
}

func TestOpenNewerSchema(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	file := pgtest.WriteURL(t, database)
	mustOpen(t, file)
	server.ExecuteIn(t, name(t, database), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	openFails(t, file, store.ErrNewerSchema, "999")
}

func TestOpenFailedMigration(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	role := name(t, database)
	file := pgtest.WriteURL(t, database)
	if _, err := OpenReadOnly(t.Context(), file); err == nil {
		t.Error("opened for reading before there are tables")
	}
	// The name of a table of a later version than that of this database.
	s := mustOpen(t, file)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	newest, err := relational.NewestSchema(migrations)
	if err != nil {
		t.Fatal(err)
	}
	server.ExecuteIn(t, role, fmt.Sprintf("DELETE FROM goose_db_version WHERE version_id = %d", newest))
	_, err = Open(t.Context(), file)
	expect(t, err, store.ErrMigration, "already exists")
	server.ExecuteIn(t, role, fmt.Sprintf(
		"INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, true)", newest))
	mustOpen(t, file) // the failed migration was rolled back
}

func TestConcurrentMigrations(t *testing.T) {
	t.Parallel()
	file := pgtest.Use(t).URLFile(t)
	var starting sync.WaitGroup
	identities := make(chan string, 8)
	for range cap(identities) {
		starting.Go(func() {
			s, err := Open(t.Context(), file)
			for errors.Is(err, errLocked) { // as the service does
				s, err = Open(t.Context(), file)
			}
			if err != nil {
				identities <- err.Error()
				return
			}
			identity, err := s.Identity(t.Context())
			identities <- fmt.Sprint(identity, err)
			_ = s.Close()
		})
	}
	starting.Wait()
	first := <-identities
	for range cap(identities) - 1 {
		if other := <-identities; other != first {
			t.Errorf("one service has %q, another %q", first, other)
		}
	}
	if !strings.HasSuffix(first, "<nil>") {
		t.Error(first)
	}
}

func TestOpenReadOnly(t *testing.T) {
	t.Parallel()
	file := pgtest.Use(t).URLFile(t)
	writer := mustOpen(t, file)
	reader, err := OpenReadOnly(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	if err := writer.Apply(t.Context(), []store.Event{said(1, "alice", "hi")}); err != nil {
		t.Fatal(err)
	}
	if lines, err := reader.RecentChat(t.Context(), movies, 10); err != nil || len(lines) != 1 {
		t.Errorf("the reader sees %v, %v", lines, err)
	}
	expect(t, reader.Apply(t.Context(), []store.Event{said(2, "bob", "ho")}), nil, "reading only")
	_, err = writer.Enqueue(t.Context(), movies, store.OutboundLine{Text: "hello", At: clock(1)})
	if err != nil {
		t.Fatal(err)
	}
	query := store.OutboundQuery{Limit: 1, MaxRetries: 1, Now: clock(2), Claimant: "a"}
	if waiting, err := reader.Outbound(t.Context(), movies, query); err != nil || len(waiting) != 1 {
		t.Errorf("waiting: %v, %v", waiting, err)
	}
}
