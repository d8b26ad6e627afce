package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/exit"
)

// TestNoErrorShowsASecret uses commands as somebody might who puts a password where it does not belong, and URLs in
// every spelling.
func TestNoErrorShowsASecret(t *testing.T) {
	const secret = "hunter2,@/:?#%&é"
	escaped := url.QueryEscape(secret)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bot := []string{"bot", "--channel", "m", "--http", "127.0.0.1:0"}
	database := []string{"db", "--channel", "m", "--nats", "nats://127.0.0.1:1", "--http", "127.0.0.1:0"}
	show := []string{"db", "show", "--channel", "m"}
	urls := []string{
		"postgres://u:" + escaped + "@127.0.0.1:1/db", "postgresql://u:" + secret + "@127.0.0.1:1/db",
		"postgres://127.0.0.1:1/db?user=u&password=" + escaped, "postgres://u:" + escaped + "@[::1/db",
		"postgres://u:" + escaped + "@127.0.0.1:1,127.0.0.1:2/db?sslmode=nonsense", "POSTGRES://u:" + escaped + "@h/db",
		"host=127.0.0.1 port=1 user=u password=" + secret,
		"postgres://u:" + escaped + "@127.0.0.1:1/db?sslpassword=" + escaped,
	}
	calls := [][]string{
		append(bot, "--password", secret), append(bot, "--password="+secret), append(bot, "--account-password", secret),
		append(bot, "--server", "https://u:"+secret+"@cytu.be"),
		append(bot, "--server", "https://cytu.be/?password="+escaped),
		append(bot, "--nats", "nats://u:"+escaped+"@127.0.0.1:1"),
		{"config", "check", write("password.yaml", "account: {password: \""+secret+"\"}\n")},
		{"config", "check", write("section.yaml", "account: \""+secret+"\"\n")},
		{"config", "check", write("list.yaml", "channel: {name: m, server: ["+escaped+"]}\n")},
		{"config", "check", write("broken.yaml", "account: {passwordFile: \""+secret+"\n")},
		{"config", "check", write("v2.json",
			`{"version":"2.0","platforms":[{"channel":["m",7],"user":["x",["`+secret+`"]]}]}`)},
	}
	for i, one := range urls {
		file := write(string(rune('a'+i)), one)
		calls = append(calls,
			append(database, "--database-postgres-url-file", one), append(show, "--database-postgres-url-file", one),
			append(show, "--database-postgres-url-file", file),
			[]string{"db", "move", "--from", one, "--to", "sqlite://" + dir + "/x"},
			[]string{"db", "move", "--from", "postgres-file://" + file, "--to", "sqlite://" + dir + "/x"})
	}
	for _, arguments := range calls {
		code, stdout, stderr := call(t, arguments...)
		if code == exit.Clean || stderr == "" {
			t.Errorf("%q: exit code %d without an error", arguments, code)
		}
		for _, shown := range []string{"hunter2", "hunter"} {
			if strings.Contains(stdout+stderr, shown) {
				t.Errorf("%q: the output shows the secret: %s%s", arguments, stdout, stderr)
				break
			}
		}
	}
}
