package chaos

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	_ "modernc.org/sqlite" // the driver "sqlite", to change the schema behind the service's back

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

// storageTrials returns the causes of alerts about a limit, about backups and about maintenance.
func (p *Processes) storageTrials(client *nats.Conn) []trial {
	keys := func(suffix bus.Suffix) func(context.Context) error {
		return func(ctx context.Context) error {
			for i := range 9 { // of ten that are allowed
				payload := fmt.Sprintf(`{"plugin_name":"test","key":"%d","value":1}`, i)
				if err := ask(ctx, client, suffix, payload); err != nil {
					return err
				}
			}
			return ask(ctx, client, bus.MaintenanceRun, `{}`) // which measures
		}
	}
	return []trial{
		{ofProcess("RoseyLimitNear", "db1", "channel"), keys(bus.KVSet), keys(bus.KVDelete)},
		{
			ofProcess("RoseyBackupStale", "db1", "platform"),
			// A file is where the directory should be.
			p.restartingDatabase(func(backups string) error { return os.WriteFile(backups, nil, 0o600) }),
			p.restartingDatabase(func(string) error { return nil }),
		},
		{
			ofProcess("RoseyMaintenanceFails", "db1", "platform"),
			func(ctx context.Context) error {
				if err := ask(ctx, client, bus.KVSet, expiringKey); err != nil {
					return err
				}
				if err := p.changeSchema(ctx, "CREATE TRIGGER refusal BEFORE DELETE ON kv "+
					"BEGIN SELECT RAISE(ABORT, 'rows stay'); END"); err != nil {
					return err
				}
				return p.awaitMaintenance(ctx, client, false)
			},
			func(ctx context.Context) error {
				return errors.Join(p.changeSchema(ctx, "DROP TRIGGER refusal"), p.awaitMaintenance(ctx, client, true))
			},
		},
	}
}

// expiringKey is the body of a bus.KVSet request for what maintenance is to remove.
const expiringKey = `{"plugin_name":"test","key":"expires","value":1,"ttl_seconds":1}`

// changeSchema changes the schema of the SQLite database while its service does not run.
func (p *Processes) changeSchema(ctx context.Context, statement string) error {
	if err := p.dbs[0].down(ctx, syscall.SIGTERM); err != nil {
		return err
	}
	defer p.dbs[0].up()
	db, err := sql.Open("sqlite", filepath.Join(p.data(), "rosey.db"))
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	_, err = db.ExecContext(ctx, statement)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// awaitMaintenance has the database service run its maintenance until that succeeds, or until it fails.
func (p *Processes) awaitMaintenance(ctx context.Context, client *nats.Conn, succeeds bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := errors.Join(p.Healthy(ctx), ask(ctx, client, bus.MaintenanceRun, `{}`))
		if isAnswer := err == nil || errors.Is(err, errRefused); isAnswer && (err == nil) == succeeds {
			return nil
		}
		if !backoff.Sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("waiting for maintenance, which is to succeed: %t: %w", succeeds, err)
		}
	}
}

// restartingDatabase returns a function that removes the backups, makes a change in their place and restarts the
// service.
func (p *Processes) restartingDatabase(change func(backups string) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := p.dbs[0].down(ctx, syscall.SIGTERM); err != nil {
			return err
		}
		defer p.dbs[0].up()
		return errors.Join(os.RemoveAll(p.path("backups")), change(p.path("backups")))
	}
}

// ask sends a request, and returns an error unless the reply says that it succeeded.
func ask(ctx context.Context, client *nats.Conn, suffix bus.Suffix, payload string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	reply, err := client.RequestWithContext(ctx, prefix+"."+string(suffix), []byte(payload))
	if err != nil {
		return fmt.Errorf("requesting %s: %w", suffix, err)
	}
	var answer struct{ Success bool }
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fmt.Errorf("the reply to %s is %s: %w", suffix, reply.Data, err)
	}
	if !answer.Success {
		return fmt.Errorf("%w: the reply to %s is %s", errRefused, suffix, reply.Data)
	}
	return nil
}

// errRefused means that a request was answered, and has not succeeded.
var errRefused = errors.New("refused")
