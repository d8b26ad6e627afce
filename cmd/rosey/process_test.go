package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// runMainVariable is an environment variable that makes the test binary run main, so that tests can start it as a
// process.
const runMainVariable = "TEST_AS_ROSEY"

// commandVariable is an environment variable with the command of a program that is tested instead of the test binary:
// one of another architecture with its emulator, for example. Words are separated by spaces.
const commandVariable = "TEST_ROSEY_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(runMainVariable) != "" {
		main()
	}
	code := pgtest.Run(m.Run)
	if dir := filepath.Dir(built.path); dir != "." {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func program(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	name := os.Args[0]
	if words := strings.Fields(os.Getenv(commandVariable)); len(words) > 0 {
		name, arguments = words[0], slices.Concat(words[1:], arguments)
	}
	command := exec.CommandContext(t.Context(), name, arguments...)
	// The variable of the end-to-end tests is no setting: the program would warn of it.
	environment := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ROSEY_E2E=") })
	command.Env = append(environment, runMainVariable+"=yes")
	return command
}

// built is the program as it is released.
var built struct {
	once sync.Once
	path string
	err  error
}

// releasedProgram returns a command of the program as it is released, for tests that measure its memory: the test
// binary may have the race detector, which multiplies it.
func releasedProgram(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	built.once.Do(func() {
		var dir string
		if dir, built.err = os.MkdirTemp("", "rosey-test-"); built.err != nil { //nolint:usetesting // several tests use it
			return
		}
		built.path = filepath.Join(dir, "rosey")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", built.path, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building the program: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return exec.CommandContext(t.Context(), built.path, arguments...)
}

// bannerURL matches the address of the HTTP server in the banner of `rosey run`.
var bannerURL = regexp.MustCompile(`status +http://([^/]+)/`)

// roseyProcess is a process of the program.
type roseyProcess struct {
	t       *testing.T
	command *exec.Cmd
	reading sync.WaitGroup

	mu     sync.Mutex
	lines  []map[string]any // of the log
	stdout string
}

func start(t *testing.T, arguments ...string) *roseyProcess {
	t.Helper()
	return startWithEnv(t, nil, arguments...)
}

// startWithEnv is start with additional environment variables, as NAME=value.
func startWithEnv(t *testing.T, environment []string, arguments ...string) *roseyProcess {
	t.Helper()
	command := program(t, arguments...)
	command.Env = append(command.Env, environment...)
	return startCommand(t, command)
}

func startCommand(t *testing.T, command *exec.Cmd) *roseyProcess {
	t.Helper()
	p := &roseyProcess{t: t, command: command}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	p.reading.Go(func() { p.readLog(stderr) })
	p.reading.Go(func() { p.readOutput(stdout) })
	t.Cleanup(func() { _ = p.command.Process.Kill(); p.reading.Wait() })
	return p
}

func (p *roseyProcess) readLog(stderr io.Reader) {
	for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			line = map[string]any{"msg": "not JSON: " + scanner.Text()}
		}
		p.mu.Lock()
		p.lines = append(p.lines, line)
		p.mu.Unlock()
	}
}

func (p *roseyProcess) readOutput(stdout io.Reader) {
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		p.mu.Lock()
		p.stdout += scanner.Text() + "\n"
		p.mu.Unlock()
	}
}

// output returns what the process has written to standard output so far.
func (p *roseyProcess) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout
}

// log returns the lines of the log so far.
func (p *roseyProcess) log() []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]map[string]any(nil), p.lines...)
}

// url returns the URL of a path when the process serves HTTP.
func (p *roseyProcess) url(path string) string {
	p.t.Helper()
	var address string
	natstest.Eventually(p.t, "the address of the HTTP server", func() bool {
		if at := bannerURL.FindStringSubmatch(p.output()); at != nil {
			address = at[1]
		}
		for _, line := range p.log() {
			if at, ok := line["http"].(string); ok {
				address = at
			}
		}
		return address != ""
	})
	return "http://" + address + path
}

func (p *roseyProcess) get(path string) (code int, body string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url(path), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// waitFor returns the status when it has a reason.
func (p *roseyProcess) waitFor(reason status.Reason) status.Report {
	p.t.Helper()
	var report status.Report
	natstest.Eventually(p.t, "reason "+string(reason), func() bool {
		report = p.report()
		return report.Reason == reason
	})
	return report
}

// report returns the status of the process, or the zero value if it cannot be read.
func (p *roseyProcess) report() (report status.Report) {
	p.t.Helper()
	_, body := p.get(status.StatusPath)
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		return status.Report{}
	}
	return report
}

// end sends a signal and returns the exit code, which is -1 for a process that was killed.
func (p *roseyProcess) end(signal os.Signal) int {
	p.t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
	return p.wait()
}

// wait returns the exit code of a process that ends by itself.
func (p *roseyProcess) wait() int {
	p.reading.Wait()
	_ = p.command.Wait() // the exit code has the result
	return p.command.ProcessState.ExitCode()
}

// writeConfig writes a configuration of the database service and returns its path.
func writeConfig(t *testing.T, dir, url string) string {
	t.Helper()
	content := fmt.Sprintf(`channel: {server: "https://cytu.be", name: Movies}
nats: {url: %q}
http: {address: "127.0.0.1:0"}
database: {sqlite: {path: %q}}
logLevel: debug
`, url, filepath.Join(dir, "rosey.db"))
	path := filepath.Join(dir, "database.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// call runs a command in this process, or as a process of the program that is tested instead.
func call(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors strings.Builder
	if os.Getenv(commandVariable) != "" {
		command := program(t, arguments...)
		command.Stdout, command.Stderr = &out, &errors
		_ = command.Run() // the exit code has the result
		return command.ProcessState.ExitCode(), out.String(), errors.String()
	}
	code = run(t.Context(), arguments, &out, &errors)
	return code, out.String(), errors.String()
}
