package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
)

// typist is a person at the terminal of a process.
type typist struct {
	t        *testing.T
	terminal *os.File // the person's side
	other    *os.File // that of the process
	command  *exec.Cmd
	reading  sync.WaitGroup

	mu    sync.Mutex
	shown string
	seen  int // how much of it the person has read
}

// startAtTerminal starts a process of the program at a terminal of its own.
func startAtTerminal(t *testing.T, arguments ...string) *typist {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal: %v", err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &typist{t: t, terminal: master, other: slave, command: program(t, arguments...)}
	p.command.Stdin, p.command.Stdout, p.command.Stderr = slave, slave, slave
	p.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	p.reading.Go(p.read)
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		_ = slave.Close() // after which there is nothing more to read
		p.reading.Wait()
		_ = master.Close()
	})
	return p
}

func (p *typist) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := p.terminal.Read(buffer)
		p.mu.Lock()
		p.shown += string(buffer[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// output returns everything that the terminal has shown.
func (p *typist) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown
}

// answer waits for a question, and types something.
func (p *typist) answer(question, keys string) {
	p.t.Helper()
	natstest.Eventually(p.t, "the question "+question, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		at := strings.Index(p.shown[p.seen:], question)
		if at >= 0 && strings.HasSuffix(p.shown, ": ") {
			p.seen = len(p.shown)
			return true
		}
		return false
	})
	if _, err := p.terminal.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the end of the process, and until all that it wrote is shown. It returns the exit code.
func (p *typist) end() int {
	p.t.Helper()
	_ = p.command.Wait() // the exit code says more
	const last = "(the end)"
	if _, err := p.other.WriteString(last); err != nil {
		p.t.Fatal(err)
	}
	natstest.Eventually(p.t, "the end of what is shown", func() bool { return strings.HasSuffix(p.output(), last) })
	return p.command.ProcessState.ExitCode()
}

// echoes reports whether the terminal shows what is typed.
func (p *typist) echoes() bool {
	p.t.Helper()
	state, err := unix.IoctlGetTermios(int(p.other.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// TestInitAsksAPerson who mistypes an answer and the password. What they type as a password is not shown.
func TestInitAsksAPerson(t *testing.T) {
	t.Parallel()
	_, site := setupSite(t)
	dir := t.TempDir()
	p := startAtTerminal(t, "init", "--dir", dir)
	p.answer("Channel", "movie night\n")
	p.answer(`"movie night", expected 1 to 30`, site+"/r/movienight\n")
	p.answer("Name of the bot", "Rosey\n")
	p.answer("Password of the account Rosey", "wrong-hush\n")
	p.answer("login as Rosey refused", "Rosey\n")
	p.answer("Password of the account Rosey", "hush-hush\n")
	p.answer("How long lines of chat are kept", "forever\n")
	p.answer("Time between two backups", "\n")
	p.answer("Number of backups", "0\n")
	p.answer("expected 1 to 1000", "2\n")
	p.answer("Address of the web page", "\n")
	p.answer("Host name of the page", "movies.example.org\n")
	p.answer("May everybody", "perhaps\n")
	p.answer("expected yes or no", "y\n")
	p.answer("People who get a token", "alice\n")
	if code := p.end(); code != exit.Clean {
		t.Fatalf("exit code %d:\n%s", code, p.output())
	}
	if strings.Contains(p.output(), "hush") {
		t.Errorf("a password is shown:\n%s", p.output())
	}
	files := contentsOf(t, dir)
	for _, text := range []string{
		`name: "movienight"`, `username: "Rosey"`, `chat: "forever"`, `every: "24h"`, "keep: 2", `address: "127.0.0.1:8080"`,
		"public: true", `host: "movies.example.org"`,
	} {
		if !strings.Contains(files["rosey.yaml"], text) {
			t.Errorf("the configuration lacks %s:\n%s", text, files["rosey.yaml"])
		}
	}
	if files["password"] != "hush-hush\n" || files["tokens/alice"] == "" {
		t.Errorf("files: %q", files)
	}
}

// TestInitForgetsAnAccountThatWasRefused: the person goes on without one.
func TestInitForgetsAnAccountThatWasRefused(t *testing.T) {
	t.Parallel()
	_, site := setupSite(t)
	dir := t.TempDir()
	p := startAtTerminal(t, "init", "--dir", dir, "--channel", site+"/r/movienight")
	p.answer("Name of the bot", "Rosey\n")
	p.answer("Password of the account Rosey", "wrong-hush\n")
	for _, question := range []string{
		"login as Rosey refused", "How long", "Time between", "Number of", "Address of", "Host name", "May everybody",
		"People",
	} {
		p.answer(question, "\n")
	}
	if code := p.end(); code != exit.Clean {
		t.Fatalf("exit code %d:\n%s", code, p.output())
	}
	files := contentsOf(t, dir)
	if len(files) != 1 || strings.Contains(files["rosey.yaml"], "Rosey") {
		t.Errorf("files: %q", files)
	}
}

// TestInterruptedInitLeavesNothing by Ctrl-C: neither files, nor a terminal that does not show what is typed.
func TestInterruptedInitLeavesNothing(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	p := startAtTerminal(t, "init", "--dir", filepath.Join(parent, "new"), "--skip-login", "--channel", "movienight")
	p.answer("CyTube server", "\n")
	p.answer("Name of the bot", "Rosey\n")
	natstest.Eventually(t, "a terminal that hides what is typed", func() bool { return !p.echoes() })
	p.answer("Password of the account Rosey", "half\x03")
	if code := p.end(); code != exit.Failure || !strings.Contains(p.output(), "interrupted; "+nothingWritten) {
		t.Errorf("exit code %d:\n%s", code, p.output())
	}
	if !p.echoes() {
		t.Error("the terminal does not show what is typed")
	}
	p.leftNothing(parent)
}

// TestInitEndsWithItsInput, by Ctrl-D at a question.
func TestInitEndsWithItsInput(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	p := startAtTerminal(t, "init", "--dir", filepath.Join(parent, "new"))
	p.answer("Channel", "\x04")
	if code := p.end(); code != exit.Failure || !strings.Contains(p.output(), nothingWritten) {
		t.Errorf("exit code %d:\n%s", code, p.output())
	}
	p.leftNothing(parent)
}

func (p *typist) leftNothing(parent string) {
	p.t.Helper()
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		p.t.Errorf("left: %v, %v", left, err)
	}
}
