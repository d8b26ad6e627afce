package bus

import (
	"time"

	"rosey.dev/rosey/runtime/status"
)

// StatusGet is the subject of a request to which every process replies that is connected to NATS under the prefix, so
// there may be any number of replies, or none. Requester.Processes sends it. The body is ignored.
const StatusGet Suffix = "status.get"

const (
	// MaxProcessBytes bounds a ProcessStatus as JSON.
	MaxProcessBytes = 64 << 10
	// MaxProcesses bounds how many replies Requester.Processes reads.
	MaxProcesses = 256
	// ProcessesTimeout is how long Requester.Processes waits for replies: a process replies at once.
	ProcessesTimeout = time.Second
)

// ProcessStatus is the reply to StatusGet.
type ProcessStatus struct {
	// Success is always true. A reply without it is not from a process of Rosey.
	Success bool `json:"success"`
	// Instance is the name of the pod, or of the host outside a cluster.
	Instance string `json:"instance"`
	// Server and Channel are those of its configuration. A database service may serve others too: Report.Channels.
	Server  string `json:"server,omitempty"`
	Channel string `json:"channel,omitempty"`
	// Report is the body of status.StatusPath.
	Report status.Report `json:"report"`
}
