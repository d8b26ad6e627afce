package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

const (
	// connectTimeout bounds one attempt, where the URL does not.
	connectTimeout = 10 * time.Second
	// connectionAge is after which time a connection is made anew: so long an old URL is in use at most.
	connectionAge = 10 * time.Minute
)

// connector makes connections to one database, by the URL that is in a file at the time.
type connector struct {
	urlFile  string
	readOnly bool
	// identity is that of the database that was opened; nil before.
	identity atomic.Pointer[string]
}

// readURL never shows the URL in an error: the driver's own words quote it.
func readURL(urlFile string) (*pgxpool.Config, error) {
	text, err := config.ReadSecret(urlFile)
	if errors.Is(err, config.ErrSecretAbsent) {
		return nil, fmt.Errorf("%w: %w", store.ErrURLAbsent, err)
	}
	if err != nil {
		return nil, err
	}
	noURL := fmt.Errorf("%w: %s does not hold one, expected postgres://user:password@host:port/database",
		store.ErrURLAbsent, urlFile)
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return nil, noURL
	}
	settings, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, noURL
	}
	if settings.ConnConfig.ConnectTimeout == 0 {
		settings.ConnConfig.ConnectTimeout = connectTimeout
	}
	parameters := settings.ConnConfig.RuntimeParams
	if parameters["application_name"] == "" {
		parameters["application_name"] = "rosey"
	}
	return settings, nil
}

// connConfig is how to connect now.
func (c *connector) connConfig() (*pgx.ConnConfig, error) {
	settings, err := readURL(c.urlFile)
	if err != nil {
		return nil, err
	}
	if c.readOnly {
		settings.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	}
	return settings.ConnConfig, nil
}

// pool connects when it is used first.
func (c *connector) pool(ctx context.Context) (*pgxpool.Pool, error) {
	settings, err := readURL(c.urlFile)
	if err != nil {
		return nil, err
	}
	settings.MaxConnLifetime = min(settings.MaxConnLifetime, connectionAge)
	settings.BeforeConnect = func(_ context.Context, connConfig *pgx.ConnConfig) error {
		fresh, err := c.connConfig()
		if err != nil {
			return err
		}
		*connConfig = *fresh
		return nil
	}
	settings.AfterConnect = c.check
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("preparing connections: %w", classify(err))
	}
	return pool, nil
}

// check refuses a connection to another database than the one that was opened: a URL that changed may
// have a new password or host, but a service must not spread its rows over two databases.
func (c *connector) check(ctx context.Context, conn *pgx.Conn) error {
	opened := c.identity.Load()
	if opened == nil {
		return nil
	}
	var identity string
	if err := conn.QueryRow(ctx, "SELECT id FROM identity").Scan(&identity); err != nil {
		return fmt.Errorf("reading the identity of the database: %w", err)
	}
	if identity != *opened {
		return fmt.Errorf("the URL file %s leads to another database now: restart to use it", c.urlFile)
	}
	return nil
}

// only has all further connections lead to the database that s has open.
func (c *connector) only(ctx context.Context, s *Store) error {
	identity, err := s.Identity(ctx)
	if err != nil {
		return err
	}
	c.identity.Store(&identity)
	return nil
}
