// Package process is the HTTP server that every process of Rosey has: `rosey bot`, `rosey db`, `rosey web` and `rosey
// run`.
//
// The paths are those of package status. They have different readers:
//
//   - HealthPath is for the kubelet's liveness probe. It always returns 200 while the process can respond, regardless
//     of its checks: a restart would not bring back a NATS server.
//   - ReadyPath is for the readiness probe and returns 503 while a check is not OK. Its body is the reason and the
//     message on one line, which the kubelet shows in the events of the pod. That of `rosey web` returns 200 while the
//     pages are served, which say what is missing: nobody could read that if their Service left the pod out.
//   - StatusPath is for the operator and `rosey status`: the status.Report as JSON.
//   - MetricsPath is for Prometheus.
//   - StatePath and ProcessPath are for who runs the process: the report, the channel as the bot sees it, and the
//     metrics that people understand, as JSON and as a page.
//
// Where the process also serves the pages for the people of the channel (package web), they have all other paths, and
// StatePath and ProcessPath are for those alone whom the pages let see them.
//
// # Report
//
// A Server has a list of checks, which are functions that return the current state of one thing that the process needs.
// At every request it calls them and puts a status.Report together. The first check that is not OK determines the
// reason of the whole report, so the order of the checks matters: those that explain the others come first.
//
// # Page
//
// The page needs no script and loads nothing, neither from other hosts nor from this one: its style is inside it, and
// a Content-Security-Policy with the hash of that style forbids everything else. It shows names and titles that users
// of the channel have chosen; html/template escapes them, and the policy is the second barrier.
//
// # Access
//
// The server has no authentication but that of Server.Private, which `rosey run` has. In a cluster only the pod network
// reaches it, and `rosey run` binds it to the loopback interface by default. Who reaches it must not be able to end the
// process:
//
//   - Time, headers and the number of connections are bounded. A connection above the limit is accepted, and the one
//     that waits longest is closed, so that idle connections cannot keep the kubelet's probes out.
//   - So is the number of responses at a time whose size depends on the channel.
//   - On a loopback address only loopback hosts are served, so that a page in a browser on this machine cannot read
//     what is served here under a name of its own (DNS rebinding).
package process
