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

// Objects arrive one after another when the operator starts. A list would have all of a kind in memory at once, each as
// large as the API server accepts.
func TestObjectsAreNotListedAtOnce(t *testing.T) {
	newNamespace(t)
	rig.requests.mutex.Lock()
	defer rig.requests.mutex.Unlock()
	for _, one := range rig.requests.calls {
		for _, path := range []string{
			"/apis/rosey.dev/v1alpha1/roseybots", "/apis/apps/v1/deployments", "/api/v1/pods", "/api/v1/configmaps",
		} {
			if one.method == http.MethodGet && one.path == path {
				t.Errorf("GET %s, want a watch that sends the objects there are", path)
			}
		}
	}
	for _, needed := range []string{"watch rosey.dev/roseybots", "watch apps/deployments"} {
		if !rig.requests.used[needed] {
			t.Errorf("no %s: this test showed nothing; used are %v", needed, rig.requests.used)
		}
	}
}
