package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// validReason is what Kubernetes takes as a condition's reason.
var validReason = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]{0,98}[A-Za-z0-9_])?$`)

// longestName is that of a pod in Kubernetes.
const longestName = 253

// ParseReport refuses what is not a Report of the component: whoever serves StatusPath may serve anything.
func ParseReport(body []byte, component Component) (Report, error) {
	var report Report
	if err := json.Unmarshal(body, &report); err != nil {
		return Report{}, errors.New("not the JSON of a report")
	}
	if report.Component != component {
		return Report{}, fmt.Errorf("a report of %q instead of %q", report.Component, component)
	}
	if len(report.Leader) > longestName {
		return Report{}, errors.New("a report with a leader that is not a pod's name")
	}
	reasons := []Reason{report.Reason}
	for _, check := range report.Checks {
		reasons = append(reasons, check.Reason)
	}
	for _, reason := range reasons {
		if !validReason.MatchString(string(reason)) {
			return Report{}, errors.New("a report with a reason that is not one word")
		}
	}
	return report, nil
}
