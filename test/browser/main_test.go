package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The tokens of the people who may log in. Bob may send commands.
const (
	aliceToken = "alice-has-this-token"
	bobToken   = "bob-has-another-token"
)

const channel = "movienight"

// programs are the directory with the built programs.
var programs string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if findChromium() == "" {
		fmt.Println("skipped: no Chromium is installed")
		return 0
	}
	dir, err := os.MkdirTemp("", "rosey-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs = dir
	build := exec.Command("go", "build", "-o", dir, "./cmd/rosey", "./hack/cytube")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

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
			t.Logf("%s:\n%s", name, p.log)
		}
	})
	return p
}

// end stops the program and waits for it.
func (p *process) end() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
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
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// site is everything that the pages need, and the pages twice: inside `rosey run`, and as `rosey web` on its own.
type site struct {
	t      *testing.T
	cytube string
	// run is the URL of the pages of `rosey run`, and web that of `rosey web`, which reads through a stranger's address.
	run, web string
	nats     string
	tokens   string
	data     string
	rosey    *process
	password string
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, cytube: "http://" + freeAddress(t), nats: freeAddress(t), data: filepath.Join(dir, "data"),
		tokens: filepath.Join(dir, "tokens"), password: filepath.Join(dir, "password")}
	s.run = "http://" + freeAddress(t)
	for name, content := range map[string]string{
		"password": "secret", "tokens/alice": aliceToken, "tokens/bob.commands": bobToken, "tokens/carol": "short",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, "cytube", "-listen", strings.TrimPrefix(s.cytube, "http://"), "-channel", channel,
		"-account", "Rosey:secret:3", "-account", "nora:secret:4", "-limits=false")
	s.eventually("the simulator", func() bool { return get(s.cytube+"/healthz") == http.StatusOK })
	s.startRosey()
	return s
}

// startRosey starts `rosey run` and waits until the bot is in the channel.
func (s *site) startRosey() {
	s.t.Helper()
	s.rosey = start(s.t, "rosey", "run", "--channel", channel, "--server", s.cytube, "--username", "Rosey",
		"--password-file", s.password, "--data", s.data, "--http", strings.TrimPrefix(s.run, "http://"),
		"--listen", s.nats, "--web-tokens-dir", s.tokens)
	s.eventually("the bot", func() bool { return get(s.run+"/readyz") == http.StatusOK })
}

// startWeb starts `rosey web` beside it, with the given arguments.
func (s *site) startWeb(arguments ...string) {
	s.t.Helper()
	address, health := freeAddress(s.t), freeAddress(s.t)
	s.web = "http://" + address
	start(s.t, "rosey", append([]string{"web", "--channel", channel, "--server", s.cytube, "--nats", "nats://" + s.nats,
		"--http", health, "--web-listen", address, "--web-tokens-dir", s.tokens}, arguments...)...)
	s.eventually("rosey web", func() bool { return get("http://"+health+"/readyz") == http.StatusOK })
}

func get(url string) (code int) {
	client := http.Client{Timeout: time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	response, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// patience is how long a condition may take on a machine with much else to do.
const patience = 20 * time.Second

func (s *site) eventually(what string, condition func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// do sends a request to the simulator.
func (s *site) do(path string, body map[string]any) {
	s.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.Post(s.cytube+"/simulator/channels/"+channel+"/"+path, "application/json", bytes.NewReader(data))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if answer, _ := io.ReadAll(response.Body); response.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s", path, data, answer)
	}
}

// publishes publishes events, each a subject without the prefix and a body, as a bot does.
func (s *site) publishes(events ...[2]string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.nats)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var out bytes.Buffer
	out.WriteString("CONNECT {\"verbose\":false}\r\n")
	for _, event := range events {
		fmt.Fprintf(&out, "PUB rosey.%s %d\r\n%s\r\n", event[0], len(event[1]), event[1])
	}
	out.WriteString("PING\r\n")
	if _, err := conn.Write(out.Bytes()); err != nil {
		s.t.Fatal(err)
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "PONG":
			return
		case strings.HasPrefix(line, "-ERR"):
			s.t.Fatal(line)
		}
	}
	s.t.Fatal("the NATS server does not answer")
}

func (s *site) join(user string) { s.t.Helper(); s.do("join", map[string]any{"user": user}) }
func (s *site) say(user, text string) {
	s.t.Helper()
	s.do("say", map[string]any{"user": user, "text": text})
}

// play puts films into the playlist and plays the first of them. The user is nora.
func (s *site) play(titles ...string) {
	s.t.Helper()
	for i, title := range titles {
		s.do("do", map[string]any{"user": "nora", "event": "queue", "data": map[string]any{
			"id": fmt.Sprintf("https://example.com/films/%d.mp4", i), "type": "fi", "pos": "end", "title": title, "temp": false,
		}})
	}
	s.do("do", map[string]any{"user": "nora", "event": "playNext", "data": map[string]any{}})
}

// newPage opens a window of a new browser.
func newPage(t *testing.T) page {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(findChromium()), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() { cancel(); stop() })
	if _, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return page{T: t, ctx: ctx}
}

// page is a window of a browser.
type page struct {
	*testing.T
	ctx context.Context //nolint:containedctx // the window itself: chromedp keeps it there
}

// do runs an action, which has the patience of the test.
func (p page) do(what string, action chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, action); err != nil {
		p.Fatalf("%s: %v; the page is\n%s", what, err, p.text())
	}
}

func (p page) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	return text
}

func (p page) open(url string) { p.Helper(); p.do("opening "+url, chromedp.Navigate(url)) }

// waits until a condition in JavaScript is true, also over the loading of another page.
func (p page) waits(what, condition string) {
	p.Helper()
	for end := time.Now().Add(patience); !p.is(condition); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("%s: not within %v; the page is\n%s", what, patience, p.text())
		}
	}
}

// is reports whether a condition in JavaScript is true now.
func (p page) is(condition string) bool {
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
	return err == nil && value
}

// shows waits until a text is on the page.
func (p page) shows(text string) {
	p.Helper()
	quoted, _ := json.Marshal(text)
	p.waits("waiting for "+text, `document.body.innerText.includes(`+string(quoted)+`)`)
}

// logIn logs in with a token.
func (p page) logIn(root, token string) {
	p.Helper()
	p.open(root + "/login")
	p.do("typing the token", chromedp.SendKeys("#token", token+"\r"))
}

// body returns what a URL serves.
func body(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
