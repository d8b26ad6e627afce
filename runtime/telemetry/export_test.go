package telemetry

import "testing"

// ReportProblemsAtOnce has Problem return what the last export has shown, until the test ends.
func ReportProblemsAtOnce(t *testing.T) {
	before := problemAfter
	t.Cleanup(func() { problemAfter = before })
	problemAfter = 0
}
