package status

// The port and the paths of the HTTP server of every process. The operator probes them.
const (
	// HTTPPort serves the HTTP paths below.
	HTTPPort = 8080

	// HealthPath answers 200 while the process works at all (liveness).
	HealthPath = "/healthz"
	// ReadyPath answers 200 when Report.Ready is true, else 503 (readiness).
	ReadyPath = "/readyz"
	// StatusPath answers 200 with a Report as JSON, ready or not.
	StatusPath = "/status"
	// StatePath answers with the report and what changes all the time, as JSON; the page at / shows it.
	StatePath = "/state"
	// MetricsPath answers with Prometheus metrics.
	MetricsPath = "/metrics"
)
