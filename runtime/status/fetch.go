package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
)

// maxReportSize limits the memory that a server can use up that is no process of the runtime.
const maxReportSize = 64 << 10

// FetchReport requests the Report of a process. The URL ends in StatusPath. The Report must be that of component, or of
// any component if that is empty.
//
// FetchReport returns an error for anything that the operator could not put into the status of a RoseyBot: whatever
// runs in a pod may serve StatusPath. The errors contain no addresses and ports, which differ from pod to pod and from
// attempt to attempt: each new message would be a write of the status.
func FetchReport(ctx context.Context, client *http.Client, url string, component Component) (Report, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Report{}, fmt.Errorf("invalid address: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return Report{}, errors.New(OneLine(NetworkError(err), maxMessage))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return Report{}, fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReportSize))
	if err != nil {
		return Report{}, errors.New(OneLine(NetworkError(err), maxMessage))
	}
	return ParseReport(body, component)
}

// ParseReport returns the Report in JSON of a process, with the same checks as FetchReport.
func ParseReport(body []byte, component Component) (Report, error) {
	var report Report
	if err := json.Unmarshal(body, &report); err != nil || !validName.matches(string(report.Component)) {
		return Report{}, errors.New("not a status report in JSON")
	}
	if component != "" && report.Component != component {
		return Report{}, fmt.Errorf("a status report of component %q, expected %q", report.Component, component)
	}
	if report.Leader != "" && !validPodName.matches(report.Leader) {
		return Report{}, errors.New("a status report whose leader is not the name of a pod")
	}
	if err := errors.Join(checkLists(&report), checkPlugins(&report)); err != nil {
		return Report{}, err
	}
	reasons := []Reason{report.Reason}
	report.Version, report.Message = OneLine(report.Version, maxVersion), OneLine(report.Message, maxMessage)
	report.Telemetry = OneLine(report.Telemetry, maxMessage)
	for i := range report.Checks {
		check := &report.Checks[i]
		if !validName.matches(string(check.Name)) {
			return Report{}, errors.New("a status report with a check whose name is not a single word")
		}
		check.Message = OneLine(check.Message, maxMessage)
		reasons = append(reasons, check.Reason)
	}
	for _, reason := range reasons {
		if !validReason.matches(string(reason)) {
			return Report{}, errors.New("a status report with a reason that is not a single CamelCase word")
		}
	}
	return report, nil
}

// word is a pattern and a length. In a pattern a length is expensive: for {0,98} every process would have 100 KiB of
// memory, of which most never read a Report.
type word struct {
	pattern *regexp.Regexp
	longest int
}

func (w word) matches(text string) bool { return len(text) <= w.longest && w.pattern.MatchString(text) }

var (
	// validReason is what Kubernetes demands of a condition's reason.
	validReason = word{regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`), 100}
	// validName is what the names of components and checks are.
	validName = word{regexp.MustCompile(`^[a-z][A-Za-z0-9-]*$`), 63}
	// validPodName is what a leader is: the name of a pod or of a host. It cannot be taken for an option of a command.
	validPodName = word{regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`), 253}
)

const (
	// maxVersion, maxMessage and maxChannelName bound the texts of a Report that comes from another process, in
	// characters. A channel's name has that of its server.
	maxVersion     = 100
	maxMessage     = 1000
	maxChannelName = 400
	// maxChecks and maxChannels bound its lists, which need many times their size as JSON. A database service lists at
	// most config.MaxListedChannels.
	maxChecks   = 32
	maxChannels = 256
)

// checkLists returns an error if a report lists more than a process of the runtime does, and makes the reasons for
// refused channels printable.
func checkLists(report *Report) error {
	if len(report.Checks) > maxChecks {
		return fmt.Errorf("a status report with more than %d checks", maxChecks)
	}
	if len(report.Channels)+len(report.RefusedChannels) > maxChannels {
		return fmt.Errorf("a status report with more than %d channels", maxChannels)
	}
	for name, reason := range report.RefusedChannels {
		report.RefusedChannels[name] = OneLine(reason, maxMessage)
	}
	for _, name := range slices.Concat(report.Channels, slices.Collect(maps.Keys(report.RefusedChannels))) {
		if len(name) > maxChannelName || Printable(name) != name {
			return errors.New("a status report with a channel whose name is not a short printable text")
		}
	}
	return nil
}
