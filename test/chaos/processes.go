package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/test/porttest"
)

const (
	botName     = "Rosey"
	channelName = "movienight"
	prefix      = "rosey_chaos"
	// server is the CyTube server's URL in every bot's configuration. It is part of a row's key, so it must be the same
	// for all bots. Each bot reaches the server through its HTTP proxy.
	server = "http://cytube.invalid"
)

// Setup is the set of processes that run.
type Setup struct {
	// Bots and Databases are their numbers. More than one bot needs JetStream, more than one database needs Postgres.
	Bots, Databases int
	JetStream       bool
	// Postgres stores the rows in PostgreSQL instead of SQLite.
	Postgres bool
	// Credentials makes NATS ask for a user name and a password, which Rotate replaces.
	Credentials bool
	// Database are more keys of database in the configuration of a database service with SQLite, in which DIR stands for
	// the directory of the files.
	Database string
	// Data is the directory of the SQLite database. Empty: that of all other files.
	Data string
	// Collector receives the traces. Nil: nothing is traced.
	Collector *Collector
	// LogLevel is that of bots and database services. Empty: debug.
	LogLevel string
	// Wrapper returns the command that starts a bot or database service of this name, for example within a memory limit.
	// The program and its arguments are appended to it. Nil: none.
	Wrapper func(name string) []string
}

// Programs are paths of executables.
type Programs struct{ Rosey, NATS string }

// Processes runs the bot as plain processes on loopback: the real programs, with every connection through a proxy that
// can be cut, and a CyTube simulator in this process.
type Processes struct {
	setup    Setup
	programs Programs
	dir      string
	cytube   *CyTube
	nats     *child
	natsPort string
	postgres *child // nil: with SQLite
	// collector is nil without Setup.Collector, and otlpHTTP and otlpGRPC are its ports.
	collector          *child
	otlpHTTP, otlpGRPC string

	postgresDir, postgresPort string
	credentials               credentials

	bots    []*member
	dbs     []*member
	closers []func()
}

// member is a bot or a database service with its proxies.
type member struct {
	*child

	config  string
	http    string // host:port
	address string // the client address that the CyTube server sees
	urlFile string // with PostgreSQL's URL
	nats    *proxy
	// cytube is set for bots, postgres for database services with PostgreSQL.
	cytube, postgres *proxy
}

// StartProcesses starts everything, with its files in dir. Close stops it.
func StartProcesses(ctx context.Context, setup Setup, programs Programs, dir string) (p *Processes, err error) {
	p = &Processes{setup: setup, programs: programs, dir: dir}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	site, err := p.startCyTube(ctx)
	if err != nil {
		return nil, err
	}
	if p.natsPort, err = p.freePort(); err != nil {
		return nil, err
	}
	if err := p.startNATS(ctx); err != nil {
		return nil, err
	}
	if setup.Postgres {
		if err := p.startPostgres(ctx); err != nil {
			return nil, err
		}
	}
	if err := p.startCollector(ctx); err != nil {
		return nil, err
	}
	for i := range setup.Databases {
		m, err := p.newMember(ctx, fmt.Sprintf("db%d", i+1), "", i)
		if err != nil {
			return nil, err
		}
		p.dbs = append(p.dbs, m)
	}
	for i := range setup.Bots {
		m, err := p.newMember(ctx, fmt.Sprintf("bot%d", i+1), site, i)
		if err != nil {
			return nil, err
		}
		p.bots = append(p.bots, m)
	}
	return p, nil
}

// startCyTube serves the simulator, with the real server's limits, and returns its address, host:port.
func (p *Processes) startCyTube(ctx context.Context) (site string, err error) {
	account := simulator.Account{Name: botName, Password: "not a secret", Rank: 3}
	sim, err := simulator.New(simulator.Options{
		Accounts: []simulator.Account{account}, Limits: simulator.CyTubeLimits(),
	})
	if err != nil {
		return "", fmt.Errorf("creating the CyTube server: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening for the CyTube server: %w", err)
	}
	web := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(listener) // until it is closed below
	}()
	p.closers = append(p.closers, func() { sim.Close(); _ = web.Close(); <-served })
	if err := os.WriteFile(p.path("password"), []byte(account.Password), 0o600); err != nil {
		return "", fmt.Errorf("writing the bot's password: %w", err)
	}
	site = listener.Addr().String()
	p.cytube = &CyTube{Client: http.DefaultClient, Base: "http://" + site, Channel: channelName}
	return site, nil
}

func (p *Processes) startNATS(ctx context.Context) error {
	args := []string{"-a", "127.0.0.1", "-p", p.natsPort}
	if p.setup.Credentials {
		if err := p.writeCredentials(); err != nil {
			return err
		}
		args = append(args, "-c", p.path("nats.conf"))
	}
	if p.setup.JetStream {
		args = append(args, "-js", "-sd", p.path("nats"))
	}
	p.nats = startChild(ctx, p.dir, &child{name: "nats", program: p.programs.NATS, args: args})
	p.closers = append(p.closers, p.nats.stop)
	return nil
}

// newMember starts a bot, or a database service if site is empty.
func (p *Processes) newMember(ctx context.Context, name, site string, number int) (*member, error) {
	port, err := p.freePort()
	if err != nil {
		return nil, err
	}
	m := &member{http: "127.0.0.1:" + port, config: p.path(name + ".yaml"), urlFile: p.path(name + ".url")}
	m.address = fmt.Sprintf("127.0.1.%d", number+1)
	if m.nats, err = p.newProxy(ctx, "127.0.0.1:"+p.natsPort, ""); err != nil {
		return nil, err
	}
	command := "db"
	env := []string{
		config.PodNameVariable + "=" + name, config.PodUIDVariable + "=uid-of-" + name,
		// A process that is killed loses the spans that it has not sent yet.
		"OTEL_BSP_SCHEDULE_DELAY=200",
	}
	switch {
	case site != "":
		command = "bot"
		if m.cytube, err = p.newProxy(ctx, site, m.address); err != nil {
			return nil, err
		}
		env = append(env, "http_proxy=http://"+m.cytube.address(), "no_proxy=")
	case p.setup.Postgres:
		if m.postgres, err = p.newProxy(ctx, "127.0.0.1:"+p.postgresPort, ""); err != nil {
			return nil, err
		}
		if err := p.writePostgresURL(m); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(m.config, []byte(p.configuration(m, command)), 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration of %s: %w", name, err)
	}
	line := []string{p.programs.Rosey, command, "--config", m.config}
	if p.setup.Wrapper != nil {
		line = append(p.setup.Wrapper(name), line...)
	}
	m.child = startChild(ctx, p.dir, &child{name: name, program: line[0], args: line[1:], env: env})
	p.closers = append(p.closers, m.stop)
	return m, nil
}

// freePort returns a port on loopback, which is released at the end.
func (p *Processes) freePort() (string, error) {
	port, release, err := porttest.Reserve()
	if err != nil {
		return "", fmt.Errorf("finding a port: %w", err)
	}
	p.closers = append(p.closers, release)
	return strconv.Itoa(port), nil
}

func (p *Processes) newProxy(ctx context.Context, target, from string) (*proxy, error) {
	w, err := newProxy(ctx, target, from)
	if err == nil {
		p.closers = append(p.closers, w.close)
	}
	return w, err
}

// configuration returns a member's configuration file.
func (p *Processes) configuration(m *member, command string) string {
	mode := "never"
	if p.setup.JetStream {
		mode = "always"
	}
	text := fmt.Sprintf("channel: {server: '%s', name: %s}\nhttp: {address: '%s'}\nlogLevel: %s\n"+
		"nats: {url: 'nats://%s', subjectPrefix: %s, jetStream: {mode: %s}}\n",
		server, channelName, m.http, cmp.Or(p.setup.LogLevel, "debug"), m.nats.address(), prefix, mode)
	text += p.telemetry(command)
	if p.setup.Credentials {
		text = strings.Replace(text, "nats: {", fmt.Sprintf("nats: {credentialsDir: '%s', ", p.path("credentials")), 1)
	}
	switch {
	case command == "bot" && p.setup.Bots > 1:
		text += "standby: true\n"
		fallthrough
	case command == "bot":
		return text + fmt.Sprintf("account: {username: %s, passwordFile: '%s'}\n", botName, p.path("password"))
	case p.setup.Postgres:
		return text + fmt.Sprintf("database: {postgres: {urlFile: '%s'}}\n", m.urlFile)
	default:
		return text + fmt.Sprintf("database: {sqlite: {path: '%s'}%s}\n", filepath.Join(p.data(), "rosey.db"),
			strings.ReplaceAll(p.setup.Database, "DIR", p.dir))
	}
}

// data returns the directory of the SQLite database.
func (p *Processes) data() string { return cmp.Or(p.setup.Data, p.dir) }

func (p *Processes) path(name string) string { return filepath.Join(p.dir, name) }

// Close stops everything in reverse order.
func (p *Processes) Close() { closeAll(p.closers) }

func closeAll(closers []func()) {
	for _, closer := range slices.Backward(closers) {
		closer()
	}
}

// CyTube returns the simulator.
func (p *Processes) CyTube() *CyTube { return p.cytube }

// Bot returns the name of the account.
func (p *Processes) Bot() string { return botName }

// Bus returns the URL of nats-server itself, without a proxy.
func (p *Processes) Bus() (string, bus.Subjects) {
	return p.natsURL(), mustSubjects(prefix)
}

func mustSubjects(prefix string) bus.Subjects {
	subjects, err := bus.NewSubjects(prefix)
	if err != nil {
		panic(err) // the prefix is a constant
	}
	return subjects
}

// Healthy checks every member's readiness.
func (p *Processes) Healthy(ctx context.Context) error {
	for _, m := range append(append([]*member(nil), p.dbs...), p.bots...) {
		if err := m.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *member) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.http+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("requesting the readiness of %s: %w", m.name, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("requesting the readiness of %s: %w", m.name, err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready", m.name)
	}
	return nil
}

// Stored reads the database with `rosey db show`.
func (p *Processes) Stored(ctx context.Context) (Stored, error) {
	return show(ctx, p.programs.Rosey, p.dbs[0].config)
}

func show(ctx context.Context, rosey, config string) (stored Stored, err error) {
	//nolint:gosec // the run's own program
	command := exec.CommandContext(ctx, rosey, "db", "show", "--config", config, "--limit", "0", "--output", "json")
	out, err := command.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return stored, fmt.Errorf("reading the database: %w: %s", err, failed.Stderr)
	}
	if err != nil {
		return stored, fmt.Errorf("reading the database: %w", err)
	}
	if err := json.Unmarshal(out, &stored); err != nil {
		return stored, fmt.Errorf("decoding the database's rows: %w", err)
	}
	return stored, nil
}
