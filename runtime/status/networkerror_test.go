package status_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/status"
)

func TestNetworkError(t *testing.T) {
	dial := func(cause error) error {
		return fmt.Errorf("dialing: %w", &url.Error{Op: "Get", URL: "https://10.0.0.1:443/", Err: &net.OpError{
			Op: "dial", Net: "tcp", Source: &net.TCPAddr{Port: 40123}, Err: cause,
		}})
	}
	expired := x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired, Detail: "current time " +
		time.Now().String()}
	for want, err := range map[string]error{
		"no such host: cytu.invalid":     dial(&net.DNSError{Name: "cytu.invalid", IsNotFound: true}),
		"looking up cytu.invalid failed": dial(&net.DNSError{Name: "cytu.invalid", IsTemporary: true}),
		"connection refused":             dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)),
		"connection reset":               dial(os.NewSyscallError("read", syscall.ECONNRESET)),
		"no route to host":               dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)),
		"timed out":                      dial(context.DeadlineExceeded),
		"connection closed":              &url.Error{Op: "Get", URL: "http://x/", Err: io.ErrUnexpectedEOF},
		"dial: out of buffers":           dial(errors.New("Out of buffers")),
		"http: nonsense":                 &url.Error{Op: "Get", URL: "http://x/", Err: errors.New("http: nonsense")},
		"authorization violation":        errors.New("Authorization Violation"),
		"the server's certificate has expired or is not yet valid": &url.Error{Op: "Get", URL: "https://x/", Err: expired},
	} {
		if got := status.NetworkError(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
