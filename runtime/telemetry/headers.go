package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"rosey.dev/rosey/runtime/config"
)

const (
	// maxHeadersBytes and maxHeaders bound a file of headers.
	maxHeadersBytes = 64 << 10
	maxHeaders      = 64
)

// headersFile is the name of a file with headers. It is read at each use. An error has nothing of its content.
type headersFile string

// read returns the headers, with names in lower case. There is none without a file's name.
func (f headersFile) read() (map[string]string, error) {
	if f == "" {
		return map[string]string{}, nil
	}
	content, err := f.content()
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for pair := range strings.FieldsFuncSeq(content, func(r rune) bool { return strings.ContainsRune(",\r\n", r) }) {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := parseHeader(pair)
		if !ok {
			return nil, fmt.Errorf("headers file %s: pair %d: expected name=value with a percent-encoded value",
				string(f), len(headers)+1)
		}
		headers[name] = value
		if len(headers) > maxHeaders {
			return nil, fmt.Errorf("headers file %s: expected at most %d headers", string(f), maxHeaders)
		}
	}
	if len(headers) == 0 {
		return nil, fmt.Errorf("headers file %s: expected name=value pairs, found none", string(f))
	}
	return headers, nil
}

// checkHeaders returns an error without their content if the headers in a variable are malformed: the SDK, which reads
// them, leaves such a header out and logs it with its value.
func checkHeaders() error {
	for _, suffix := range []string{"TRACES_HEADERS", "HEADERS"} {
		name, value := variable(suffix)
		for i, pair := range strings.Split(value, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			if _, _, ok := parseHeader(pair); !ok {
				return fmt.Errorf("%s: pair %d: expected name=value with a percent-encoded value", name, i+1)
			}
		}
	}
	return nil
}

// parseHeader returns a header in the form name=value. Both protocols can send it: gRPC takes printable ASCII only.
func parseHeader(pair string) (name, value string, ok bool) {
	name, encoded, found := strings.Cut(pair, "=")
	name = strings.ToLower(strings.TrimSpace(name))
	value, err := url.PathUnescape(strings.TrimSpace(encoded))
	isControl := func(r rune) bool { return r < ' ' || r > '~' }
	return name, value, found && err == nil && httpguts.ValidHeaderFieldName(name) &&
		!strings.ContainsFunc(value, isControl)
}

func (f headersFile) content() (string, error) {
	content, err := config.ReadBoundedFile(string(f), maxHeadersBytes)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("headers file %s: it does not exist", string(f))
	}
	if err != nil {
		return "", fmt.Errorf("reading the headers file %s: %w", string(f), err)
	}
	return strings.TrimPrefix(string(content), "\ufeff"), nil
}

// perCall adds the headers to each call of gRPC. It implements credentials.PerRPCCredentials.
type perCall struct{ file headersFile }

var _ credentials.PerRPCCredentials = perCall{}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (p perCall) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return p.file.read()
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: whether there is TLS was decided by the endpoint.
func (p perCall) RequireTransportSecurity() bool { return false }

// perRequest adds the headers to each request over HTTP. It implements http.RoundTripper.
type perRequest struct {
	file  headersFile
	inner http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (p perRequest) RoundTrip(request *http.Request) (*http.Response, error) {
	headers, err := p.file.read()
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close() // as a RoundTripper has to
		}
		return nil, err
	}
	request = request.Clone(request.Context())
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := p.inner.RoundTrip(request)
	if err != nil {
		return nil, err //nolint:wrapcheck // status.NetworkError knows it, and does not repeat a malformed answer
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return withoutText(response)
	}
	return response, nil
}

// withoutText returns only the code of what a receiver answers to a request that it does not take, as an error unless
// the SDK tries that again. A receiver that repeats the request would otherwise have its headers logged.
func withoutText(response *http.Response) (*http.Response, error) {
	_ = response.Body.Close()
	text := fmt.Sprintf("the receiver answers %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		response.Body = io.NopCloser(strings.NewReader(text))
		return response, nil
	}
	return nil, errors.New(text)
}

// callWithoutText is a grpc.UnaryClientInterceptor that does the same as withoutText. Errors of the connection keep
// their text.
func callWithoutText(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	var header, trailer metadata.MD
	err := invoke(ctx, method, request, reply, conn, append(options, grpc.Header(&header), grpc.Trailer(&trailer))...)
	if err == nil {
		return nil
	}
	answer := grpcstatus.Convert(err).Proto()     // with its details, which say when to try again
	const notGRPC = "unexpected HTTP status code" // of a proxy: the body follows
	switch {
	case len(header)+len(trailer) > 0:
		answer.Message = "answered by the receiver"
	case strings.HasPrefix(answer.GetMessage(), notGRPC):
		answer.Message, _, _ = strings.Cut(answer.GetMessage(), ";")
	}
	return grpcstatus.ErrorProto(answer) //nolint:wrapcheck // the SDK needs the status
}
