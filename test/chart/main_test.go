// Package chart tests the Helm chart: what it renders, which values it rejects, and that a real API server accepts the
// objects.
package chart

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/test/apiservertest"
)

// server is one API server for all tests, without the chart.
var server struct {
	// admin has strict field validation: an unknown field is an error.
	admin client.Client
}

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	run := func(m *testing.M) (int, error) { return m.Run(), nil }
	if apiservertest.Missing() == "" {
		run = runWithServer
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runWithServer(m *testing.M) (code int, err error) {
	started, err := apiservertest.StartEmpty()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, started.Stop()) }()
	scheme, err := controllers.NewScheme()
	if err != nil {
		return 0, err
	}
	admin, err := client.New(started.Admin, client.Options{Scheme: scheme})
	if err != nil {
		return 0, err
	}
	server.admin = client.WithFieldValidation(admin, "Strict")
	return m.Run(), nil
}

// needTools skips a test if Helm and an API server are not available.
func needTools(t *testing.T) {
	t.Helper()
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
}
