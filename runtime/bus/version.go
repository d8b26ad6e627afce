package bus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/status"
)

// LeastServerVersion is the oldest version of a NATS server whose streams can be used. Older servers drop the metadata
// of a stream without an error, by which a second database is recognized. Core NATS works with them.
const LeastServerVersion = "2.10"

// checkServerVersion returns a StreamError if the server is older than LeastServerVersion. A version that is not a
// number, such as that of another server that speaks the protocol, is accepted.
func checkServerVersion(connection *nats.Conn) error {
	version := connection.ConnectedServerVersion()
	if !olderVersion(version, LeastServerVersion) {
		return nil
	}
	return &StreamError{status.ReasonJetStreamMissing, fmt.Sprintf(
		"the NATS server has version %s, and a stream of events needs NATS %s or later", version, LeastServerVersion)}
}

// olderVersion reports whether major and minor of a version are lower than those of another.
func olderVersion(version, other string) bool {
	major, minor, ok := parseVersion(version)
	otherMajor, otherMinor, _ := parseVersion(other)
	return ok && (major < otherMajor || major == otherMajor && minor < otherMinor)
}

func parseVersion(version string) (major, minor int, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return major, minor, errMajor == nil && errMinor == nil
}
