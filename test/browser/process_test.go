package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/test/logtest"
)

// process is a program that a test has started.
type process struct {
	command *exec.Cmd
	log     *logtest.Buffer
	done    chan struct{}
}

func start(t *testing.T, name string, arguments ...string) *process {
	t.Helper()
	p := &process{log: &logtest.Buffer{}, done: make(chan struct{})}
	p.command = exec.Command(filepath.Join(programs, name), arguments...)
	p.command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ROSEY_") })
	p.command.Stdout, p.command.Stderr = p.log, p.log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.command.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("%s %.20s:\n%s", name, arguments, p.log)
		}
	})
	return p
}

// signal sends a signal to the program. One that has ended gets none.
func (p *process) signal(signal syscall.Signal) { _ = p.command.Process.Signal(signal) }

// end stops the program and waits for it.
func (p *process) end() {
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT) // it may be stopped
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.command.Process.Kill()
		<-p.done
	}
}
