package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/test/porttest"
)

// The tokens of the people who may log in. Bob may send commands.
const (
	aliceToken = "alice-has-this-token"
	bobToken   = "bob-has-another-token"
)

const channel = "movienight"

const pluginsFile = `
plugins: [{name: dice, builtin: dice}, {name: quotes, builtin: quotes}]
commands:
  cooldownSeconds: 0
  channelCooldownSeconds: 0
  overrides:
    dice.flip: {name: coin, deny: [late_guest]}
    quotes.addquote: {rank: 0}
    quotes.delquote: {rank: 3, allow: [nora]}
`

// site is everything that the pages need: CyTube's simulator, and either `rosey run`, which has all the rest in it, or
// NATS, `rosey db` and `rosey bot`, each on its own.
type site struct {
	t        *testing.T
	cytube   string
	natsURL  string
	tokens   string
	data     string
	password string
	// plugins is the file with the plugins and commands of `rosey run`.
	plugins string

	// rosey is `rosey run`, whose pages are at run.
	rosey *process
	run   string

	// nats, database and bot are nil in a site of `rosey run`.
	nats          *natstest.Server
	database, bot *process
	// store are the arguments of `rosey db` for its database.
	store []string
}

// newSite starts `rosey run`, which has SQLite.
func newSite(t *testing.T) *site {
	t.Helper()
	s := newChannel(t)
	s.natsURL, s.run = "nats://"+porttest.FreeAddress(t), "http://"+porttest.FreeAddress(t)
	s.startRosey()
	return s
}

// newParts starts each part on its own, with PostgreSQL. There is no bot yet.
func newParts(t *testing.T) *site {
	t.Helper()
	s := newChannel(t)
	s.nats = natstest.Start(t, natstest.JetStream(t))
	s.natsURL, s.store = s.nats.URL(), []string{"--database-postgres-url-file", pgtest.Use(t).URLFile(t)}
	s.startDatabase()
	return s
}

// newChannel starts the simulator, and makes the files that the other programs need.
func newChannel(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, cytube: "http://" + porttest.FreeAddress(t), data: filepath.Join(dir, "data"),
		tokens: filepath.Join(dir, "tokens"), password: filepath.Join(dir, "password"),
		plugins: filepath.Join(dir, "plugins.yaml")}
	s.write(s.password, "secret")
	s.write(s.plugins, pluginsFile)
	s.setToken("alice", aliceToken)
	s.setToken("bob.commands", bobToken)
	s.setToken("carol", "short")
	start(t, "cytube", "-listen", strings.TrimPrefix(s.cytube, "http://"), "-channel", channel,
		"-account", "Rosey:secret:3", "-account", "nora:secret:4", "-limits=false")
	eventually(t, "the simulator", func() bool { return get(s.cytube+"/healthz") == http.StatusOK })
	return s
}

func (s *site) write(path, content string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// setToken gives a person a token. An empty one takes it away.
func (s *site) setToken(name, token string) {
	s.t.Helper()
	path := filepath.Join(s.tokens, name)
	if token == "" {
		if err := os.Remove(path); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	s.write(path, token)
}

// startRosey starts `rosey run` and waits until the bot is in the channel.
func (s *site) startRosey() {
	s.t.Helper()
	s.rosey = start(s.t, "rosey", "run", "--config", s.plugins, "--channel", channel, "--server", s.cytube,
		"--username", "Rosey",
		"--password-file", s.password, "--data", s.data, "--http", strings.TrimPrefix(s.run, "http://"),
		"--listen", strings.TrimPrefix(s.natsURL, "nats://"), "--web-tokens-dir", s.tokens)
	eventually(s.t, "rosey run", func() bool { return get(s.run+"/readyz") == http.StatusOK })
}

// startPart starts a program that is connected to NATS, and waits until it is ready.
func (s *site) startPart(name string, arguments ...string) *process {
	s.t.Helper()
	health := porttest.FreeAddress(s.t)
	arguments = append([]string{name, "--channel", channel, "--server", s.cytube, "--nats", s.natsURL, "--http", health},
		arguments...)
	p := start(s.t, "rosey", arguments...)
	eventually(s.t, "rosey "+name, func() bool { return get("http://"+health+"/readyz") == http.StatusOK })
	return p
}

func (s *site) startDatabase() { s.t.Helper(); s.database = s.startPart("db", s.store...) }

func (s *site) startBot() {
	s.t.Helper()
	s.bot = s.startPart("bot", "--username", "Rosey", "--password-file", s.password)
}

// webProcess is `rosey web`.
type webProcess struct {
	*process

	address string
	url     string
}

// startWeb starts `rosey web`, with the given arguments, at an address of this machine.
func (s *site) startWeb(arguments ...string) *webProcess {
	s.t.Helper()
	return s.startWebAt(porttest.FreeAddress(s.t), arguments...)
}

func (s *site) startWebAt(address string, arguments ...string) *webProcess {
	s.t.Helper()
	arguments = append([]string{"--web-listen", address, "--web-tokens-dir", s.tokens}, arguments...)
	return &webProcess{process: s.startPart("web", arguments...), address: address, url: "http://" + address}
}

// client sends requests and follows no redirects.
var client = http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

// get returns the code with which a URL is answered. 0: it is not.
func get(url string) (code int) {
	response, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// ask sends a request with headers, in pairs, and returns the code and the body of the response.
func ask(t *testing.T, url string, headers ...string) (code int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// body returns what a URL serves to who has Alice's token.
func body(t *testing.T, url string) string {
	t.Helper()
	_, text := ask(t, url, "X-API-Token", aliceToken)
	return text
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
	conn, err := nats.Connect(s.natsURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	for _, event := range events {
		if err := conn.Publish("rosey."+event[0], []byte(event[1])); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := conn.FlushTimeout(patience); err != nil {
		s.t.Fatal(err)
	}
}

// saidBefore publishes lines of chat of the last days, a minute from one to the next, and waits until the last of them
// is stored.
func (s *site) saidBefore(pages, user string, count int) {
	s.t.Helper()
	begin := time.Now().Add(-48 * time.Hour)
	var events [][2]string
	for i := range count {
		at := begin.Add(time.Duration(i) * time.Minute).Unix()
		events = append(events, [2]string{"db.message.log", fmt.Sprintf(
			`{"username":%q,"message":"line number %d.","timestamp":%d}`, user, i, at)})
	}
	s.publishes(events...)
	last := fmt.Sprintf("line number %d.", count-1)
	eventually(s.t, last, func() bool { return strings.Contains(body(s.t, pages+"/chat?person="+user), last) })
}

func (s *site) join(users ...string) {
	s.t.Helper()
	for _, user := range users {
		s.do("join", map[string]any{"user": user})
	}
}

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
