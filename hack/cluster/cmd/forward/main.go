// Command forward makes a port in the cluster's network namespace reachable from the machine, although no link connects
// the two. A socket belongs to the namespace it was opened in, whichever process uses it. So the listener is opened
// outside, inherited as an open file, and served by a process inside, which dials from there:
//
//	forward listen PORTFILE COMMAND [ARG…]   listens on a free port of 127.0.0.1, writes the port to PORTFILE and
//	                                         executes COMMAND, which inherits the listener as file descriptor 3
//	forward serve HOST:PORT                  accepts on file descriptor 3 and copies to and from HOST:PORT
//
// The serving process is in the cluster's process namespace, so it ends with the cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// inheritedListener is the listener's file descriptor: the first after standard error.
const inheritedListener = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "forward:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) >= 3 && args[0] == "listen":
		return listenAndExec(args[1], args[2:])
	case len(args) == 2 && args[0] == "serve":
		return serve(ctx, args[1])
	default:
		return fmt.Errorf("expected 'listen PORTFILE COMMAND [ARG…]' or 'serve HOST:PORT', got %q", args)
	}
}
