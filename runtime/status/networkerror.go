package status

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
)

var networkCauses = []struct {
	err  error
	text string
}{
	{syscall.ECONNREFUSED, "connection refused"},
	{syscall.ECONNRESET, "connection reset"},
	{syscall.EHOSTUNREACH, "no route to host"},
	{syscall.ENETUNREACH, "no route to host"},
	{context.DeadlineExceeded, "timed out"},
	{os.ErrDeadlineExceeded, "timed out"},
	{io.EOF, "connection closed"},
	{io.ErrUnexpectedEOF, "connection closed"},
}

// brokenHTTP is the beginning of net/http's error for a response that it cannot parse. The rest contains the response.
const brokenHTTP = "net/http: HTTP/1.x transport connection broken: "

// NetworkError returns the cause of a failed network operation in a few words, without addresses, ports and the names
// of system calls. The text stays the same from attempt to attempt while the cause does, so a status that contains it
// changes only when the state does. The text of any other error is returned in lower case.
func NetworkError(err error) string {
	if lookup, ok := errors.AsType[*net.DNSError](err); ok && lookup.IsNotFound {
		return "no such host: " + lookup.Name
	} else if ok {
		return "looking up " + lookup.Name + " failed"
	}
	for _, known := range networkCauses {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return "timed out"
	}
	if text := changingCause(err); text != "" {
		return text
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return strings.ToLower(operation.Op + ": " + operation.Err.Error())
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err
	}
	return strings.ToLower(err.Error())
}

// changingCause returns the text for an error whose own text would be another one each time, or "".
func changingCause(err error) string {
	// Its full text contains the current time.
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "the server's certificate has expired or is not yet valid"
	}
	if request, ok := errors.AsType[*url.Error](err); ok && strings.HasPrefix(request.Err.Error(), brokenHTTP) {
		return "not a valid HTTP response"
	}
	return ""
}
