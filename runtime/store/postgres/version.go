package postgres

import (
	"fmt"
	"strings"

	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// MinVersion is the oldest version of a PostgreSQL server that is supported. Older ones get no security updates, and
// are not tested.
const MinVersion = "13"

// checkVersion returns an error if a server is older than MinVersion. reported is what it says when a client connects,
// such as "15.8 (Debian 15.8-0+deb12u1)", "16beta1" or "9.6.24".
func checkVersion(reported string) error {
	if !status.OlderVersion(reported, MinVersion) {
		return nil
	}
	version, _, _ := strings.Cut(reported, " ")
	return fmt.Errorf("%w: it has version %.20s, expected PostgreSQL %s or later",
		store.ErrRefused, store.CleanText(version), MinVersion)
}
