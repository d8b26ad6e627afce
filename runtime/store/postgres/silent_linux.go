package postgres

import (
	"errors"
	"net"
	"syscall"
)

// isSilent reports whether nothing has arrived on a network connection, neither data nor its end. It does not wait.
func isSilent(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var received error
	err = raw.Control(func(fd uintptr) {
		_, _, received = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && errors.Is(received, syscall.EAGAIN)
}
