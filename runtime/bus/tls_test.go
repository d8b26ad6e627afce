package bus_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// authority is a certificate authority.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// sign returns a certificate for loopback, valid for servers and clients, and its key, as PEM.
func (a *authority) sign() (cert, key string) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "rosey"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	must(a.t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	must(a.t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func (a *authority) serve(clients tls.ClientAuthType) func(*server.Options) {
	cert, key := a.sign()
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	must(a.t, err)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return func(o *server.Options) {
		o.TLS, o.TLSTimeout = true, 5
		o.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: clients,
		}
	}
}

func TestTLSFilesAreUsedAtEveryConnect(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	nats := natstest.Start(t, ours.serve(tls.NoClientCert))
	secret := newSecret(t, files{"ca.crt": "no certificate"})
	conn, err := bus.Connect(t.Context(), bus.Options{URL: nats.URL(), TLSDir: secret.dir, Log: natstest.Log(t)})
	must(t, err)
	t.Cleanup(conn.Close)
	check := waitForReason(t, conn.Check, status.ReasonNATSCredentialsAbsent)
	if !strings.Contains(check.Message, "ca.crt: expected certificates in PEM") {
		t.Errorf("%+v", check)
	}
	secret.replace(files{"ca.crt": others.pem})
	check = waitForReason(t, conn.Check, status.ReasonNATSUnreachable)
	if !strings.Contains(check.Message, "certificate signed by unknown authority") {
		t.Errorf("with another authority: %+v", check)
	}
	secret.replace(files{"ca.crt": ours.pem})
	waitForReason(t, conn.Check, status.ReasonConnected)

	// A server that asks for a certificate from now on.
	nats.Restart(ours.serve(tls.RequireAndVerifyClientCert))
	waitForReason(t, conn.Check, status.ReasonNATSRefused)
	cert, key := ours.sign()
	secret.replace(files{"ca.crt": ours.pem, "tls.crt": cert})
	check = waitForReason(t, conn.Check, status.ReasonNATSCredentialsAbsent)
	if !strings.Contains(check.Message, "found one of tls.crt and tls.key") {
		t.Errorf("with half of a pair: %+v", check)
	}
	secret.replace(files{"ca.crt": ours.pem, "tls.crt": cert, "tls.key": key})
	waitForReason(t, conn.Check, status.ReasonConnected)
}

func TestNoCredentialsAreSentWithoutTLS(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	secret := newSecret(t, files{"ca.crt": newAuthority(t).pem})
	conn, err := bus.Connect(t.Context(), bus.Options{URL: nats.URL(), TLSDir: secret.dir, Log: natstest.Log(t)})
	must(t, err)
	t.Cleanup(conn.Close)
	check := waitForReason(t, conn.Check, status.ReasonNATSUnreachable)
	if !strings.Contains(check.Message, "secure connection not available") {
		t.Errorf("%+v", check)
	}
}
