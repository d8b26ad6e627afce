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
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

const (
	channelName = "movienight"
	account     = "Rosey"
	password    = "bench-password" // for the simulator of this run
)

// film plays in the channel: the server sends its position every five seconds.
var film = simulator.Media{ID: "bench", Title: "A long film", Type: "yt", Seconds: 3 * 60 * 60}

// sizes are how much the cases measure.
type sizes struct {
	idleRuns int
	// idleFor is how long a process idles before its memory is read.
	idleFor time.Duration
	// chatLines are said at each of chatRates, in lines per second.
	chatLines int
	chatRates []int
	rowLines  int
	// singleLines is the number of lines with a transaction each, which waits for the disk and for the reply.
	singleLines   int
	rowRounds     int
	services      []int
	requestRounds int
	// queryLines is how many lines are stored, queryRounds how often each query is sent.
	queryLines, queryRounds int
	// singles is the number of single lines. All processes are idle between them.
	singles int
	// pause is the time between two single lines. It is long enough that each is a batch of its own, and that all
	// processes sleep before it, as with one line a second.
	pause time.Duration
	// evening is how long a channel with a line a second is watched.
	evening time.Duration
	// said is the number of lines of the outbound queue.
	said int
	// pageLines are kept of pagePeople people with pagePresence joins and leaves. Each page is asked for pageRounds times
	// and painted pagePaints times; pageSaid lines are said to pageStreams open pages.
	pageLines, pagePeople, pagePresence, pageRounds, pagePaints, pageStreams, pageSaid int
	// pageBuilds is whether the program is built with and without the pages.
	pageBuilds bool
	// tracesRounds is how often the lines of measureTraces are said with traces and without.
	tracesRounds int
}

// fullSizes are those of the table in docs/performance.md.
var fullSizes = sizes{
	idleRuns: 5, idleFor: 21 * time.Second, // two of the bot's status updates
	chatLines: 10_000, chatRates: []int{2000, 500}, // a flood, and more than any real channel has
	rowLines: 50_000, singleLines: 1_000, rowRounds: 3, services: []int{1, 2, 4},
	requestRounds: 2_000, queryLines: 100_000, queryRounds: 20,
	singles: 200, pause: 100 * time.Millisecond, said: 100, evening: time.Minute,
	tracesRounds: 5,
	pageLines:    100_000, pagePeople: 5_000, pagePresence: 1_000_000, pageRounds: 20, pagePaints: 5,
	pageStreams: 200, pageSaid: 40, pageBuilds: true,
}

// bench is shared by the cases: the built program, a directory, and the table.
type bench struct {
	sizes

	dir     string
	program string
	// environment are variables of the processes that are started, as NAME=value.
	environment []string
	verbose     bool
	table       table
	current     string
	files       int
	// postgres is nil before it is needed.
	postgres *pgtest.Server
	// terminal reports whether standard error is a terminal.
	terminal bool
}

// newBench builds the program with flags, unless program is one that was built before.
func newBench(ctx context.Context, sizes sizes, verbose bool, program string, flags ...string) (*bench, error) {
	dir, err := os.MkdirTemp("", "rosey-bench-")
	if err != nil {
		return nil, fmt.Errorf("creating a directory: %w", err)
	}
	b := &bench{sizes: sizes, dir: dir, program: filepath.Join(dir, "rosey"), verbose: verbose}
	if about, err := os.Stderr.Stat(); err == nil {
		b.terminal = about.Mode()&os.ModeCharDevice != 0
	}
	if program != "" {
		b.program = program
		return b, nil
	}
	if err := buildProgram(ctx, b.program, flags...); err != nil {
		_ = b.close()
		return nil, err
	}
	return b, nil
}

// releaseFlags are those of a release.
var releaseFlags = []string{"-trimpath", "-ldflags=-s -w"}

// buildProgram builds the program with flags.
func buildProgram(ctx context.Context, path string, flags ...string) error {
	arguments := append([]string{"build", "-o", path}, append(flags, "rosey.dev/rosey/cmd/rosey")...)
	build := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // the flags are constants
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the program: %w", err)
	}
	return nil
}

func (b *bench) close() (err error) {
	if b.postgres != nil {
		err = b.postgres.Stop()
	}
	if removeErr := os.RemoveAll(b.dir); removeErr != nil {
		err = errors.Join(err, fmt.Errorf("removing the directory: %w", removeErr))
	}
	return err
}

// report adds a figure of the running case to the table.
func (b *bench) report(figure string, value float64, unit, against string) {
	b.table.rows = append(b.table.rows, row{b.current, figure, value, unit, against})
}

// say prints a message.
func (b *bench) say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, b.clear()+"bench: "+format+"\n", arguments...)
}

// progress prints a line that the next one replaces. It prints nothing unless standard error is a terminal.
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

// file writes a new file and returns its path.
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
	// writes notes when the CyTube server writes a text to a socket.
	writes *writeClock
}

// newWorld starts both servers. durable enables JetStream.
func (b *bench) newWorld(durable bool) (*world, error) {
	sim, err := simulator.New(simulator.Options{
		Accounts: []simulator.Account{
			{Name: account, Password: password, Rank: 3}, {Name: speaker, Rank: 2}, // who may ask by private message
		},
		Channels: []simulator.ChannelOptions{{Name: channelName, Playlist: []simulator.Media{film}}},
	})
	if err != nil {
		return nil, fmt.Errorf("creating a CyTube simulator: %w", err)
	}
	b.files++
	nats, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: durable, StoreDir: filepath.Join(b.dir, strconv.Itoa(b.files)),
	})
	if err == nil {
		nats.Start()
		if !nats.ReadyForConnections(stepTimeout) {
			err = errors.New("not ready for connections")
		}
	}
	if err != nil {
		sim.Close()
		return nil, fmt.Errorf("starting a NATS server: %w", err)
	}
	site := httptest.NewUnstartedServer(sim.Handler())
	writes := &writeClock{Listener: site.Listener}
	site.Listener = writes
	site.Start()
	return &world{sim: sim, site: site, nats: nats, writes: writes}, nil
}

func (w *world) close() {
	w.sim.Close()
	w.site.Close()
	w.nats.Shutdown()
	w.nats.WaitForShutdown()
}

func (w *world) channel() *simulator.Channel { return w.sim.Channel(channelName) }

// The modes in which a bot reaches its database.
const (
	overNATS   = "NATS"
	overStream = "JetStream"
	direct     = "direct"
)

// startBot starts a bot in the given mode.
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
