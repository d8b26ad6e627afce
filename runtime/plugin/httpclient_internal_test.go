package plugin

import (
	"net/http"
	"testing"
)

// Whoever has another port of the host need not be who is meant to get the headers.
func TestNoRedirectLeadsToAnotherPort(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		from, to string
		follows  bool
	}{
		{"http://a.example/x", "https://a.example/y", true}, {"http://a.example:80/x", "https://a.example:443/y", true},
		{"https://a.example/x", "https://a.example:443/y", true}, {"http://a.example:81/x", "http://a.example:81/y", true},
		{"http://a.example/x", "https://a.example:8443/y", false}, {"http://a.example:81/x", "https://a.example/y", false},
		{"http://a.example:443/x", "https://a.example:443/y", false}, {"http://a.example/x", "http://a.example:81/", false},
		{"https://a.example/x", "http://a.example/y", false}, {"http://a.example/x", "http://b.example/y", false},
		{"https://a.example:80/x", "http://a.example:80/y", false}, {"http://a.example/x", "ftp://a.example:80/y", false},
	} {
		from, err := http.NewRequestWithContext(t.Context(), http.MethodGet, one.from, nil)
		if err != nil {
			t.Fatal(err)
		}
		to, err := http.NewRequestWithContext(t.Context(), http.MethodGet, one.to, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkRedirect(to, []*http.Request{from}); (err == nil) != one.follows {
			t.Errorf("from %s to %s: %v", one.from, one.to, err)
		}
	}
}
