package bus

import (
	"fmt"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/status"
)

// MinServerVersion is the oldest version of a NATS server whose streams can be used. Older servers drop the metadata of
// a stream without an error, by which a second database is recognized. Core NATS works with them.
const MinServerVersion = "2.10"

// checkServerVersion returns a StreamError if the server is older than MinServerVersion.
func checkServerVersion(connection *nats.Conn) error {
	version := connection.ConnectedServerVersion()
	if !status.OlderVersion(version, MinServerVersion) {
		return nil
	}
	return &StreamError{status.ReasonJetStreamMissing, fmt.Sprintf(
		"the NATS server has version %s, and a stream of events needs NATS %s or later", version, MinServerVersion)}
}
