//go:build !linux

package postgres

import "net"

// isSilent reports false, so that the server is asked: services run on Linux.
func isSilent(net.Conn) bool { return false }
