package bus

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/config"
)

// errNoCredentials is returned while the credential files are absent, empty or malformed. They may come later.
var errNoCredentials = errors.New("no usable credentials")

// credentialDirs are the directories with the credential files. An empty name means none.
type credentialDirs struct{ credentials, tls string }

// login is the content of the directories at one moment.
type login struct {
	user, password string
	token          string
	jwt            string
	nkey           string // the public key
	sign           nats.SignatureHandler

	roots       *x509.CertPool
	certificate *tls.Certificate // nil: the client presents none

	hash [sha256.Size]byte // of the files
}

// loginMethods are the files of each way to log in.
var loginMethods = []struct {
	files []string
	parse func(l *login, contents []string) error
}{
	{[]string{config.NATSCredsFile}, (*login).parseCreds},
	{[]string{config.NATSUserFile, config.NATSPasswordFile}, func(l *login, contents []string) error {
		l.user, l.password = contents[0], contents[1]
		return nil
	}},
	{[]string{config.NATSTokenFile}, func(l *login, contents []string) error {
		l.token = contents[0]
		return nil
	}},
	{[]string{config.NATSNKeyFile}, (*login).parseNKey},
}

const expectedFiles = "nats.creds, username and password, token, or nkey"

// useCredentials is a nats.Option. nats.go calls the handlers at every attempt to connect, so that credentials that
// have changed, also to another way to log in, are used at the next one. If there are none yet, the attempt fails in
// the dialer.
func (c *Conn) useCredentials(o *nats.Options) error {
	l, err := c.dirs.read()
	if err != nil {
		c.state.onAttemptFailed(err)
		l = &login{}
	}
	c.login.Store(l)
	if c.dirs.credentials != "" {
		o.UserInfo = func() (user, password string) { return c.login.Load().user, c.login.Load().password }
		o.TokenHandler = func() string { return c.login.Load().token }
		o.SignatureCB = func(nonce []byte) ([]byte, error) { return c.login.Load().sign(nonce) }
		c.setKeys(o, l)
	}
	if c.dirs.tls != "" {
		c.useTLS(o)
	}
	return nil
}

// setKeys sets what nats.go has no handler for: the public key of an NKey, which it only accepts without a JWT handler.
func (c *Conn) setKeys(o *nats.Options, l *login) {
	o.Nkey, o.UserJWT = l.nkey, nil
	if l.nkey == "" {
		o.UserJWT = func() (string, error) { return c.login.Load().jwt, nil }
	}
}

// useTLS makes the client verify the server's certificate against the CA of the directory, and present the
// directory's certificate if the server asks for one.
func (c *Conn) useTLS(o *nats.Options) {
	o.Secure = true
	o.TLSConfig = &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if l := c.login.Load(); l.certificate != nil {
				return l.certificate, nil
			}
			return &tls.Certificate{}, nil
		},
	}
	o.RootCAsCB = func() (*x509.CertPool, error) { return c.login.Load().roots, nil }
}

// reloadCredentials reads the files for an attempt to connect. The dialer calls it.
func (c *Conn) reloadCredentials() error {
	if c.dirs == (credentialDirs{}) {
		return nil // the URL may contain credentials
	}
	l, err := c.dirs.read()
	if err != nil {
		return err
	}
	before := c.login.Swap(l)
	if connection := c.nats.Load(); connection != nil && before.nkey != l.nkey {
		// nats.go dials with its lock held, and reads these options afterwards.
		c.setKeys(&connection.Opts, l)
	}
	return nil
}

// watchCredentials reconnects when the files have changed, until ctx ends.
func (c *Conn) watchCredentials(ctx context.Context) {
	for backoff.Sleep(ctx, credentialsInterval) {
		l, err := c.dirs.read()
		// A connection is not given up for files with which nobody could log in.
		if err != nil || !c.Connected() || l.hash == c.login.Load().hash {
			continue
		}
		c.state.setReconnectReason("the credentials have changed")
		if err := c.NATS().ForceReconnect(); err != nil {
			return // it was closed
		}
	}
}

// read reads the files. Its errors are errNoCredentials and never contain the content of a file.
func (d credentialDirs) read() (*login, error) {
	l := &login{}
	var contents []string
	for _, part := range []struct {
		dir  string
		read func(dir string) (contents []string, err error)
	}{{d.credentials, l.readCredentials}, {d.tls, l.readTLS}} {
		if part.dir == "" {
			continue
		}
		read, err := part.read(part.dir)
		if err != nil {
			return nil, fmt.Errorf("%w: directory %s: %w", errNoCredentials, part.dir, err)
		}
		contents = append(contents, read...)
	}
	l.hash = sha256.Sum256([]byte(strings.Join(contents, "\x00")))
	return l, nil
}

func (l *login) readCredentials(dir string) (contents []string, err error) {
	var found []string
	for _, method := range loginMethods {
		var read []string
		for _, file := range method.files {
			content, err := config.ReadSecret(filepath.Join(dir, file))
			if errors.Is(err, config.ErrSecretAbsent) {
				continue
			}
			if err != nil {
				return nil, err
			}
			read = append(read, content)
			found = append(found, file)
		}
		switch {
		case len(read) == 0:
			continue
		case len(read) < len(method.files):
			return nil, fmt.Errorf("found %s alone, expected %s", found[len(found)-1], strings.Join(method.files, " and "))
		case contents != nil:
			// Guessing which is meant could log in as the wrong user.
			return nil, fmt.Errorf("found %s, expected one of %s", strings.Join(found, ", "), expectedFiles)
		}
		if err := method.parse(l, read); err != nil {
			return nil, err
		}
		contents = append(slices.Clone(method.files), read...)
	}
	if contents == nil {
		return nil, fmt.Errorf("absent or empty, expected %s", expectedFiles)
	}
	return contents, nil
}

func (l *login) parseCreds(contents []string) error {
	jwt, err := nkeys.ParseDecoratedJWT([]byte(contents[0]))
	if err != nil {
		return fmt.Errorf("%s: expected a file as `nsc generate creds` writes it: no user JWT in it", config.NATSCredsFile)
	}
	key, err := nkeys.ParseDecoratedUserNKey([]byte(contents[0]))
	if err != nil {
		return fmt.Errorf("%s: expected a file as `nsc generate creds` writes it: no user seed in it", config.NATSCredsFile)
	}
	l.jwt, l.sign = jwt, key.Sign
	return nil
}

func (l *login) parseNKey(contents []string) error {
	key, err := nkeys.ParseDecoratedNKey([]byte(contents[0]))
	if err == nil {
		l.nkey, err = key.PublicKey()
	}
	if err != nil {
		return fmt.Errorf("%s: expected the seed of a user's NKey, which begins with SU", config.NATSNKeyFile)
	}
	l.sign = key.Sign
	return nil
}

func (l *login) readTLS(dir string) (contents []string, err error) {
	ca, err := config.ReadSecret(filepath.Join(dir, config.TLSCAFile))
	if err != nil {
		return nil, err
	}
	l.roots = x509.NewCertPool()
	if !l.roots.AppendCertsFromPEM([]byte(ca)) {
		return nil, fmt.Errorf("%s: expected certificates in PEM", config.TLSCAFile)
	}
	var pair []string
	for _, file := range []string{config.TLSCertFile, config.TLSKeyFile} {
		part, err := config.ReadSecret(filepath.Join(dir, file))
		if err == nil {
			pair = append(pair, part)
		} else if !errors.Is(err, config.ErrSecretAbsent) {
			return nil, err
		}
	}
	switch len(pair) {
	case 0:
		return []string{ca}, nil
	case 1:
		return nil, fmt.Errorf("found one of %s and %s, expected both or none", config.TLSCertFile, config.TLSKeyFile)
	}
	certificate, err := tls.X509KeyPair([]byte(pair[0]), []byte(pair[1]))
	if err != nil {
		return nil, fmt.Errorf("%s and %s: expected a certificate and its key in PEM", config.TLSCertFile, config.TLSKeyFile)
	}
	l.certificate = &certificate
	return append([]string{ca}, pair...), nil
}
