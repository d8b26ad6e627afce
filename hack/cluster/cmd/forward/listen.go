package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// listenAndExec replaces this process by command, with an open listener on a free port of 127.0.0.1 as file
// descriptor 3. It returns only if that fails.
func listenAndExec(portFile string, command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("finding the command to execute: %w", err)
	}
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}) // port 0: any that is free
	if err != nil {
		return fmt.Errorf("listening on a free port of 127.0.0.1: %w", err)
	}
	file, err := listener.File()
	if err != nil {
		return fmt.Errorf("getting the listener's file descriptor: %w", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return fmt.Errorf("reading the listener's port: %w", err)
	}
	//nolint:gosec // the caller, a root shell, chooses the file
	if err := os.WriteFile(portFile, []byte(port+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing the port to %s: %w", portFile, err)
	}
	// Exec closes every other descriptor of this process, but not a duplicate made by Dup3 without flags.
	if err := syscall.Dup3(int(file.Fd()), inheritedListener, 0); err != nil {
		return fmt.Errorf("moving the listener to file descriptor %d: %w", inheritedListener, err)
	}
	//nolint:gosec // executing the caller's command is the purpose of this program
	if err := syscall.Exec(path, command, os.Environ()); err != nil {
		return fmt.Errorf("executing %s: %w", path, err)
	}
	return nil
}
