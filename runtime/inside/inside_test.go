package inside

import (
	"errors"
	"testing"
)

func TestInsideAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "10.0.0.1:80": true, "172.16.3.4:80": true, "192.168.1.1:80": true, "169.254.169.254:80": true,
		"[::1]:80": true, "[fe80::1%eth0]:80": true, "[fd00:ec2::254]:80": true, "[::ffff:10.0.0.1]:80": true,
		"100.64.1.1:80": true, "0.0.0.0:80": true, "[::]:80": true, "224.0.0.1:80": true, "255.255.255.255:80": true,
		"[64:ff9b::10.0.0.1]:80": true, "[64:ff9b::a9fe:a9fe]:80": true, "[64:ff9b:1::1]:80": true,
		"what": true, "93.184.216.34:443": false, "100.128.0.1:80": false, "[64:ff9b::93.184.216.34]:443": false,
		"[2606:2800:220:1::1]:443": false,
	} {
		if got := Is(address); got != want {
			t.Errorf("%s: inside %t", address, got)
		}
		if err := Refuse("tcp", address, nil); errors.Is(err, ErrRefused) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Some addresses look like public ones and lead to what only this machine reaches, or have a private address inside.
func TestNoSpecialNetworkIsTakenForTheInternet(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"0.1.2.3:80": true, "192.0.0.192:80": true, "198.18.0.1:80": true, "198.19.255.255:80": true, "240.0.0.1:80": true,
		"168.63.129.16:80": true, "[fec0::3]:80": true, "[::10.0.0.1]:80": true, "[2002:a00:1::1]:80": true,
		"[2001:0:a00:1::f5ff:fffe]:80": true, "[::ffff:168.63.129.16]:80": true, "[64:ff9b::168.63.129.16]:80": true,
		// Their neighbours are part of the Internet.
		"1.0.0.1:80": false, "192.0.1.1:80": false, "198.17.255.255:80": false, "198.20.0.1:80": false,
		"168.63.129.17:80": false, "[2001:1::1]:80": false, "[2001:db8::1]:80": false, "[2003::1]:80": false,
	} {
		if got := Is(address); got != want {
			t.Errorf("%s: inside %t", address, got)
		}
	}
}
