package controllers

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"rosey.dev/rosey/runtime/status"
)

var lastAddress atomic.Int32

// newAddress returns a loopback address that no other test uses.
func newAddress() string {
	number := lastAddress.Add(1)
	return fmt.Sprintf("127.1.%d.%d", number/250, number%250+1)
}

// process is a fake of the process in a pod. It serves a status report on an address of its own.
type process struct {
	ip     string
	report atomic.Pointer[status.Report]
	asked  atomic.Int32
}

func startProcess(t *testing.T, report status.Report) *process {
	t.Helper()
	made := &process{ip: newAddress()}
	made.report.Store(&report)
	serve(t, made.ip, func(response http.ResponseWriter, request *http.Request) {
		made.asked.Add(1)
		if request.URL.Path != status.StatusPath {
			http.NotFound(response, request)
			return
		}
		_ = json.NewEncoder(response).Encode(made.report.Load())
	})
	return made
}

func serve(t *testing.T, ip string, handler http.HandlerFunc) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(rig.port)))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
}

// healthyReport returns the report of a process that is ready, as each pod at 127.0.0.1 answers.
func healthyReport(component status.Component) status.Report {
	return status.Report{Component: component, Ready: true, Reason: status.ReasonReady, Checks: []status.Check{
		{Name: status.ChannelCheck, OK: true, Reason: status.ReasonJoined},
		{Name: status.EventsCheck, OK: true, Reason: status.ReasonStreamBound, Message: "events are kept in the stream"},
	}}
}

// notReady returns the report of a process that is not ready because of one check.
func notReady(component status.Component, name status.CheckName, reason status.Reason, message string) status.Report {
	checks := []status.Check{{Name: name, Reason: reason, Message: message}}
	if component == status.BotComponent && name != status.ChannelCheck {
		joined := status.Check{Name: status.ChannelCheck, OK: true, Reason: status.ReasonJoined}
		checks = append([]status.Check{joined}, checks...)
	}
	return status.Report{Component: component, Reason: reason, Message: message, Checks: checks}
}
