// Command probe tests the cluster's network from inside a pod. It needs neither a shell nor a C library:
//
//	probe get URL          prints the status and the start of the body; sends the pod's token to https servers
//	probe dns NAME         prints the addresses NAME resolves to
//	probe tcp HOST:PORT    connects
//	probe write FILE TEXT  writes a file
//	probe echo             copies standard input to standard output
//	probe serve :PORT      responds to every request with this pod's name, until SIGTERM or SIGINT
//
// All but serve time out after three seconds. A failing command prints one line on standard error and exits with
// status 1.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const timeout = 3 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		stop()
		os.Exit(1)
	}
}

// commands are those with a time limit, and how many arguments each takes.
var commands = map[string]struct {
	arguments int
	run       func(ctx context.Context, arguments []string) error
}{
	"get":   {1, func(ctx context.Context, a []string) error { return get(ctx, a[0]) }},
	"dns":   {1, func(ctx context.Context, a []string) error { return resolve(ctx, a[0]) }},
	"tcp":   {1, func(ctx context.Context, a []string) error { return connect(ctx, a[0]) }},
	"write": {2, func(_ context.Context, a []string) error { return write(a[0], a[1]) }},
	"echo":  {0, func(context.Context, []string) error { return echo() }},
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "serve" {
		return serve(ctx, args[1])
	}
	if len(args) > 0 {
		if command, ok := commands[args[0]]; ok && len(args)-1 == command.arguments {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			return command.run(ctx, args[1:])
		}
	}
	return fmt.Errorf("expected get URL, dns NAME, tcp HOST:PORT, write FILE TEXT, echo or serve :PORT, got %q", args)
}

func resolve(ctx context.Context, name string) error {
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return fmt.Errorf("resolving %s: %w", name, err)
	}
	fmt.Println(addresses)
	return nil
}

func connect(ctx context.Context, address string) error {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", address, err)
	}
	fmt.Println("connected to", connection.RemoteAddr())
	if err := connection.Close(); err != nil {
		return fmt.Errorf("closing the connection to %s: %w", address, err)
	}
	return nil
}

func write(file, text string) error {
	//nolint:gosec // writing to the given path is the purpose of this command
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

func echo() error {
	if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
		return fmt.Errorf("copying standard input: %w", err)
	}
	return nil
}
