package controllers

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/status"
)

// An image of the user's choice may serve anything: it can neither break a condition nor send the operator elsewhere.
func TestFetchReportRejectsWhatIsNoReport(t *testing.T) {
	report := `{"component":"bot","reason":"LoginRefused","message":"m","checks":[]}`
	tests := map[string]struct {
		status     int
		body, want string
	}{
		"report":          {http.StatusOK, report, ""},
		"page":            {http.StatusOK, "<html>", "not a status report in JSON"},
		"not found":       {http.StatusNotFound, report, "HTTP status 404"},
		"redirect":        {http.StatusFound, report, "HTTP status 302"},
		"other component": {http.StatusOK, strings.Replace(report, "bot", "database", 1), `component "database"`},
		"no component":    {http.StatusOK, `{"reason":"Ready"}`, "not a status report in JSON"},
		"no reason":       {http.StatusOK, strings.Replace(report, "LoginRefused", "", 1), "CamelCase word"},
		"long reason": {
			http.StatusOK, strings.Replace(report, "LoginRefused", strings.Repeat("a", 200), 1), "CamelCase word",
		},
		"reason in words": {http.StatusOK, strings.Replace(report, "LoginRefused", "login refused", 1), "CamelCase word"},
		"reason of a check": {
			http.StatusOK, strings.Replace(report, "[]", `[{"name":"channel","reason":"a b"}]`, 1), "CamelCase word",
		},
		"long leader": {
			http.StatusOK, strings.Replace(report, "{", `{"leader":"`+strings.Repeat("a", 300)+`",`, 1), "whose leader",
		},
		"leader that is an option": {
			http.StatusOK, strings.Replace(report, "{", `{"leader":"--all",`, 1), "whose leader",
		},
		"name of a check": {
			http.StatusOK, strings.Replace(report, "[]", `[{"name":"a\u001b[2J","reason":"Ready"}]`, 1), "not a single word",
		},
		"endless": {http.StatusOK, strings.Repeat(" ", 64<<10) + report, "not a status report in JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			elsewhere := 0
			server := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
				if request.URL.Path != status.StatusPath {
					elsewhere++
				}
				response.Header().Set("Location", "/elsewhere")
				response.WriteHeader(test.status)
				_, _ = response.Write([]byte(test.body))
			}))
			t.Cleanup(server.Close)
			got, err := status.FetchReport(t.Context(), probeClient, server.URL+status.StatusPath, status.BotComponent)
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
			if err == nil && got.Reason != status.ReasonLoginRefused {
				t.Errorf("report is %+v", got)
			}
			if elsewhere > 0 {
				t.Error("the redirect was followed")
			}
		})
	}
}

// A message that contains an address or a port would change the status in each reconcile.
func TestFetchReportErrorsHaveNoAddresses(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	_, hangs := status.FetchReport(t.Context(), probeClient, "http://"+silent.Addr().String(), status.BotComponent)
	_, refused := status.FetchReport(t.Context(), probeClient, "http://127.0.0.1:1", status.BotComponent)
	want := []string{"timed out", "connection refused"}
	if diff := cmp.Diff(want, []string{hangs.Error(), refused.Error()}); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}
