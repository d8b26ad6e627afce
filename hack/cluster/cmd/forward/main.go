// Command forward makes a port inside the cluster's network namespace reachable from the machine outside, though no
// link joins the two. A socket belongs to the namespace it was opened in, whoever holds it; so the listener is opened
// outside, handed down as an open file, and served by a process inside that dials from there:
//
//	forward listen PORTFILE COMMAND [ARG…]   opens 127.0.0.1 on a free port, writes the port to PORTFILE and becomes
//	                                         COMMAND, which inherits the listener as file descriptor 3
//	forward serve HOST:PORT                  accepts on file descriptor 3 and copies to and from HOST:PORT
//
// The serving process lives in the cluster's process namespace, so it ends with the cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// inheritedListener is the file descriptor the listener is handed down as: the first after standard error.
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
		return listenAndBecome(args[1], args[2:])
	case len(args) == 2 && args[0] == "serve":
		return serve(ctx, args[1])
	default:
		return fmt.Errorf("expected 'listen PORTFILE COMMAND [ARG…]' or 'serve HOST:PORT', got %q", args)
	}
}
