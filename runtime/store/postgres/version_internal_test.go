package postgres

import (
	"strings"
	"testing"
)

func TestServersThatAreTooOldAreRefused(t *testing.T) {
	for reported, old := range map[string]bool{
		"9.6.24": true, "12.22 (Debian 12.22-1)": true, "12beta3": true, "8.4": true,
		"13.0": false, "13beta1": false, "15.8 (Debian 15.8-0+deb12u1)": false, "17": false, "": false,
		"unknown": false,
	} {
		err := checkVersion(reported)
		if (err != nil) != old {
			t.Errorf("%q: %v", reported, err)
		}
		version, _, _ := strings.Cut(reported, " ")
		if old && !strings.Contains(err.Error(), version+", expected PostgreSQL 13") {
			t.Errorf("%q: %v", reported, err)
		}
	}
}
