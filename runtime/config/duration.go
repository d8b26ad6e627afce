package config

import "time"

// Duration is a duration as Go writes it, such as 72h or 1h30m, or Forever.
type Duration string

// Forever is the Duration without an end.
const Forever Duration = "forever"

// Time is the duration; below 0 for Forever, and 0 for none. A configuration that was loaded has no others.
func (d Duration) Time() time.Duration {
	if d == Forever {
		return -1
	}
	length, err := time.ParseDuration(string(d))
	if err != nil {
		return 0
	}
	return length
}
