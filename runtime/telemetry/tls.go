package telemetry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rosey.dev/rosey/runtime/config"
)

// The files of Settings.TLSDir, named like the keys of a Secret of type kubernetes.io/tls.
const (
	caFile   = "ca.crt"
	certFile = "tls.crt"
	keyFile  = "tls.key"
)

// tlsDir is the name of a directory with certificates, which are read at each connect: they may come later, or change.
type tlsDir string

// config returns a configuration for a receiver on a host.
func (d tlsDir) config(host string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The authorities of a tls.Config do not change, so VerifyConnection verifies the receiver instead.
		InsecureSkipVerify: true, //nolint:gosec // see above
		VerifyConnection: func(state tls.ConnectionState) error {
			name := state.ServerName
			if name == "" { // an IP address
				name = host
			}
			return d.verify(state.PeerCertificates, name)
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return d.certificate() },
	}
}

// verify returns an error unless certificates are those of a host, by the authorities in the directory.
func (d tlsDir) verify(certificates []*x509.Certificate, host string) error {
	content, err := d.read(caFile)
	if err != nil {
		return err
	}
	authorities, others := x509.NewCertPool(), x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(content) {
		return fmt.Errorf("directory %s: %s: expected certificates in PEM", string(d), caFile)
	}
	for _, one := range certificates[1:] {
		others.AddCert(one)
	}
	options := x509.VerifyOptions{Roots: authorities, Intermediates: others, DNSName: host}
	if _, err := certificates[0].Verify(options); err != nil {
		return fmt.Errorf("verifying the certificate of %s: %w", host, err)
	}
	return nil
}

// certificate returns the certificate of the client, which is empty if there is none in the directory.
func (d tlsDir) certificate() (*tls.Certificate, error) {
	cert, err := d.read(certFile)
	if errors.Is(err, os.ErrNotExist) {
		return &tls.Certificate{}, nil
	}
	if err != nil {
		return nil, err
	}
	key, err := d.read(keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // its text may have a part of the key
		return nil, fmt.Errorf("directory %s: %s and %s: expected a certificate and its key in PEM", string(d), certFile,
			keyFile)
	}
	return &pair, nil
}

// maxTLSBytes is what a Secret can hold.
const maxTLSBytes = 1 << 20

func (d tlsDir) read(file string) ([]byte, error) {
	content, err := config.ReadBoundedFile(filepath.Join(string(d), file), maxTLSBytes)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("directory %s: %s: %w", string(d), file, os.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", string(d), err)
	}
	return content, nil
}
