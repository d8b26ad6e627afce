package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
)

// dialer can be interrupted, while it looks up a name too. The one of nats.go makes Close wait for both.
type dialer struct {
	context context.Context //nolint:containedctx // nats.CustomDialer passes none
	// before is called before each attempt. Its error ends the attempt.
	before func() error
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if err := d.before(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(d.context, dialTimeout)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", address, err)
	}
	return connection, nil
}

// ErrorMessage says what went wrong without the layers of system calls that Go's errors show.
func ErrorMessage(err error) string {
	if lookup, ok := errors.AsType[*net.DNSError](err); ok && lookup.IsNotFound {
		return "no such host: " + lookup.Name
	} else if ok {
		return "looking up " + lookup.Name + " failed"
	}
	network, isNetwork := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to host"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, nats.ErrTimeout), isNetwork && network.Timeout():
		return "no answer within " + dialTimeout.String()
	default:
		return strings.ToLower(strings.TrimPrefix(err.Error(), "nats: "))
	}
}

// isRefusal says whether the server was reached and does not want us.
func isRefusal(err error) bool {
	if refusesCertificate(err) {
		return true
	}
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired)
}

// refusesCertificate says whether the server wants another certificate than ours, or one at all. With TLS 1.3 it says
// so after the handshake, or only closes the connection then; neither has a type of its own.
func refusesCertificate(err error) bool {
	text := err.Error()
	return strings.Contains(text, "remote error: tls: ") || strings.Contains(text, "closed by remote after TLS handshake")
}
