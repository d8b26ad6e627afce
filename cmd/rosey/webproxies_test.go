package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/porttest"
	"rosey.dev/rosey/test/processtest"
)

// The proxies of docs/tasks/web.md and server.md, with the lines that these show, serve the pages to people: they log
// in, see what is live, and download; cookies are marked as secure, and who guesses tokens keeps nobody else out.
func TestThePagesBehindProxies(t *testing.T) {
	t.Parallel()
	caddy, nginx := proxyProgram(t, "caddy"), proxyProgram(t, "nginx")
	caddyRoot := snippet(t, "web.md", "\nCaddy, which needs no more:\n")
	caddyPath := snippet(t, "web.md", "\nCaddy, with the page below a path that it strips")
	nginxPath := snippet(t, "web.md", "\nnginx, with the page below a path that it passes on")
	caddyServer, nginxServer := snippet(t, "server.md", "With Caddy (`apt-get"), snippet(t, "server.md", " Or nginx,")
	site := newProxiedSite(t)
	atRoot, below := site.startPages("/"), site.startPages("/mychannel")
	for name, served := range map[string]struct {
		start             func(t *testing.T, program, snippet, host string)
		program, text     string
		host, pages, path string
	}{
		"Caddy":                           {startCaddy, caddy, caddyRoot, "localhost", atRoot, "/"},
		"Caddy, which strips a path":      {startCaddy, caddy, caddyPath, "localhost", atRoot, "/mychannel/"},
		"nginx, which passes the path on": {startNginx, nginx, nginxPath, "localhost", below, "/mychannel/"},
		"nginx, which strips the path": {
			startNginx, nginx, strings.Replace(nginxPath, ":8081;", ":8081/;", 1), "localhost", atRoot, "/mychannel/",
		},
		"Caddy on the machine of rosey run": {startCaddy, caddy, caddyServer, proxiedHost, site.address, "/"},
		"nginx on the machine of rosey run": {startNginx, nginx, nginxServer, proxiedHost, site.address, "/"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("mychannel-web.NAMESPACE.svc:8081", served.pages, "127.0.0.1:8080", served.pages).
				Replace(served.text)
			host := fmt.Sprintf("%s:%d", served.host, porttest.Free(t))
			served.start(t, served.program, text, host)
			reader := &proxyReader{t: t, site: site, base: "https://" + host + served.path}
			natstest.Eventually(t, "the proxy", func() bool {
				return reader.from("127.0.0.1").send(http.MethodGet, "", nil).code == http.StatusOK
			})
			if served.host == proxiedHost {
				reader.lookAtTheProcess()
			}
			reader.readAndDownload()
			reader.guessTokens()
		})
	}
}

// proxyProgram returns the path of a proxy, or skips the test.
func proxyProgram(t *testing.T, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(cache, "rosey", "tools", "proxies", name), name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Skipf("no %s: make test unpacks Debian's package", name)
	return ""
}

// snippet returns the first block of a page of docs/tasks behind a text.
func snippet(t *testing.T, page, behind string) string {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("../../docs/tasks", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(document), behind)
	_, rest, opened := strings.Cut(rest, "\n```\n")
	block, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !opened || !closed {
		t.Fatalf("there is no block behind %q", behind)
	}
	return block
}

// proxiedSite is a channel with a bot, and the token of somebody who may log in to its pages.
type proxiedSite struct {
	t                       *testing.T
	channel                 *simulator.Channel
	server, nats, tokensDir string
	address                 string // of the pages of rosey run
}

const (
	proxiedToken = "a token of alice alone"
	proxiedHost  = "movies.example.org" // of the pages of rosey run
)

func newProxiedSite(t *testing.T) *proxiedSite {
	t.Helper()
	sim, server := simulatortest.Start(t, simulator.Options{})
	s := &proxiedSite{
		t: t, server: server, channel: sim.Channel("movienight"),
		tokensDir: filesDir(t, map[string]string{"alice": proxiedToken}),
	}
	bot := start(t, "run", "--channel", "movienight", "--server", server, "--data", t.TempDir(), "--http", "127.0.0.1:0",
		"--listen", "127.0.0.1:0", "--web-tokens-dir", s.tokensDir, "--web-host", proxiedHost)
	bot.waitFor(status.ReasonReady)
	s.address = strings.TrimPrefix(bot.url(""), "http://")
	s.nats = natsURL.FindStringSubmatch(bot.output())[1]
	if err := s.channel.Join("alice"); err != nil {
		t.Fatal(err)
	}
	return s
}

// startPages starts pages below a path, which can be reached from elsewhere, and returns their address.
func (s *proxiedSite) startPages(basePath string) (address string) {
	s.t.Helper()
	port := porttest.Free(s.t)
	pages := start(s.t, "web", "--channel", "movienight", "--server", s.server, "--nats", s.nats, "--http", "127.0.0.1:0",
		"--web-listen", fmt.Sprintf(":%d", port), "--web-tokens-dir", s.tokensDir, "--web-base-path", basePath)
	pages.waitFor(status.ReasonReady)
	return porttest.Address(port)
}

// startCaddy starts Caddy with a site, at a host with a port and with a certificate of its own authority. There is no
// HTTP/3: the test holds the UDP port while it has the other one of this number.
func startCaddy(t *testing.T, program, site, host string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("{\n  admin off\n  local_certs\n  skip_install_trust\n  auto_https disable_redirects\n"+
		"  servers {\n    protocols h1 h2\n  }\n  storage file_system %s\n}\n%s\n", dir,
		strings.Replace(site, "movies.example.org", "https://"+host, 1))
	startProxy(t, dir, program, "run", "--config", writeProxyFile(t, dir, "Caddyfile", config))
}

// startNginx starts nginx with a location, at the port of a host.
func startNginx(t *testing.T, program, location, host string) {
	t.Helper()
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key := selfSigned(t)
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server {
    listen 127.0.0.1:%[2]s ssl;
    ssl_certificate %[3]s;
    ssl_certificate_key %[4]s;
%[5]s
  }
}
`, dir, port, writeProxyFile(t, dir, "cert.pem", certificate), writeProxyFile(t, dir, "key.pem", key), location)
	startProxy(t, dir, program, "-e", "stderr", "-p", dir, "-c", writeProxyFile(t, dir, "nginx.conf", config))
}

func writeProxyFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startProxy starts a proxy, which has its files in a directory and ends with the test.
func startProxy(t *testing.T, dir, program string, arguments ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	processtest.Start(t, command)
}

// selfSigned returns a certificate for localhost and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &pair.PublicKey, pair)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	return encode("CERTIFICATE", signed), encode("PRIVATE KEY", private)
}

// proxyReader is a person who reads the pages at a URL.
type proxyReader struct {
	t    *testing.T
	site *proxiedSite
	base string
	// client has the person's cookies, and sends from one address.
	client *http.Client
}

// from returns a person without cookies at an address of loopback.
func (p *proxyReader) from(address string) *proxyReader {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, host string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(host)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, "127.0.0.1:"+port) // whatever name the proxy has
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &proxyReader{p.t, p.site, p.base, &http.Client{Jar: jar, Transport: transport}}
}

// send sends a request for a URL that may be relative to the pages, as a browser does, and returns what comes back
// after all redirects.
func (p *proxyReader) send(method, target string, form url.Values, headers ...string) proxyAnswer {
	p.t.Helper()
	base, err := url.Parse(p.base)
	if err != nil {
		p.t.Fatal(err)
	}
	relative, err := base.Parse(target)
	if err != nil {
		p.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(p.t.Context(), method, relative.String(), strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", base.Scheme+"://"+base.Host)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := p.client.Do(request)
	if err != nil {
		return proxyAnswer{body: err.Error()}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Error(err)
	}
	return proxyAnswer{response.StatusCode, response.Request.URL, response.Header, string(body)}
}

// proxyAnswer is what comes back from a URL. The code is 0 if nothing does.
type proxyAnswer struct {
	code   int
	url    *url.URL
	header http.Header
	body   string
}

// loaded matches the files that a page loads.
var loaded = regexp.MustCompile(`(?:src|href)="([^"]*assets/[^"]+)"`)

// readAndDownload logs in, follows what is live, and downloads the chat.
func (p *proxyReader) readAndDownload() {
	p.t.Helper()
	alice := p.from("127.0.0.1")
	page := alice.send(http.MethodGet, strings.TrimSuffix(p.base, "/"), nil)
	if page.code != http.StatusOK || page.url.Path != urlPath(p.base)+"login" {
		p.t.Fatalf("without a token %d at %v:\n%s", page.code, page.url, page.body)
	}
	alice.base = page.url.String() // links are relative to it
	page = alice.send(http.MethodPost, "login", url.Values{"token": {proxiedToken}})
	if page.code != http.StatusOK || page.url.String() != p.base {
		p.t.Fatalf("the login leads to %v, %d:\n%s", page.url, page.code, page.body)
	}
	alice.base = p.base
	once := p.from("127.0.0.1")
	once.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cookie := once.send(http.MethodPost, "login", url.Values{"token": {proxiedToken}}).header.Get("Set-Cookie")
	if !strings.Contains(cookie, "; Secure") {
		p.t.Errorf("the cookie is not marked as secure: %s", cookie)
	}
	files := loaded.FindAllStringSubmatch(page.body, -1)
	for _, file := range files {
		if code := alice.send(http.MethodGet, file[1], nil).code; code != http.StatusOK {
			p.t.Errorf("%s: %d", file[1], code)
		}
	}
	if len(files) < 2 {
		p.t.Errorf("the page loads %v", files)
	}
	line := "heard at " + strings.Join(regexp.MustCompile(`\w+`).FindAllString(p.base, -1), " ") // a URL would be a link
	alice.hear(line)
	natstest.Eventually(p.t, "the line in a download", func() bool {
		page = alice.send(http.MethodGet, "chat/download?format=jsonl", nil)
		return strings.Contains(page.body, line)
	})
	if got := page.header.Get("Content-Disposition"); !strings.Contains(got, "movienight-chat.jsonl") {
		p.t.Errorf("the download is %q", got)
	}
	foreign := alice.send(http.MethodPost, "say", url.Values{"text": {"hello"}}, "Origin", "https://evil.example")
	if foreign.code != http.StatusForbidden {
		p.t.Errorf("a form of another site: %d", foreign.code)
	}
}

// lookAtTheProcess requests what is for whoever runs the bot.
func (p *proxyReader) lookAtTheProcess() {
	p.t.Helper()
	for path, want := range map[string]int{
		status.StatusPath: http.StatusNotFound, status.MetricsPath: http.StatusNotFound,
		status.HealthPath: http.StatusNotFound, status.ReadyPath: http.StatusNotFound,
		status.StatePath: http.StatusUnauthorized,
	} {
		code := p.from("127.0.0.1").send(http.MethodGet, path, nil, "Accept", "application/json").code
		if code != want {
			p.t.Errorf("%s without a token: %d, want %d", path, code, want)
		}
	}
}

func urlPath(text string) string {
	parsed, _ := url.Parse(text) // a URL of the test
	return parsed.Path
}

// hear follows the live page until somebody's line is there. A proxy that buffers would keep it.
func (p *proxyReader) hear(line string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), waitTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"live", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	said := false
	for events := bufio.NewScanner(response.Body); events.Scan(); {
		if strings.Contains(events.Text(), line) {
			return
		}
		if !said { // the first event has come: the page is open
			said = true
			if _, err := p.site.channel.Say("alice", line); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	p.t.Errorf("the line never comes: %d", response.StatusCode)
}

// guessTokens presents wrong tokens from one address, each time in the name of another one, until they are not looked
// at any more. Others still are.
func (p *proxyReader) guessTokens() {
	p.t.Helper()
	guesser, neighbour := p.from("127.0.0.2"), p.from("127.0.0.3")
	guess := func(who *proxyReader, forged string) int {
		wrong := url.Values{"token": {"a token of nobody"}}
		return who.send(http.MethodPost, "login", wrong, "X-Forwarded-For", forged).code
	}
	code := http.StatusForbidden
	for i := 0; code == http.StatusForbidden && i < 1000; i++ {
		code = guess(guesser, fmt.Sprintf("192.0.2.%d", i%250))
	}
	if code != http.StatusTooManyRequests {
		p.t.Errorf("after many wrong tokens: %d", code)
	}
	if code := guess(neighbour, "127.0.0.2"); code != http.StatusForbidden {
		p.t.Errorf("a wrong token of a neighbour: %d", code)
	}
	if code := neighbour.send(http.MethodPost, "login", url.Values{"token": {proxiedToken}}).code; code != http.StatusOK {
		p.t.Errorf("the token of a neighbour: %d", code)
	}
}
