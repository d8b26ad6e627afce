package bus

import (
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

	"rosey.dev/rosey/runtime/config"
)

// errNoLogin says that the files to log in with are absent, empty or no such files. They may come later.
var errNoLogin = errors.New("no usable files to log in with")

// folders are where the files are that one logs in with. An empty name is none.
type folders struct{ credentials, tls string }

// login is what the folders hold at one moment.
type login struct {
	user, password, token string
	jwt                   string
	nkey                  string // the public one
	sign                  nats.SignatureHandler

	roots       *x509.CertPool
	certificate *tls.Certificate // nil: the client shows none

	// print tells one content of the folders from another.
	print [sha256.Size]byte
}

// ways are the files of each way to log in.
var ways = []struct {
	files []string
	read  func(l *login, contents []string) error
}{
	{[]string{config.NATSCredsFile}, (*login).useCreds},
	{[]string{config.NATSUserFile, config.NATSPasswordFile}, func(l *login, contents []string) error {
		l.user, l.password = contents[0], contents[1]
		return nil
	}},
	{[]string{config.NATSTokenFile}, func(l *login, contents []string) error {
		l.token = contents[0]
		return nil
	}},
	{[]string{config.NATSNKeyFile}, (*login).useNKey},
}

const waysInWords = "nats.creds, username and password, token, or nkey"

// read reads the files as they are now. Its errors are errNoLogin and never show what is in a file.
func (f folders) read() (*login, error) {
	l := &login{}
	var contents []string
	if f.credentials != "" {
		found, err := l.readCredentials(f.credentials)
		if err != nil {
			return nil, fmt.Errorf("%w: folder %s: %w", errNoLogin, f.credentials, err)
		}
		contents = append(contents, found...)
	}
	if f.tls != "" {
		found, err := l.readTLS(f.tls)
		if err != nil {
			return nil, fmt.Errorf("%w: folder %s: %w", errNoLogin, f.tls, err)
		}
		contents = append(contents, found...)
	}
	l.print = sha256.Sum256([]byte(strings.Join(contents, "\x00")))
	return l, nil
}

func (l *login) readCredentials(dir string) (contents []string, err error) {
	var used []string
	for _, way := range ways {
		var here []string
		for _, file := range way.files {
			content, err := config.ReadSecret(filepath.Join(dir, file))
			if errors.Is(err, config.ErrSecretAbsent) {
				continue
			}
			if err != nil {
				return nil, err
			}
			here = append(here, content)
			used = append(used, file)
		}
		if len(here) == 0 {
			continue
		}
		if len(here) < len(way.files) {
			return nil, fmt.Errorf("found %s alone, expected %s",
				used[len(used)-1], strings.Join(way.files, " and "))
		}
		if contents != nil {
			// Guessing which is meant would log in as somebody else.
			return nil, fmt.Errorf("found %s, expected one of %s", strings.Join(used, ", "), waysInWords)
		}
		if err := way.read(l, here); err != nil {
			return nil, err
		}
		contents = append(slices.Clone(way.files), here...)
	}
	if contents == nil {
		return nil, fmt.Errorf("absent or empty, expected %s", waysInWords)
	}
	return contents, nil
}

func (l *login) useCreds(contents []string) error {
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

func (l *login) useNKey(contents []string) error {
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
	contents = []string{ca}
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
		return contents, nil
	case 1:
		return nil, fmt.Errorf("found one of %s and %s, expected both or none", config.TLSCertFile, config.TLSKeyFile)
	}
	certificate, err := tls.X509KeyPair([]byte(pair[0]), []byte(pair[1]))
	if err != nil {
		return nil, fmt.Errorf("%s and %s: expected a certificate and its key in PEM", config.TLSCertFile, config.TLSKeyFile)
	}
	l.certificate = &certificate
	return append(contents, pair...), nil
}

// apply sets what nats.go reads when it logs in. Options have a static name for each way to log in, and the way
// itself may change with the files; so it is all set anew.
func (l *login) apply(o *nats.Options) {
	o.User, o.Password, o.Token, o.Nkey = l.user, l.password, l.token, l.nkey
	o.SignatureCB, o.UserJWT = l.sign, nil
	if l.jwt != "" {
		jwt := l.jwt
		o.UserJWT = func() (string, error) { return jwt, nil }
	}
}

// useTLS has the server's certificate checked against the folder's, and shows the folder's when asked for one.
func useTLS(current func() *login) nats.Option {
	return func(o *nats.Options) error {
		o.Secure = true
		o.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if l := current(); l.certificate != nil {
					return l.certificate, nil
				}
				return &tls.Certificate{}, nil
			},
		}
		o.RootCAsCB = func() (*x509.CertPool, error) { return current().roots, nil }
		return nil
	}
}
