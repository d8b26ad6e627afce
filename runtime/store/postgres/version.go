package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/store"
)

// LeastVersion is the oldest version of a PostgreSQL server that is supported. Older ones get no security updates, and
// are not tested.
const LeastVersion = 13

// checkVersion returns an error if a server is older than LeastVersion. reported is what it says when a client
// connects, such as "15.8 (Debian 15.8-0+deb12u1)", "16beta1" or "9.6.24". What is no number is accepted: a pooler or
// another server that speaks the protocol may report anything.
func checkVersion(reported string) error {
	digits, _, _ := strings.Cut(reported, ".")
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	major, err := strconv.Atoi(digits)
	if err != nil || major >= LeastVersion {
		return nil //nolint:nilerr // see above
	}
	version, _, _ := strings.Cut(reported, " ")
	return fmt.Errorf("%w: it has version %.20s, expected PostgreSQL %d or later",
		store.ErrRefused, store.CleanText(version), LeastVersion)
}
