package pgtest

import (
	"context"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// fileLimit is above a segment of the write-ahead log and is no multiple of a page: the server can write
// its log, and a table that grows over the limit gets half a page, which is what a full disk gives it.
const fileLimit = 1<<20 + 4096

// Fill has the connections that a database has now find no space for a table of more than a megabyte.
func (s *Server) Fill(t testing.TB, database string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(superuser, Password, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE datname = $1", database)
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil || len(pids) == 0 {
		t.Fatalf("the connections of %s are %v, %v", database, pids, err)
	}
	arguments := []string{"--fsize=" + strconv.Itoa(fileLimit)}
	for _, pid := range pids {
		// As the server's account: to limit another account's process takes more than root has in a container.
		prlimit := exec.Command("prlimit", append(arguments, "--pid", strconv.Itoa(int(pid)))...)
		prlimit.SysProcAttr, prlimit.Dir = s.attributes, s.dir
		if output, err := prlimit.CombinedOutput(); err != nil {
			t.Fatalf("limiting process %d: %v: %s", pid, err, output)
		}
	}
}
