package postgres

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/relational"
)

// BenchmarkInsert compares two ways to insert 500 chat lines in one transaction, on a server that waits for its disk:
// one array for each column, as Insert does, and one statement for each row, all sent at once.
func BenchmarkInsert(b *testing.B) {
	if _, err := pgtest.Programs(); err != nil {
		b.Skip(err)
	}
	server, err := pgtest.Start(b.Context(), "fsync=on", "synchronous_commit=on", "full_page_writes=on")
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			b.Error(err)
		}
	}()
	table := relational.Table{
		Name: "chat", Columns: []string{"event_id", "channel_id", "at", "username", "text"},
		Types: []string{"text", "bigint", "bigint", "text", "text"},
	}
	for name, insert := range map[string]func(relational.Tx, [][]any) error{
		"arrays": func(s relational.Tx, rows [][]any) error {
			_, err := s.Insert(b.Context(), table, rows)
			return err
		},
		"statements": func(s relational.Tx, rows [][]any) error {
			const query = `INSERT INTO chat (event_id, channel_id, at, username, text) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (event_id, channel_id) DO NOTHING`
			batch := &pgx.Batch{}
			for _, row := range rows {
				batch.Queue(query, row...)
			}
			return s.(tx).executor.SendBatch(b.Context(), batch).Close()
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := mustOpen(b, pgtest.WriteURL(b, server.Database(b)))
			if err := s.Apply(b.Context(), []store.Event{said(0, "alice", "hi")}); err != nil {
				b.Fatal(err)
			}
			const size = 500
			for n := 0; b.Loop(); n++ {
				var rows [][]any
				for i := range size {
					at := int64(1763700000000 + n*size + i)
					rows = append(rows, []any{fmt.Sprintf("%012x-0123456789abcdef", at), int64(1), at, "alice", "a line of chat"})
				}
				err := s.db.Write(b.Context(), func(_ context.Context, s relational.Tx) error { return insert(s, rows) })
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
