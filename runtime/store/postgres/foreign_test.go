package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// objects returns everything that a role could have created in a database, and the locks that are held there.
func objects(t *testing.T, databaseURL string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), `SELECT n.nspname || '.' || c.relname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

// The database of another program must stay as it is.
func TestTheTablesOfAnotherProgramAreNotTouched(t *testing.T) {
	t.Parallel()
	const migrationTable = `CREATE TABLE public.goose_db_version (id serial PRIMARY KEY, version_id bigint,
  is_applied boolean, tstamp timestamp DEFAULT now());
INSERT INTO public.goose_db_version (version_id, is_applied) VALUES (0, true), (1, true)`
	for statements, says := range map[string]string{
		"CREATE TABLE public.chat (somebody_elses text)":                                   "tables chat",
		"CREATE VIEW public.v AS SELECT 1 AS a":                                            "tables v",
		migrationTable:                                                                     "tables goose_db_version",
		migrationTable + "; CREATE TABLE store (uuid text)":                                "tables goose_db_version, store",
		"CREATE TABLE user_stats (username text); CREATE TABLE recent_chat (id int)":       "Python Rosey",
		migrationTable + "; CREATE TABLE identity (id int); CREATE TABLE channels (a int)": "tables channels",
	} {
		server := pgtest.Use(t)
		database := server.Database(t)
		server.ExecuteIn(t, name(t, database), statements)
		server.ExecuteIn(t, name(t, database),
			"GRANT ALL ON ALL TABLES IN SCHEMA public TO "+name(t, database)) // the role could change them
		before := objects(t, database)
		openFails(t, pgtest.WriteURL(t, database), store.ErrForeign, says)
		if diff := cmp.Diff(before, objects(t, database)); diff != "" {
			t.Errorf("%s: %s", statements, diff)
		}
		// A schema of its own is enough.
		server.ExecuteIn(t, name(t, database), "CREATE SCHEMA rosey AUTHORIZATION "+name(t, database))
		mustOpen(t, pgtest.WriteURL(t, database+"&search_path=rosey"))
	}
}

func TestADatabaseOfALaterVersionIsNotTouched(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	mustOpen(t, pgtest.WriteURL(t, database))
	server.ExecuteIn(t, name(t, database), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	before := objects(t, database)
	openFails(t, pgtest.WriteURL(t, database), store.ErrNewerSchema, "999")
	if diff := cmp.Diff(before, objects(t, database)); diff != "" {
		t.Error(diff)
	}
}

// A migration that fails, or a role that may not create tables, leaves nothing.
func TestAFailedFirstStartLeavesNothing(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	server.ExecuteIn(t, name(t, database), `
CREATE FUNCTION pg_catalog.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'public.presence') THEN
    RAISE EXCEPTION 'no more tables';
  END IF;
END $$;
CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION pg_catalog.refuse()`)
	before := objects(t, database)
	_, err := Open(t.Context(), pgtest.WriteURL(t, database))
	expect(t, err, store.ErrMigration, "no more tables")
	if diff := cmp.Diff(before, objects(t, database)); diff != "" {
		t.Error(diff)
	}
}

// Tables of extensions are everywhere, for example those of PostGIS or pg_stat_statements.
func TestTablesOfExtensionsDoNotMatter(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	server.ExecuteIn(t, name(t, database), "CREATE EXTENSION pg_stat_statements")
	mustOpen(t, pgtest.WriteURL(t, database))
}

// In another encoding than UTF8, what people write does not fit: each such line would become a dead letter.
func TestAnotherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	for _, encoding := range []string{"LATIN1", "SQL_ASCII", "EUC_JP"} {
		role := name(t, server.Database(t))
		database := strings.ToLower(fmt.Sprintf("%s_%s", role, encoding))
		server.Execute(t, fmt.Sprintf(
			"CREATE DATABASE %s OWNER %s ENCODING '%s' LOCALE 'C' TEMPLATE template0", database, role, encoding))
		url := server.URL(role, pgtest.Password, database)
		before := objects(t, url)
		openFails(t, pgtest.WriteURL(t, url), store.ErrUnsuitable, "its encoding is "+encoding+", expected UTF8")
		if diff := cmp.Diff(before, objects(t, url)); diff != "" {
			t.Errorf("%s: %s", encoding, diff)
		}
	}
}
