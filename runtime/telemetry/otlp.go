package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"rosey.dev/rosey/runtime/config"
)

// exporter returns an exporter that connects when there is something to send.
func (r resolved) exporter() (sdktrace.SpanExporter, error) {
	encrypted, err := r.tlsConfig()
	if err != nil {
		return nil, err
	}
	// New does not wait for the network.
	if r.protocol == config.OTLPHTTP {
		exporter, err := otlptracehttp.New(context.Background(),
			otlptracehttp.WithEndpointURL(r.endpoint.String()), otlptracehttp.WithHTTPClient(r.httpClient(encrypted)))
		if err != nil {
			return nil, fmt.Errorf("preparing to send traces over HTTP: %w", err)
		}
		return exporter, nil
	}
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpointURL(r.endpoint.String()), otlptracegrpc.WithTimeout(r.timeout),
		otlptracegrpc.WithDialOption(grpc.WithPerRPCCredentials(perCall{r.headers}),
			grpc.WithUnaryInterceptor(callWithoutText)),
	}
	if encrypted != nil {
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(encrypted)))
	}
	exporter, err := otlptracegrpc.New(context.Background(), options...)
	if err != nil {
		return nil, fmt.Errorf("preparing to send traces over gRPC: %w", err)
	}
	return exporter, nil
}

// httpClient returns a client that follows no redirection: it would send the headers, which are secrets, to another
// host.
func (r resolved) httpClient(encrypted *tls.Config) *http.Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 1}
	transport.TLSClientConfig = encrypted
	return &http.Client{
		Transport:     perRequest{r.headers, transport},
		Timeout:       r.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tlsFiles are the files of the exporter's variables. An empty name: that of the system, or none.
type tlsFiles struct {
	caVariable, ca                 string
	certificateVariable, cert, key string
}

func tlsFilesFromEnvironment() (f tlsFiles) {
	f.caVariable, f.ca = variable("TRACES_CERTIFICATE", "CERTIFICATE")
	f.certificateVariable, f.cert = variable("TRACES_CLIENT_CERTIFICATE", "CLIENT_CERTIFICATE")
	_, f.key = variable("TRACES_CLIENT_KEY", "CLIENT_KEY")
	return f
}

// tlsConfig returns nil for an endpoint without TLS.
func (r resolved) tlsConfig() (*tls.Config, error) {
	if r.endpoint.Scheme != "https" {
		return nil, nil //nolint:nilnil // there is none
	}
	if r.tlsDir != "" {
		return r.tlsDir.config(r.endpoint.Hostname()), nil
	}
	encrypted := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.tls.ca != "" {
		authorities, err := config.ReadBoundedFile(r.tls.ca, maxTLSBytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.tls.caVariable, err)
		}
		encrypted.RootCAs = x509.NewCertPool()
		if !encrypted.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("%s: %s has no certificate, expected PEM", r.tls.caVariable, r.tls.ca)
		}
	}
	if r.tls.cert != "" {
		certificate, err := r.tls.certificate()
		if err != nil {
			return nil, fmt.Errorf("%s and its key: %w", r.tls.certificateVariable, err)
		}
		encrypted.Certificates = []tls.Certificate{certificate}
	}
	return encrypted, nil
}

// certificate returns the certificate of the client.
func (f tlsFiles) certificate() (tls.Certificate, error) {
	cert, err := config.ReadBoundedFile(f.cert, maxTLSBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := config.ReadBoundedFile(f.key, maxTLSBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key) //nolint:wrapcheck // the caller names both
}
