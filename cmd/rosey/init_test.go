package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// setupSite is a server with an account, a private channel and one that does not exist.
func setupSite(t *testing.T) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}, {Name: "Plain", Password: "hush-too"}},
		Channels: []simulator.ChannelOptions{
			simulator.DefaultChannel("movienight"), {Name: "private", Password: "open-sesame"},
			{Name: "nowhere", Unregistered: true},
		},
	})
}

// contentsOf returns the files below a directory with their content.
func contentsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestInitWritesWhatRunNeeds sets a bot up by flags, and runs it with nothing but what was written.
func TestInitWritesWhatRunNeeds(t *testing.T) {
	t.Parallel()
	sim, site := setupSite(t)
	secret := writeFile(t, "given", "hush-too\n")
	channelSecret := writeFile(t, "channel", "open-sesame")
	dir := filepath.Join(t.TempDir(), "made", "here")
	code, stdout, stderr := call(t, "init", "--dir", dir, "--data", filepath.Join(dir, "data"),
		"--channel", strings.ToUpper(site)+"/r/private", "--channel-password-file", channelSecret,
		"--username", "plain", "--password-file", secret, "--database-retention-chat", "forever",
		"--database-backup-every", "12h", "--database-backup-keep", "3", "--web-tokens", "alice, bob.commands")
	if code != exit.Clean || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if text := stdout + stderr; strings.Contains(text, "hush") || strings.Contains(text, "sesame") {
		t.Errorf("a password is shown: %s", text)
	}
	files := contentsOf(t, dir)
	want := []string{"channel-password", "password", "rosey.yaml", "tokens/alice", "tokens/bob.commands"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Fatalf("written: %q, want %q", got, want)
	}
	for _, name := range append(want, "tokens", ".") {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is not for its owner alone: %v, %v", name, info.Mode(), err)
		}
	}
	if len(files["tokens/alice"]) < 26 || files["tokens/alice"] == files["tokens/bob.commands"] {
		t.Errorf("tokens %q and %q", files["tokens/alice"], files["tokens/bob.commands"])
	}
	file := filepath.Join(dir, "rosey.yaml")
	if code, out, stderr := call(t, "config", "check", file); code != exit.Clean || strings.Contains(out, "warning") ||
		!strings.Contains(out, "rosey run: ok\n") {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
	before := len(sim.Channel("private").Log())
	if users := sim.Channel("private").Users(); before == 0 || len(users) != 0 {
		t.Errorf("after the try, %d entries and users %+v", before, users)
	}
	p := start(t, "run", "--config", file, "--http", "127.0.0.1:0")
	p.waitFor(status.ReasonReady)
	if users := sim.Channel("private").Users(); len(users) != 1 || users[0].Name != "Plain" {
		t.Errorf("users %+v", users)
	}
	for _, text := range []string{"as the account plain", filepath.Join(dir, "data", "rosey.db"), "every 12h"} {
		if !strings.Contains(p.output(), text) {
			t.Errorf("the banner lacks %q:\n%s", text, p.output())
		}
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
}

// TestInitWritesNothingUnlessAllIsWell has a reason for each message, and nothing is there afterwards.
func TestInitWritesNothingUnlessAllIsWell(t *testing.T) {
	t.Parallel()
	_, site := setupSite(t)
	wrong, empty := writeFile(t, "wrong", "not this one"), writeFile(t, "empty", "\n")
	channel := []string{"--channel", site + "/r/movienight"}
	with := func(arguments ...string) []string { return append(slices.Clone(channel), arguments...) }
	for name, test := range map[string]struct {
		arguments []string
		code      int
		stderr    string
	}{
		"no channel":        {nil, exit.Usage, "--channel: expected, because there is no terminal to ask at"},
		"no account":        {channel, exit.Usage, "--username or --anonymous: expected one of them"},
		"no password":       {with("--username", "Rosey"), exit.Usage, "--password-file or --guest: expected one of them"},
		"wrong password":    {with("--username", "Rosey", "--password-file", wrong), exit.Failure, "login as Rosey refused"},
		"registered name":   {with("--username", "Rosey", "--guest"), exit.Failure, "is registered"},
		"empty password":    {with("--username", "Rosey", "--password-file", empty), exit.Failure, "absent or empty"},
		"absent password":   {with("--username", "Rosey", "--password-file", "/no/file"), exit.Failure, "absent or empty"},
		"missing channel":   {[]string{"--channel", site + "/r/nowhere", "--anonymous"}, exit.Failure, "no channel nowhere"},
		"private channel":   {[]string{"--channel", site + "/r/private", "--anonymous"}, exit.Failure, "asks for a password"},
		"bad channel":       {[]string{"--channel", "a b", "--anonymous"}, exit.Usage, `--channel: "a b", expected 1 to 30`},
		"address of a site": {[]string{"--channel", site, "--anonymous"}, exit.Usage, "expected the path /r/NAME"},
		"two servers": {
			with("--server", "https://cytu.be", "--anonymous"), exit.Usage, "--server: another one than that of the channel",
		},
		"unreachable server": {
			[]string{"--channel", "movienight", "--server", "http://127.0.0.1:1", "--anonymous"}, exit.Failure,
			"connection refused; --skip-login goes on",
		},
		"two accounts":  {with("--anonymous", "--username", "Rosey"), exit.Usage, "--anonymous: expected neither --username"},
		"bad retention": {with("--anonymous", "--database-retention-chat", "5m"), exit.Usage, `-retention-chat: "5m", exp`},
		"bad number":    {with("--anonymous", "--database-backup-keep", "many"), exit.Usage, `"many", expected a whole`},
		"bad address":   {with("--anonymous", "--http", "8080"), exit.Usage, `--http: "8080", expected [host]:port`},
		"bad person":    {with("--anonymous", "--web-tokens", "../alice"), exit.Usage, `--web-tokens: "../alice", expected`},
		"same person":   {with("--anonymous", "--web-tokens", "alice,Alice.commands"), exit.Usage, "Alice is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := []string{"init", "--dir", filepath.Join(parent, "a", "b")}
			code, stdout, stderr := call(t, append(dir, test.arguments...)...)
			if code != test.code || !strings.Contains(stderr, test.stderr) {
				t.Errorf("exit code %d, want %d and %q: %s", code, test.code, test.stderr, stderr)
			}
			if strings.Contains(stdout+stderr, "not this one") {
				t.Error("the password is shown")
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// TestInitReplacesNothingUnasked: files that are there stay as they are, also if only the last of them is in the way.
func TestInitReplacesNothingUnasked(t *testing.T) {
	t.Parallel()
	secret := writeFile(t, "given", "hush-hush")
	for name, test := range map[string]struct {
		before    map[string]string
		arguments []string
		stderr    string
	}{
		"configuration": {map[string]string{"rosey.yaml": "mine"}, nil, "rosey.yaml exists, and is only replaced with --f"},
		"password":      {map[string]string{"password": "mine"}, nil, "password exists, and is only replaced with --force"},
		"token": {
			map[string]string{"tokens/alice": "mine"}, []string{"--web-tokens", "alice"}, "tokens/alice exists",
		},
		"a directory in the place of the last file": {
			map[string]string{"rosey.yaml/file": "mine", "password": "mine", "tokens/alice": "mine"},
			[]string{"--web-tokens", "alice,bob", "--force"}, "rosey.yaml is a directory",
		},
		"a file in the place of the tokens": {
			map[string]string{"tokens": "mine", "password": "mine"}, []string{"--web-tokens", "alice", "--force"},
			"tokens/alice",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range test.before {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, _, stderr := call(t, append([]string{"init", "--dir", dir, "--skip-login", "--channel", "movienight",
				"--username", "Rosey", "--password-file", secret}, test.arguments...)...)
			if code != exit.Failure || !strings.Contains(stderr, test.stderr) || !strings.Contains(stderr, nothingWritten) {
				t.Errorf("exit code %d, want %q: %s", code, test.stderr, stderr)
			}
			if after := contentsOf(t, dir); !maps.Equal(after, test.before) {
				t.Errorf("there is now %q, want %q", after, test.before)
			}
		})
	}
}

// TestInitReplacesFilesWhenAsked: a token that is not named, and other files, stay.
func TestInitReplacesFilesWhenAsked(t *testing.T) {
	t.Parallel()
	dir := filesDir(t, map[string]string{"rosey.yaml": "old", "password": "old", "notes": "mine"})
	if err := os.Chmod(filepath.Join(dir, "password"), 0o644); err != nil {
		t.Fatal(err)
	}
	secret := writeFile(t, "given", "hush-hush")
	code, _, stderr := call(t, "init", "--dir", dir, "--force", "--skip-login", "--channel", "movienight",
		"--username", "Rosey", "--password-file", secret)
	if code != exit.Clean {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	files := contentsOf(t, dir)
	isNew := files["password"] == "hush-hush\n" && strings.Contains(files["rosey.yaml"], "movienight")
	if !isNew || files["notes"] != "mine" || len(files) != 3 {
		t.Errorf("files: %q", files)
	}
	if info, err := os.Stat(filepath.Join(dir, "password")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the password: %v, %v", info.Mode(), err)
	}
}

// TestInitSaysWhereItCannotWrite uses a directory in which nobody may, not even root.
func TestInitSaysWhereItCannotWrite(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("there is no /proc, in which nobody may write")
	}
	for dir, stderr := range map[string]string{
		"/proc": "writing in /proc", "/proc/new": "creating the directory", writeFile(t, "file", ""): "opening the directory",
	} {
		code, _, message := call(t, "init", "--dir", dir, "--channel", "movienight", "--anonymous")
		if code != exit.Failure || !strings.Contains(message, stderr) || !strings.Contains(message, nothingWritten) {
			t.Errorf("%s: exit code %d, want %q: %s", dir, code, stderr, message)
		}
	}
}

// TestInitReadsThePasswordFromItsInput as a script gives it. Nothing else is read there.
func TestInitReadsThePasswordFromItsInput(t *testing.T) {
	t.Parallel()
	_, site := setupSite(t)
	for input, code := range map[string]int{
		"hush-hush\n": exit.Clean, "hush-hush": exit.Clean, "": exit.Usage, "hush-hush\nmore\n": exit.Usage,
		strings.Repeat("x", maxPassword+1): exit.Failure,
	} {
		dir := filepath.Join(t.TempDir(), "new")
		command := program(t, "init", "--dir", dir, "--channel", site+"/r/movienight", "--username", "Rosey",
			"--password-file", "-")
		command.Stdin = strings.NewReader(input)
		out, _ := command.CombinedOutput()
		if command.ProcessState.ExitCode() != code {
			t.Errorf("%.20q: exit code %d, want %d: %s", input, command.ProcessState.ExitCode(), code, out)
		}
		if _, err := os.Stat(dir); (err == nil) != (code == exit.Clean) {
			t.Errorf("%.20q: the directory: %v", input, err)
		}
	}
}
