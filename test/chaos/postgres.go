package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// startPostgres starts a server on loopback, whose only role is allowed everything without a password, and writes the
// URL of its database for every member. It writes without waiting for the disk: what is killed is a process, not the
// machine.
func (p *Processes) startPostgres(ctx context.Context) error {
	programs, err := pgtest.Programs()
	if err != nil {
		return err
	}
	// The server refuses to run as root, and the account it runs under need not see the run's folder.
	if p.postgresDir, err = os.MkdirTemp("/tmp", "rosey-chaos-pg-"); err != nil {
		return fmt.Errorf("making a folder for PostgreSQL: %w", err)
	}
	p.closers = append(p.closers, func() { _ = os.RemoveAll(p.postgresDir) })
	as, err := unprivileged(p.postgresDir)
	if err != nil {
		return err
	}
	data := filepath.Join(p.postgresDir, "data")
	//nolint:gosec // the machine's own program
	initialize := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "--pgdata", data, "--username", "rosey",
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	initialize.SysProcAttr, initialize.Dir = &syscall.SysProcAttr{Credential: as}, p.postgresDir
	if output, err := initialize.CombinedOutput(); err != nil {
		return fmt.Errorf("making a PostgreSQL cluster: %w: %s", err, output)
	}
	if p.postgresPort, err = freePort(ctx); err != nil {
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

// unprivileged gives the folder to an account that PostgreSQL runs under. Nil: whoever runs this will do.
func unprivileged(folder string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // no credential is a process's own
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("finding an account for PostgreSQL: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr, os.Chown(folder, int(uid), int(gid))); err != nil {
		return nil, fmt.Errorf("giving PostgreSQL's folder to %s: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// writePostgresURL leads a database service through its own wire.
func (p *Processes) writePostgresURL(m *member) error {
	url := fmt.Sprintf("postgres://rosey@%s/postgres?sslmode=disable&connect_timeout=5", m.postgres.address())
	if err := os.WriteFile(m.urlFile, []byte(url), 0o600); err != nil {
		return fmt.Errorf("writing PostgreSQL's URL: %w", err)
	}
	return nil
}
