package telemetry_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	golog "log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// awaitProblem waits until the last export has failed with a text, or with "" has not failed.
func awaitProblem(t *testing.T, tracing tracing, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		say("again")
		got := tracing.Problem()
		if (got == "") == (want == "") && strings.Contains(strings.ToLower(got), strings.ToLower(want)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the problem is %q, want %q", got, want)
		}
	}
}

// A Secret with certificates may come later than the process, and change.
func TestAuthoritiesOfTheDirectoryAreReadAtEachConnect(t *testing.T) {
	telemetry.ReportProblemsAtOnce(t)
	overGRPC, overHTTP, authority := otlptest.Encrypted(t)
	for protocol, receiver := range map[string]*otlptest.Receiver{
		config.OTLPGRPC: overGRPC, config.OTLPHTTP: overHTTP,
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100") // gRPC connects again until then
			dir := t.TempDir()
			write := func(content []byte) {
				if err := os.WriteFile(filepath.Join(dir, "ca.crt"), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tracing := setUp(t, telemetry.Settings{Endpoint: receiver.URL, Protocol: protocol, TLSDir: dir})
			awaitProblem(t, tracing, "directory "+dir+": ca.crt: file does not exist")
			if protocol == config.OTLPHTTP { // gRPC waits for a second between attempts
				write([]byte("none"))
				awaitProblem(t, tracing, "directory "+dir+": ca.crt: expected certificates in PEM")
				write(otherAuthority(t))
				awaitProblem(t, tracing, "certificate")
			}
			if len(receiver.Spans()) > 0 {
				t.Fatal("spans were sent to a receiver that the directory does not trust")
			}
			write(authority)
			awaitProblem(t, tracing, "")
			receiver.Await(t, "spans", has("again"))
		})
	}
}

// otherAuthority returns the certificate of an authority that has signed nothing, in PEM.
func otherAuthority(t *testing.T) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	content, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: content})
}

// startTLS starts a server at an address with the certificate for 127.0.0.1, and writes that as the authority of dir.
func startTLS(t *testing.T, address string, clients tls.ClientAuthType, dir string) *httptest.Server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	_ = server.Listener.Close()
	server.Listener, server.TLS = listener, &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: clients}
	server.Config.ErrorLog = golog.New(io.Discard, "", 0) // it has the errors of handshakes
	server.StartTLS()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	writePEM(t, filepath.Join(dir, "ca.crt"), "CERTIFICATE", server.Certificate().Raw)
	return server
}

func writePEM(t *testing.T, file, kind string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The certificate of a receiver is none of another host, be it a name or an address.
func TestCertificateIsThatOfTheHost(t *testing.T) {
	telemetry.ReportProblemsAtOnce(t)
	dir := t.TempDir()
	right := startTLS(t, "127.0.0.1", tls.NoClientCert, dir).URL
	wrong := startTLS(t, "127.0.0.2", tls.NoClientCert, dir).URL
	for url, want := range map[string]string{
		right: "", wrong: "not 127.0.0.2", strings.Replace(right, "127.0.0.1", "localhost", 1): "not localhost",
	} {
		t.Run(url, func(t *testing.T) {
			awaitProblem(t, setUp(t, telemetry.Settings{Endpoint: url, TLSDir: dir}), want)
		})
	}
}

func TestClientCertificateOfTheDirectory(t *testing.T) {
	telemetry.ReportProblemsAtOnce(t)
	dir := t.TempDir()
	server := startTLS(t, "127.0.0.1", tls.RequireAnyClientCert, dir)
	tracing := setUp(t, telemetry.Settings{Endpoint: server.URL, TLSDir: dir})
	awaitProblem(t, tracing, "certificate required")
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "tls.crt"), "CERTIFICATE", pair.Certificate[0])
	awaitProblem(t, tracing, "tls.key: file does not exist")
	writePEM(t, filepath.Join(dir, "tls.key"), "PRIVATE KEY", key)
	awaitProblem(t, tracing, "")
}
