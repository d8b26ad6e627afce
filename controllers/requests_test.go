package controllers

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// requestLog records the requests that the operator sends to the API server.
type requestLog struct {
	mutex sync.Mutex
	calls []call
	// used are the permissions that all requests needed, watches too: "create apps/deployments".
	used map[string]bool
}

type call struct {
	method, path string
	status       int
}

func (l *requestLog) record(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		l.use(request)
		if err == nil && request.URL.Query().Get("watch") == "" {
			l.mutex.Lock()
			defer l.mutex.Unlock()
			l.calls = append(l.calls, call{request.Method, request.URL.Path, response.StatusCode})
		}
		return response, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// of returns the requests for objects in a namespace. Events are left out, because they are sent in the background.
func (l *requestLog) of(t *testing.T, namespace string) []call {
	t.Helper()
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var found []call
	for _, one := range l.calls {
		if strings.Contains(one.path, "/namespaces/"+namespace+"/") && !strings.HasSuffix(one.path, "/events") {
			found = append(found, one)
		}
	}
	return found
}

// events returns how many requests there were for events in a namespace.
func (l *requestLog) events(namespace string) (count int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, one := range l.calls {
		if one.method == http.MethodGet && strings.HasSuffix(one.path, "/namespaces/"+namespace+"/events") {
			count++
		}
	}
	return count
}
