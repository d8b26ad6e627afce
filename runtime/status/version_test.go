package status_test

import (
	"testing"

	"rosey.dev/rosey/runtime/status"
)

func TestOlderVersion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		reported, minimum string
		want              bool
	}{
		{"2.9.25", "2.10", true},
		{"1.99", "2.10", true},
		{"2.10.0", "2.10", false},
		{"v2.10.29", "2.10", false},
		{"2.15.2-beta.1", "2.10", false},
		{"3.0", "2.10", false},
		{"9.6.24", "13", true},
		{"12.1", "13", true},
		{"12devel", "13", true},
		{"16beta1", "13", false},
		{"15.8 (Debian 15.8-0+deb12u1)", "13", false},
		{"", "13", false},
		{"unknown", "13", false},
		{"2", "2.10", false},
		{"2.x", "2.10", false},
		{"99999999999999999999999", "13", false},
	} {
		if got := status.OlderVersion(test.reported, test.minimum); got != test.want {
			t.Errorf("%q older than %q: %t, want %t", test.reported, test.minimum, got, test.want)
		}
	}
}
