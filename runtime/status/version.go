package status

import (
	"strconv"
	"strings"
)

// OlderVersion reports whether a version that a server reports is lower than a minimum, in as many numbers as the
// minimum has: "2.9.25" is lower than "2.10", and neither "v2.10.0" is nor "16beta1" lower than "13". A version that is
// no number is not lower: a proxy, or another server that speaks the protocol, may report anything.
func OlderVersion(reported, minimum string) bool {
	parts := strings.Split(strings.TrimPrefix(reported, "v"), ".")
	for i, want := range strings.Split(minimum, ".") {
		if i >= len(parts) {
			return false
		}
		has, isNumber := leadingNumber(parts[i])
		least, _ := leadingNumber(want)
		if !isNumber || has != least {
			return isNumber && has < least
		}
	}
	return false
}

// leadingNumber returns the number that a part of a version begins with.
func leadingNumber(part string) (number int, ok bool) {
	end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(part)
	}
	number, err := strconv.Atoi(part[:end])
	return number, err == nil
}
