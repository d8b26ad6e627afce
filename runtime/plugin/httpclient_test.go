package plugin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// get returns the body of a response, or the first error.
func get(ctx context.Context, client *plugin.HTTPClient, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("X-Key", secretKey)
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

const secretKey = "hunter2"

// serveHTTP returns the URL of a server that ends with the test.
func serveHTTP(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

// Names, other forms of addresses and redirects must not lead to what only this machine reaches.
func TestAnHTTPClientReachesNoInsideAddress(t *testing.T) {
	t.Parallel()
	address := serveHTTP(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	client := plugin.NewHTTPClient(plugin.HTTPOptions{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0"} {
		_, err := get(t.Context(), client, "http://"+host+":"+port+"/?key="+secretKey)
		if err == nil || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// A header with a key must not go to another host, and no redirect may go on without end or without encryption.
func TestAnHTTPClientFollowsNoRedirectElsewhere(t *testing.T) {
	t.Parallel()
	other := serveHTTP(t, func(http.ResponseWriter, *http.Request) { t.Error("the other server was reached") })
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/other":
			http.Redirect(w, r, other+"/?key="+secretKey, http.StatusFound)
		case "/scheme":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/malformed":
			w.Header().Set("Location", "http://%zz/"+secretKey)
			w.WriteHeader(http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/once":
			http.Redirect(w, r, "/here", http.StatusFound)
		default:
			_, _ = io.WriteString(w, r.Header.Get("X-Key"))
		}
	})
	client := plugin.NewHTTPClient(plugin.HTTPOptions{AllowPrivate: true})
	for path, want := range map[string]string{
		"/other": "another host", "/scheme": "another host", "/loop": "again and again", "/malformed": "does not answer",
	} {
		_, err := get(t.Context(), client, address+path+"?key="+secretKey)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if body, err := get(t.Context(), client, address+"/once"); err != nil || body != secretKey {
		t.Errorf("%q, %v", body, err)
	}
}

// The URL of a request may have a key, and what the server writes may repeat it.
func TestErrorsOfAnHTTPClientTellNoKey(t *testing.T) {
	t.Parallel()
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat(secretKey, 100))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, secretKey)
		case "/slow":
			<-r.Context().Done()
		case "/header":
			w.Header().Set("X", strings.Repeat(secretKey, 20_000))
		}
	})
	plain, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if conn, err := plain.Accept(); err == nil {
			_, _ = io.WriteString(conn, "220 "+secretKey+" ESMTP\r\n\r\n")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = plain.Close(); <-answered })
	client := plugin.NewHTTPClient(plugin.HTTPOptions{AllowPrivate: true, MaxBytes: 50})
	for url, want := range map[string]string{
		address + "/large": "too large, expected at most 50 bytes", address + "/cut": "closed before the end",
		address + "/slow": "no answer in time", address + "/header": "does not answer as an HTTP server",
		"https" + strings.TrimPrefix(address, "http"): "does not use TLS", "http://127.0.0.1:1/": "connection refused",
		"http://host.invalid/": "cannot be looked up", "http://" + plain.Addr().String(): "",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if strings.HasSuffix(url, "/slow") {
			ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		}
		_, err := get(ctx, client, url+"?key="+secretKey)
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%s: %v", url, err)
		}
		if isSlow := strings.HasSuffix(url, "/slow"); isSlow != errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A proxy looks names up itself, so what keeps an HTTPClient from inside addresses does not see where it leads. The
// environment is read once in a process, so this needs another one.
func TestAnHTTPClientUsesAProxyOnlyIfItMayReachEverything(t *testing.T) {
	t.Parallel()
	const variable = "TEST_THROUGH_PROXY"
	if os.Getenv(variable) != "" {
		for _, mayReachAll := range []bool{false, true} {
			client := plugin.NewHTTPClient(plugin.HTTPOptions{AllowPrivate: mayReachAll})
			body, err := get(t.Context(), client, "http://api.example/?key="+secretKey)
			if isReached := err == nil && body == "the proxy"; isReached != mayReachAll ||
				err != nil && (!strings.Contains(err.Error(), "NO_PROXY") || strings.Contains(err.Error(), "pass")) {
				t.Errorf("%t: %q, %v", mayReachAll, body, err)
			}
		}
		return
	}
	proxy := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the proxy") })
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	again.Env = append(os.Environ(), variable+"=1", "HTTP_PROXY=http://user:pass@"+strings.TrimPrefix(proxy, "http://"),
		"NO_PROXY=")
	if output, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
