package process

import (
	"time"

	"rosey.dev/rosey/runtime/status"
)

// Reporter puts a process's checks together to its report. The first check that is not OK gives the
// report its reason, so the one that explains the others comes first.
func Reporter(
	component status.Component, version string, started time.Time, checks ...func() status.Check,
) func() status.Report {
	return func() status.Report {
		report := status.Report{
			Component: component, Version: version, Started: started,
			Ready: true, Reason: status.ReasonReady, Message: "everything works",
		}
		for _, current := range checks {
			check := current()
			report.Checks = append(report.Checks, check)
			if report.Ready && !check.OK {
				report.Ready, report.Reason, report.Message = false, check.Reason, check.Message
			}
		}
		return report
	}
}
