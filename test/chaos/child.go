package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"rosey.dev/rosey/runtime/backoff"
)

// restartDelay is the time until an exited program is restarted, like that of a container.
const restartDelay = 500 * time.Millisecond

// child is a program that is restarted whenever it exits, as the kubelet restarts a container.
type child struct {
	name    string
	program string
	args    []string
	env     []string // added to this process's environment
	log     string   // a file
	dir     string
	// as is the account under which it runs. Nil: this process's account.
	as *syscall.Credential

	keeper sync.WaitGroup
	end    context.CancelFunc

	mu      sync.Mutex
	process *os.Process   // nil: not running
	starts  int           // how often it was started
	held    bool          // must not be restarted
	changed chan struct{} // closed when it has started or exited
}

// startChild starts a program, whose log is in the directory dir.
func startChild(ctx context.Context, dir string, c *child) *child {
	c.log, c.changed = filepath.Join(dir, c.name+".log"), make(chan struct{})
	ctx, c.end = context.WithCancel(context.WithoutCancel(ctx))
	c.keeper.Go(func() { c.keep(ctx) })
	return c
}

func (c *child) keep(ctx context.Context) {
	// Pdeathsig applies to the thread that started the program, so the thread must not end before it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		c.mu.Lock()
		held, changed := c.held, c.changed
		c.mu.Unlock()
		if held {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		if err := c.once(ctx); err != nil {
			return
		}
		backoff.Sleep(ctx, restartDelay)
	}
}

// once runs the program until it exits. It returns an error if the program cannot be started.
func (c *child) once(ctx context.Context) error {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", c.name, err)
	}
	defer func() { _ = log.Close() }()
	command := exec.CommandContext(ctx, c.program, c.args...) //nolint:gosec // the run's own programs
	command.Stdout, command.Stderr = log, log
	command.Env, command.Dir = append(os.Environ(), c.env...), c.dir
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: c.as}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	c.set(command.Process)
	defer c.set(nil)
	_ = command.Wait() // being killed is expected
	return nil
}

func (c *child) set(process *os.Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.process = process
	if process != nil {
		c.starts++
	}
	c.signalChange()
}

// startCount returns how often the program was started.
func (c *child) startCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.starts
}

func (c *child) signalChange() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// signal sends a signal to the program, which must be running.
func (c *child) signal(signal os.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return fmt.Errorf("%s is not running", c.name)
	}
	if err := c.process.Signal(signal); err != nil {
		return fmt.Errorf("sending a signal to %s: %w", c.name, err)
	}
	return nil
}

// down stops the program, which is not restarted until up is called.
func (c *child) down(ctx context.Context, signal os.Signal) error {
	c.mu.Lock()
	c.held = true
	c.mu.Unlock()
	if err := c.signal(signal); err != nil {
		return err
	}
	return c.ended(ctx)
}

func (c *child) up() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	c.signalChange()
}

// ended waits until the program is not running.
func (c *child) ended(ctx context.Context) error {
	for {
		c.mu.Lock()
		process, changed := c.process, c.changed
		c.mu.Unlock()
		if process == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to exit: %w", c.name, ctx.Err())
		}
	}
}

// stop kills the program and ends its restarts.
func (c *child) stop() {
	c.end()
	c.keeper.Wait()
}
