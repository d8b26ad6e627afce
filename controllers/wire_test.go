package controllers

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// wire records what the operator sends to the API server.
type wire struct {
	mutex sync.Mutex
	calls []call
}

type call struct {
	method, path string
	status       int
}

func (w *wire) around(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err == nil && request.URL.Query().Get("watch") == "" {
			w.mutex.Lock()
			defer w.mutex.Unlock()
			w.calls = append(w.calls, call{request.Method, request.URL.Path, response.StatusCode})
		}
		return response, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// in returns the calls about a namespace. Events are left out: they are sent in the background.
func (w *wire) in(t *testing.T, namespace string) []call {
	t.Helper()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var found []call
	for _, one := range w.calls {
		if strings.Contains(one.path, "/namespaces/"+namespace+"/") && !strings.HasSuffix(one.path, "/events") {
			found = append(found, one)
		}
	}
	return found
}
