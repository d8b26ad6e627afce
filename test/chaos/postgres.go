package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// startPostgres starts a server on loopback, with one role that needs no password. It does not wait for writes to the
// disk: faults kill processes, not the machine.
func (p *Processes) startPostgres(ctx context.Context) error {
	programs, err := pgtest.Programs()
	if err != nil {
		return err
	}
	// The server refuses to run as root, and its account may not be able to read the run's directory.
	if p.postgresDir, err = os.MkdirTemp("", "rosey-chaos-pg-"); err != nil {
		return fmt.Errorf("creating a directory for PostgreSQL: %w", err)
	}
	p.closers = append(p.closers, func() { _ = os.RemoveAll(p.postgresDir) })
	as, err := pgtest.Account(p.postgresDir)
	if err != nil {
		return err
	}
	data := filepath.Join(p.postgresDir, "data")
	//nolint:gosec // the machine's own program
	initialize := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "--pgdata", data, "--username", "rosey",
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	initialize.SysProcAttr, initialize.Dir = &syscall.SysProcAttr{Credential: as}, p.postgresDir
	if output, err := initialize.CombinedOutput(); err != nil {
		return fmt.Errorf("initializing PostgreSQL: %w: %s", err, output)
	}
	if p.postgresPort, err = p.freePort(); err != nil {
		return err
	}
	p.postgres = startChild(ctx, p.dir, &child{
		name: "postgres", program: filepath.Join(programs, "postgres"), as: as, dir: p.postgresDir,
		args: []string{
			"-D", data, "-k", p.postgresDir, "-c", "listen_addresses=127.0.0.1", "-c", "port=" + p.postgresPort,
			"-c", "fsync=off", "-c", "full_page_writes=off",
		},
	})
	p.closers = append(p.closers, p.postgres.stop)
	return nil
}

// writePostgresURL writes the URL file of a database service, which connects through its own proxy.
func (p *Processes) writePostgresURL(m *member) error {
	url := fmt.Sprintf("postgres://rosey@%s/postgres?sslmode=disable&connect_timeout=5", m.postgres.address())
	if err := os.WriteFile(m.urlFile, []byte(url), 0o600); err != nil {
		return fmt.Errorf("writing PostgreSQL's URL: %w", err)
	}
	return nil
}
