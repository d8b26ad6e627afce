package browser

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that a test has started.
type process struct {
	command *exec.Cmd
	log     *buffer
	done    chan struct{}
}

// buffer is a log that is read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func start(t *testing.T, name string, arguments ...string) *process {
	t.Helper()
	p := &process{log: &buffer{}, done: make(chan struct{})}
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

// freeAddress returns an address on which nothing listens. The ports that the system chooses for connections are left
// out: one of them may be in use a moment later.
func freeAddress(t *testing.T) string {
	t.Helper()
	return freeAddressOf(t, "127.0.0.1")
}

func freeAddressOf(t *testing.T, host string) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("%s:%d", host, 10_000+rand.IntN(20_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
