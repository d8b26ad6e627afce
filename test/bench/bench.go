package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/hack/cytube/simulator"
)

const (
	channelName = "movienight"
	account     = "Rosey"
	password    = "bench-password" // of the simulator that lives as long as the bench
)

// bench is what cases share: the built program, a directory, and the table.
type bench struct {
	dir     string
	program string
	verbose bool
	table   table
	current string
	files   int
	// terminal says that somebody looks.
	terminal bool
}

// newBench builds the program as a release is built.
func newBench(ctx context.Context, verbose bool) (*bench, error) {
	dir, err := os.MkdirTemp("", "rosey-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	b := &bench{dir: dir, program: filepath.Join(dir, "rosey"), verbose: verbose}
	if about, err := os.Stderr.Stat(); err == nil {
		b.terminal = about.Mode()&os.ModeCharDevice != 0
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.program, //nolint:gosec // ours
		"./cmd/rosey")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		_ = b.close()
		return nil, fmt.Errorf("building the program (in the repository's root): %w", err)
	}
	return b, nil
}

func (b *bench) close() error {
	if err := os.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("removing the directory: %w", err)
	}
	return nil
}

// report adds a figure of the case that runs.
func (b *bench) report(figure string, value float64, unit, against string) {
	b.table.rows = append(b.table.rows, row{b.current, figure, value, unit, against})
}

// say tells the person at the terminal what was done.
func (b *bench) say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, b.clear()+"bench: "+format+"\n", arguments...)
}

// progress tells what is being done, in a line that the next one replaces. Where nobody looks it is left out.
func (b *bench) progress(format string, arguments ...any) {
	if b.terminal {
		fmt.Fprintf(os.Stderr, b.clear()+"bench: "+format, arguments...)
	}
}

func (b *bench) clear() string {
	if b.terminal {
		return "\r\x1b[K"
	}
	return ""
}

// file writes a file of its own for each call, and answers its path.
func (b *bench) file(content string) (string, error) {
	b.files++
	path := filepath.Join(b.dir, strconv.Itoa(b.files))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("writing a file: %w", err)
	}
	return path, nil
}

// world is a CyTube server and a NATS server on loopback.
type world struct {
	sim  *simulator.Server
	site *httptest.Server
	nats *server.Server
}

// newWorld starts both. durable: NATS has JetStream.
func (b *bench) newWorld(durable bool) (*world, error) {
	sim, err := simulator.New(simulator.Options{
		Accounts: []simulator.Account{{Name: account, Password: password, Rank: 3}},
	})
	if err != nil {
		return nil, fmt.Errorf("making a CyTube simulator: %w", err)
	}
	b.files++
	nats, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: durable, StoreDir: filepath.Join(b.dir, strconv.Itoa(b.files)),
	})
	if err == nil {
		nats.Start()
		if !nats.ReadyForConnections(patience) {
			err = errors.New("it does not become ready")
		}
	}
	if err != nil {
		sim.Close()
		return nil, fmt.Errorf("starting a NATS server: %w", err)
	}
	return &world{sim: sim, site: httptest.NewServer(sim.Handler()), nats: nats}, nil
}

func (w *world) close() {
	w.sim.Close()
	w.site.Close()
	w.nats.Shutdown()
	w.nats.WaitForShutdown()
}

func (w *world) channel() *simulator.Channel { return w.sim.Channel(channelName) }

// How a bot reaches its database.
const (
	overNATS   = "NATS"
	overStream = "JetStream"
	direct     = "direct"
)

// startBot starts a bot with the configuration of a mode.
func (b *bench) startBot(ctx context.Context, w *world, mode string) (*process, error) {
	secret, err := b.file(password)
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("nats: {url: %q}\n", w.nats.ClientURL())
	if mode == direct {
		where = fmt.Sprintf("mode: direct\ndatabase: {sqlite: {path: %q}}\n", b.newDatabase())
	}
	file, err := b.file(fmt.Sprintf("channel: {server: %q, name: %s}\naccount: {username: %s, passwordFile: %q}\n"+
		"http: {address: \"127.0.0.1:0\"}\n%s", w.site.URL, channelName, account, secret, where))
	if err != nil {
		return nil, err
	}
	return b.start(ctx, "bot", "--config", file)
}

// startService starts a database service on a new SQLite file.
func (b *bench) startService(ctx context.Context, w *world) (*process, error) {
	return b.start(ctx, "db", "--nats", w.nats.ClientURL(), "--server", w.site.URL, "--channel", channelName,
		"--database", b.newDatabase(), "--http", "127.0.0.1:0")
}

func (b *bench) newDatabase() string {
	b.files++
	return filepath.Join(b.dir, strconv.Itoa(b.files)+".db")
}
