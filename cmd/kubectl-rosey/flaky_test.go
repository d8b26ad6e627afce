package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"rosey.dev/rosey/test/logtest"
)

// inFront starts a server that passes requests on to the API server as somebody with all rights, and returns a
// kubeconfig for it. instead answers a request itself, and reports whether it has.
func inFront(t *testing.T, instead func(http.ResponseWriter, *http.Request) bool) (path string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = transport
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !instead(w, request) {
			proxy.ServeHTTP(w, request)
		}
	}))
	t.Cleanup(server.Close)
	path = filepath.Join(t.TempDir(), "kubeconfig")
	writeText(t, path, strings.ReplaceAll(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "URL"}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u, namespace: films}}]
current-context: c
`, "URL", server.URL))
	return path
}

// callThrough runs the plugin with a kubeconfig until it ends or ctx does.
func callThrough(
	ctx context.Context, kubeconfig string, arguments ...string,
) (code int, stdout, stderr *logtest.Buffer) {
	stdout, stderr = &logtest.Buffer{}, &logtest.Buffer{}
	code = run(ctx, append([]string{"--kubeconfig", kubeconfig}, arguments...),
		streams{in: strings.NewReader(""), out: stdout, err: stderr})
	return code, stdout, stderr
}

// answer answers with an object in JSON.
func answer(w http.ResponseWriter, code int, object string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, object) // a client that has gone needs none
}

// refuse answers with an error as an API server does.
func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	answer(w, code, fmt.Sprintf(
		`{"apiVersion":"v1","kind":"Status","status":"Failure","code":%d,"reason":%q,"message":%q}`, code, reason, reason))
}
