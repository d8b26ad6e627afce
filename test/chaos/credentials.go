package chaos

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"rosey.dev/rosey/runtime/backoff"
)

// credentials are those of bots and database services on NATS, and those of the run itself, which stay. Zero: NATS asks
// for none.
type credentials struct {
	rotations int // how often the password was replaced
}

const (
	memberUser = "rosey"
	runUser    = "run"
)

func (c credentials) password(user string) string {
	if user == memberUser {
		return "not a secret " + strconv.Itoa(c.rotations)
	}
	return "not a secret"
}

// natsURL is the URL for the run itself.
func (p *Processes) natsURL() string {
	address := url.URL{Scheme: "nats", Host: "127.0.0.1:" + p.natsPort}
	if p.setup.Credentials {
		address.User = url.UserPassword(runUser, p.credentials.password(runUser))
	}
	return address.String()
}

// writeCredentials writes the configuration of NATS, and the files that the members read.
func (p *Processes) writeCredentials() error {
	if err := os.MkdirAll(p.path("credentials"), 0o700); err != nil {
		return fmt.Errorf("creating the directory of NATS credentials: %w", err)
	}
	const user = "{user: %q, password: %q}"
	users := fmt.Sprintf(user+", "+user, memberUser, p.credentials.password(memberUser), runUser,
		p.credentials.password(runUser))
	for name, text := range map[string]string{
		"nats.conf":            "authorization: {users: [" + users + "]}\n",
		"credentials/username": memberUser,
		"credentials/password": p.credentials.password(memberUser),
	} {
		part := p.path("part") // renamed, so that nobody reads half of a file
		err := os.WriteFile(part, []byte(text), 0o600)
		if err == nil {
			err = os.Rename(part, p.path(filepath.FromSlash(name)))
		}
		if err != nil {
			return fmt.Errorf("writing NATS credentials: %w", err)
		}
	}
	return nil
}

// Rotate replaces the NATS password of bots and database services, in their files and in NATS, which then disconnects
// those who have logged in with the old one. It returns when NATS has done so. It needs Setup.Credentials.
func (p *Processes) Rotate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	p.credentials.rotations++
	if err := p.writeCredentials(); err != nil {
		return err
	}
	if err := p.nats.signal(syscall.SIGHUP); err != nil {
		return err
	}
	for {
		log, err := os.ReadFile(p.nats.log)
		if err == nil && bytes.Count(log, []byte("Reloaded server configuration")) == p.credentials.rotations {
			return nil
		}
		if !backoff.Sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("waiting for NATS to use the new credentials: %w", cmp.Or(err, ctx.Err()))
		}
	}
}
