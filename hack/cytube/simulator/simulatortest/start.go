// Package simulatortest starts a CyTube simulator for the duration of a test. It is separate from package simulator so
// that the program does not import package testing.
package simulatortest

import (
	"net/http/httptest"
	"testing"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// Start serves a simulator on a loopback port until the test ends and returns it with its base URL, for example
// "http://127.0.0.1:40123".
func Start(t testing.TB, options simulator.Options) (*simulator.Server, string) {
	t.Helper()
	sim, err := simulator.New(options)
	if err != nil {
		t.Fatalf("starting the CyTube simulator: %v", err)
	}
	web := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		// Close the simulator first: it closes the sockets, which the HTTP server no longer owns.
		sim.Close()
		web.Close()
	})
	return sim, web.URL
}
