package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/plugin/builtin"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// hostile is a text as a terminal must not get it: control characters of C0 and C1, escape sequences (one writes into
// the clipboard), a line of its own, and characters that change the direction or show nothing. Every way out shows the
// word FORGED.
const hostile = "a\x00\x07\b\r\nFORGED\t\x1b[2J\x1b]52;c;QUJD\x07\u009b31m\u009d\u202e\u2066\u200b\u2028\u2029\ufeff" +
	"\u00ad\U000e0041\ue000\u3164\x7fz"

// hostileName is hostile as far as the name of a file or an argument can be.
var hostileName = strings.ReplaceAll(hostile, "\x00", "")

// assertPrintable checks what a command wrote. Only printable lines of the program's own may be in it.
func assertPrintable(t *testing.T, what, output string) {
	t.Helper()
	if !utf8.ValidString(output) {
		t.Errorf("%s: not valid UTF-8: %q", what, output)
	}
	for _, r := range output {
		isInvisible := unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
		if isInvisible && r != '\n' && r != '\t' {
			t.Errorf("%s: %U is in %q", what, r, output)
			return
		}
	}
	for line := range strings.Lines(output) {
		if strings.HasPrefix(strings.TrimSpace(line), "FORGED") {
			t.Errorf("%s: a forged line in %q", what, output)
		}
	}
}

// wayOut is a use of a command that shows text from outside.
type wayOut struct {
	command   string // as in its help, without rosey
	arguments []string
	// own commands show nothing from outside, at least with these arguments.
	own bool
}

// TestEveryCommandShowsPrintableText has to know every command of the program. One that shows what others have sent,
// stored or named is tested with hostile text, in each of its formats.
func TestEveryCommandShowsPrintableText(t *testing.T) {
	ways := []wayOut{
		{command: "config schema", own: true},
		{command: "version", own: true},
		{command: "plugin check", arguments: []string{hostileName}},
		{command: "plugin check", arguments: []string{"evil", "--", "sh", "-c", `printf "$0"; exit 1`, hostileName}},
		{command: "plugin check", arguments: []string{"evil", "--", hostileName}},
		{command: "plugin check", arguments: []string{"dice"}, own: true},
		{command: "plugin check", arguments: []string{"dice", "-o", "json"}, own: true},
		{command: "config check", arguments: []string{
			hostileConfig(t, "channel: {name: %s, server: https://cytu.be}\n%s: 1\n"),
		}},
		{command: "config check", arguments: []string{
			hostileConfig(t, "{version: '2.0', platforms: [{channel: m, %s: 1}], %s: 1}"),
		}},
		{command: "config check", arguments: []string{hostileName}},
	}
	ways = append(ways, hostileSite(t)...)
	ways = append(ways, hostileReplies(t)...)
	ways = append(ways, hostileReports(t)...)
	ways = append(ways, hostileFiles(t)...)
	ways = append(ways, hostileOwners(t)...)
	ways = append(ways, hostileBots(t)...)
	tested := longRunning()
	for _, way := range ways {
		tested = append(tested, way.command)
		arguments := append(strings.Fields(way.command), way.arguments...)
		_, stdout, stderr := call(t, arguments...)
		what := fmt.Sprintf("%.200q", arguments)
		assertPrintable(t, what, stdout)
		// What follows the first line of an error is indented.
		assertPrintable(t, what, strings.ReplaceAll(stderr, "\n  ", " "))
		if !way.own && !strings.Contains(stdout+stderr, "FORGED") {
			t.Errorf("%s: the text from outside is not shown: %q", what, stdout+stderr)
		}
		var decoded any
		if isJSON := strings.HasPrefix(stdout, "{") || strings.HasPrefix(stdout, "["); isJSON &&
			json.Unmarshal([]byte(stdout), &decoded) != nil {
			t.Errorf("%s: not JSON: %q", what, stdout)
		}
	}
	for _, command := range leaves(newRootCommand()) {
		if !slices.Contains(tested, command) {
			t.Errorf("rosey %s is not tested here: add what it shows of others", command)
		}
	}
}

// leaves returns the commands that do something.
func leaves(command *cobra.Command) (names []string) {
	for _, child := range command.Commands() {
		names = append(names, leaves(child)...)
	}
	name := strings.TrimPrefix(command.CommandPath(), "rosey ")
	isGroup := command.HasSubCommands() && name != "db" && name != "db backup" && name != "user"
	if command.RunE != nil && !isGroup {
		names = append(names, name)
	}
	return names
}

// hostileConfig returns a file in a format with two hostile texts.
func hostileConfig(t *testing.T, format string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	quoted := strconv.QuoteToASCII(hostile) // YAML has the same escapes, and takes the characters only so
	content := fmt.Sprintf(format, quoted, quoted)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// hostileSite are uses of rosey init with a server that refuses the channel in words of its own, and with hostile
// answers.
func hostileSite(t *testing.T) []wayOut {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"error": hostile})
	}))
	t.Cleanup(site.Close)
	dir := filepath.Join(t.TempDir(), hostileName)
	return []wayOut{
		{command: "init", arguments: []string{"--dir", dir, "--channel", site.URL + "/r/movies", "--anonymous"}},
		{command: "init", arguments: []string{"--dir", dir, "--channel", hostileName, "--anonymous"}},
		{command: "init", arguments: []string{"--dir", dir, "--channel", "movies", "--anonymous", "--skip-login"}},
	}
}

// hostileReplies are the commands that ask a service. One service replies with names, another with errors.
func hostileReplies(t *testing.T) (ways []wayOut) {
	t.Helper()
	server := natstest.Start(t)
	service := server.Client()
	text, err := json.Marshal(hostile + "\x9b") // which makes it U+FFFD
	if err != nil {
		t.Fatal(err)
	}
	quoted := string(bytes.TrimSuffix(text, []byte(`"`))) + "\x9b\""
	for prefix, replies := range map[string]map[bus.Suffix]string{
		"names": {
			bus.OutboundPut: `{"success":false,"error":` + quoted + `}`,
			bus.QueryChannelStats: `{"high_water_mark":{},"high_water_connected":{},"total_users_seen":1,"success":true,` +
				`"top_chatters":[{"username":` + quoted + `}]}`,
			bus.QueryUserStats: `{"username":` + quoted + `,"success":true,"found":true}`,
			bus.PeopleExport:   `{"success":true,"items":[{"kind":"line","content":{"text":` + quoted + `}}]}`,
			bus.PeopleForget:   `{"success":true,"removed":{` + quoted + `:1},"backups":[` + quoted + `]}`,
		},
		"errors": {
			bus.OutboundPutCommand: `{"success":false,"error":` + quoted + `}`,
			bus.QueryChannelStats:  `{"success":false,"error":` + quoted + `}`,
			bus.QueryUserStats:     `{"success":false,"error":` + quoted + `}`,
			bus.PeopleExport:       `{"success":false,"error":` + quoted + `}`,
			bus.PeopleForget:       `{"success":false,"error":` + quoted + `}`,
		},
		"no": {},
	} {
		for suffix, reply := range replies {
			_, err := service.Subscribe(prefix+"."+string(suffix), func(m *nats.Msg) { _ = m.Respond([]byte(reply)) })
			if err != nil {
				t.Fatal(err)
			}
		}
		flags := []string{"--nats", server.URL(), "--prefix", prefix}
		if replies[bus.OutboundPut] != "" {
			ways = append(ways, wayOut{command: "say", arguments: append([]string{"hello"}, flags...)})
		}
		if replies[bus.OutboundPutCommand] != "" {
			ways = append(ways, wayOut{command: "say", arguments: append([]string{"/me waves"}, flags...)})
		}
		if len(replies) > 0 {
			ways = append(ways, wayOut{command: "user export", arguments: append([]string{"alice"}, flags...)})
		}
		for _, format := range []string{"text", "json"} {
			if len(replies) > 0 {
				ways = append(ways, wayOut{
					command: "user forget", arguments: append([]string{"alice", "--yes", "-o", format}, flags...)})
				ways = append(ways, wayOut{command: "top", arguments: append([]string{"-o", format}, flags...)})
				ways = append(ways, wayOut{command: "user", arguments: append([]string{"alice", "-o", format}, flags...)})
			}
		}
	}
	if err := service.Flush(); err != nil {
		t.Fatal(err)
	}
	ways = append(ways, hostilePlugin(t, server)...)
	// A server's own words about JetStream.
	_, err = service.Subscribe("$JS.API.STREAM.INFO.words_events", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"error":{"code":500,"err_code":10000,"description":` + quoted + `}}`))
	})
	if err == nil {
		err = service.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	// Servers and prefixes that a person mistyped.
	return append(ways,
		wayOut{command: "nats create", arguments: []string{"--nats", server.URL(), "--prefix", "words"}},
		wayOut{command: "top", arguments: []string{"--nats", "nats://" + hostileName}, own: true}, // may be a password
		wayOut{command: "user", arguments: []string{"x", "--nats", server.URL(), "--prefix", hostileName}},
		wayOut{command: "say", arguments: []string{"x", "--output", hostileName}, own: true})
}

// hostilePlugin is the command that asks plugins. One replies with texts of its own.
func hostilePlugin(t *testing.T, server *natstest.Server) []wayOut {
	t.Helper()
	declared, err := json.Marshal(bus.PluginCommand{Name: "x", Usage: hostile, Help: hostile})
	if err != nil {
		t.Fatal(err)
	}
	info, err := json.Marshal(map[string]any{
		"name": "names_movies_evil", "id": "1", "version": hostile, "endpoints": []any{
			map[string]any{
				"name": "x", "subject": "names.plugin.movies.evil.in.call.x",
				"metadata": map[string]string{bus.CommandMetadata: string(declared)},
			},
			map[string]any{"name": hostile, "subject": hostile},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	plugin := server.Client()
	_, err = plugin.Subscribe("$SRV.INFO.names_movies_evil", func(m *nats.Msg) { _ = m.Respond(info) })
	if err == nil {
		err = plugin.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{"--nats", server.URL(), "--prefix", "names", "--channel", "movies"}
	return []wayOut{
		{command: "plugin ls", arguments: append([]string{"evil", "away"}, flags...)},
		{command: "plugin ls", arguments: append([]string{"evil", "-o", "json"}, flags...)},
		{command: "plugin ls", arguments: append([]string{hostileName}, flags...)},
	}
}

// hostileReports are uses of rosey status with processes that report what they like.
func hostileReports(t *testing.T) (ways []wayOut) {
	t.Helper()
	report := status.Report{
		Component: status.BotComponent, Version: hostile, Reason: status.ReasonKicked, Message: hostile,
		Checks: []status.Check{{Name: "channel", Reason: status.ReasonKicked, Message: hostile}},
	}
	badName, badComponent, badLeader := report, report, report
	badName.Checks = []status.Check{{Name: hostile, Reason: status.ReasonKicked}}
	badComponent.Component, badLeader.Leader = hostile, hostile
	for i, each := range []status.Report{report, badName, badComponent, badLeader} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(each)
		}))
		t.Cleanup(server.Close)
		for _, format := range []string{"text", "json"} {
			ways = append(ways, wayOut{
				command: "status", arguments: []string{"--http", server.URL, "--output", format}, own: i > 0,
			})
		}
	}
	return ways
}

// hostileFiles are the commands for files, with rows and names of files that somebody else chose.
func hostileFiles(t *testing.T) []wayOut {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "rosey.db")
	writeHostileRows(t, path)
	python := writePython(t)
	db, err := sql.Open("sqlite", python)
	if err == nil {
		_, err = db.ExecContext(t.Context(), `CREATE TABLE "`+hostileName+`" (x); INSERT INTO "`+hostileName+`" VALUES (1)`)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	cytubeBot := writeCytubeBot(t)
	title := "'" + strings.ReplaceAll(hostileName, "'", "''") + "'"
	execute(t, cytubeBot, `UPDATE videos SET title = `+title+`; UPDATE chat SET username = `+title+`;
INSERT INTO chat SELECT timestamp, username, msg, `+title+` FROM chat`)
	flags := []string{"--channel", "movies", "--server", "https://cytu.be", "--database", path}
	with := func(arguments ...string) []string { return append(arguments, flags...) }
	return []wayOut{
		{command: "db show", arguments: with()},
		{command: "db show", arguments: with("-o", "json")},
		{command: "db dead list", arguments: with()},
		{command: "db dead list", arguments: with("-o", "json")},
		{command: "db dead retry", arguments: with(hostileName)},
		{command: "db dead retry", arguments: with("--all"), own: true},
		{command: "db dead drop", arguments: with(hostileName)},
		{command: "db backup", arguments: with(filepath.Join(dir, hostileName, "x"))},
		{command: "db backup", arguments: with(filepath.Join(dir, hostileName))},
		{command: "db backup list", arguments: with("--database-backup-directory", writeEmptyBackup(t))},
		{command: "db backup list", arguments: with("--database-backup-directory", writeEmptyBackup(t), "-o", "json")},
		{command: "db restore", arguments: with(filepath.Join(dir, "no"+hostileName))},
		{command: "db move", arguments: []string{"--from", "sqlite:///" + hostileName, "--to", "sqlite:///x"}},
		{command: "import", arguments: with(python, "--database-retention-chat", "forever")},
		{command: "import", arguments: with(python, "--drop-older", "-o", "json")},
		{command: "import", arguments: with(hostileName)},
		{command: "import", arguments: with(cytubeBot, "--drop-older")},
		{command: "import", arguments: with(cytubeBot, "--drop-older", "-o", "json")},
		{command: "import", arguments: []string{cytubeBot, "--channel", "other", "--database", path}},
	}
}

// writeEmptyBackup returns a directory whose name is hostile, with a backup that cannot be restored.
func writeEmptyBackup(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), hostileName)
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "rosey-0123abcd-20250101T000000Z.db"), nil, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// hostileOwners are the commands for a PostgreSQL database, in which another service has written its name.
func hostileOwners(t *testing.T) []wayOut {
	t.Helper()
	file := pgtest.WriteURL(t, pgtest.Use(t).Database(t))
	s, err := postgres.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	channel := store.Channel{Server: "https://cytu.be", Name: "movies"}
	for _, each := range []store.Channel{channel, {Server: hostileName, Name: hostileName}} {
		if _, err := s.AssignChannel(t.Context(), store.Service{Prefix: hostileName, Name: hostileName}, each); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--channel", "movies", "--server", "https://cytu.be", "--database-postgres-url-file", file}
	return []wayOut{
		{command: "db channel list", arguments: flags},
		{command: "db channel list", arguments: append([]string{"-o", "json"}, flags...)},
		{command: "db channel assign", arguments: append([]string{"--prefix", "mine"}, flags...)},
	}
}

// hostileStream returns the URL of a server with a stream whose metadata somebody else has written.
func hostileStream(t *testing.T) string {
	t.Helper()
	nats := natstest.Start(t, natstest.JetStream(t))
	js, err := jetstream.New(nats.Client())
	if err == nil {
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "rosey_events", Subjects: []string{"rosey.db.message.log"},
			Metadata: map[string]string{"rosey.dev/database": hostile, "rosey.dev/roseybot": hostile},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return nats.URL()
}

// hostileBots are the commands for administrators of NATS, who read RoseyBots of others.
func hostileBots(t *testing.T) []wayOut {
	t.Helper()
	file, dir := filepath.Join(t.TempDir(), "bots.yaml"), filepath.Join(t.TempDir(), hostileName)
	content := fmt.Sprintf("apiVersion: rosey.dev/v1alpha1\nkind: RoseyBot\nmetadata: {name: %s}\nspec: {}\n",
		strconv.QuoteToASCII(hostile))
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	other := writeFile(t, "other.yaml", "kind: "+strconv.QuoteToASCII(hostile))
	nats := []string{"--nats", hostileStream(t)}
	return []wayOut{
		{command: "job", arguments: []string{"-f", other, "--", "import"}},
		{command: "nats list", arguments: nats},
		{command: "nats list", arguments: append([]string{"-o", "json"}, nats...)},
		{command: "nats remove", arguments: append([]string{"--force", "rosey"}, nats...)},
		{command: "nats remove", arguments: append([]string{hostileName}, nats...)},
		{command: "nats permissions", arguments: []string{"--role", "FORGED" + hostileName}},
		{command: "nats permissions", arguments: []string{"--prefix", hostileName}},
		{command: "nats issue", arguments: []string{"-f", file, "--for", "jwt", "--dir", dir}},
		{command: "nats issue", arguments: []string{"-f", hostileName, "--for", "jwt", "--dir", dir}},
	}
}

func writeHostileRows(t *testing.T, path string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	channel := store.Channel{Server: "https://cytu.be", Name: "movies"}
	title, err := json.Marshal(hostile)
	if err == nil {
		err = s.Apply(t.Context(), []store.Event{
			{ID: "1", Channel: channel, At: time.Now(), Fact: store.ChatLine{Username: hostile, Text: hostile}},
			{ID: "2", Channel: channel, At: time.Now(), Fact: store.Status{
				Fields: map[string]json.RawMessage{"current_media_title": title},
			}},
		})
	}
	if err == nil {
		_, err = s.AddDeadLetters(t.Context(), []store.DeadLetter{
			store.NewDeadLetter(hostile, hostile, hostile, []byte(hostile+"\x9b"), time.Now()),
		}, store.DeadLetterQuota{})
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// longRunning are the commands of the two tests below.
func longRunning() []string {
	commands := []string{"tail", "bot", "db", "web", "run", "plugin host"}
	for _, name := range builtin.Names() {
		commands = append(commands, "plugin "+name)
	}
	return commands
}
