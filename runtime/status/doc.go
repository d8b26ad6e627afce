// Package status is the contract between the processes of the runtime and the operator: what a process needs for its
// job, whether it has it, and if not, why.
//
// Each thing that a process needs is a [Check], such as [NATSCheck]: OK or not, with a [Reason] for programs and a
// message for people. The package that knows the answer keeps the check up to date in a [Recorder], which also
// remembers since when the check is as it is. The HTTP server of the process (package process) collects the checks in
// a [Report] and serves it as JSON at [StatusPath]; the process is ready while every check is OK.
//
// The operator reads the report of a pod whose process may be of another version or not a Rosey process, so
// [FetchReport] refuses what cannot be a report. The reason of the check that is not OK becomes the reason of a
// condition of the RoseyBot. So reasons are an API: `kubectl wait` and alerts rely on them. They are listed in
// reasons.go, from which docs/api.md is generated, and a test of the operator fails for a reason that it does not know.
//
// Anybody may reach the ports of a pod, and a pod may answer anything. [NewServer] and [NewClient] bound time, headers
// and connections of the two sides.
//
// Messages come from servers and users. [Printable] and [OneLine] make such text safe to show, [EscapeJSON] does it for
// JSON, [PrintableWriter] for all that a program writes, and [NetworkError] turns the error of a network operation into
// words that stay the same from attempt to attempt: a message that changed with every attempt would make the operator
// write a new status each time.
package status
