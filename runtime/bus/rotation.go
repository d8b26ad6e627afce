package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// watchInterval is how often the folders of the login are read. A Secret that changes reaches a pod within a minute.
const watchInterval = time.Second

// firstLogin is the login of the first attempt. Without one the attempt fails in the dialer.
func (c *Conn) firstLogin(o *nats.Options) error {
	l, err := c.folders.read()
	if err != nil {
		c.state.attemptFailed(err)
		l = &login{}
	}
	c.login.Store(l)
	l.apply(o)
	return nil
}

// logIn reads the login anew for an attempt. The dialer calls it, which nats.go calls with its lock held and before
// it reads the options that apply sets: so a rotated login, of another kind too, is used at the next connect.
func (c *Conn) logIn() error {
	if c.folders == (folders{}) {
		return nil // the login may be in the URL
	}
	l, err := c.folders.read()
	if err != nil {
		return err
	}
	c.login.Store(l)
	if connection := c.nats.Load(); connection != nil {
		l.apply(&connection.Opts)
	}
	return nil
}

// watch connects anew when the files of the login have changed, until ctx ends.
func (c *Conn) watch(ctx context.Context) {
	if c.folders == (folders{}) {
		return
	}
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		fresh, err := c.folders.read()
		// A connection that stands is not given up for files that nobody could log in with.
		if err != nil || !c.Connected() || fresh.print == c.login.Load().print {
			continue
		}
		c.state.reconnecting("the files to log in with have changed")
		if err := c.NATS().ForceReconnect(); err != nil {
			return // it was closed
		}
	}
}
