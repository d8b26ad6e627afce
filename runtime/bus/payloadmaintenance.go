package bus

// MaintenanceRequest is the body of a MaintenanceRun request: remove now what the retention does not
// keep, of all channels. Any body is taken. A run may last longer than RequestTimeout; a client should
// wait for a minute, and a reply that does not come does not mean that the run has stopped.
type MaintenanceRequest struct{}

// MaintenanceReply is the reply to MaintenanceRun.
type MaintenanceReply struct {
	Success bool `json:"success"`
	// Removed counts the rows that were removed, before an error too.
	Removed MaintenanceRemoved `json:"removed"`
	// DurationMS is how long it took, in milliseconds.
	DurationMS int64  `json:"duration_ms"`
	Error      string `json:"error,omitempty"`
}

// MaintenanceRemoved counts removed rows.
type MaintenanceRemoved struct {
	Chat        int64 `json:"chat"`
	UserCounts  int64 `json:"user_counts"`
	Outbound    int64 `json:"outbound"` // sent or abandoned
	KV          int64 `json:"kv"`       // expired
	DeadLetters int64 `json:"dead_letters"`
}
