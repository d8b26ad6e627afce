package postgres

import (
	"path/filepath"
	"testing"
)

// The server becomes a label of a metric: it is the same for all that name it in the same way, and has no part of a
// password.
func TestServerOfAURL(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	if got := Server(file); got != "" {
		t.Errorf("without a file: %q", got)
	}
	for url, want := range map[string]string{
		"postgres://rosey:choose-one@PG.example.com/rosey":                         "pg.example.com:5432",
		"postgres://rosey:choose-one@pg.rows.svc.cluster.local:5432/rosey":         "pg.rows:5432",
		"postgres://rosey:choose-one@pg.rows.svc/rosey":                            "pg.rows:5432",
		"postgresql://rosey:choose%2Done@pg:6432/rosey?sslmode=require":            "pg:6432",
		"postgres://rosey@a,b:5433/rosey?target_session_attrs=read-write":          "a:5432,b:5433",
		"postgres://rosey:choose-one@[2001:db8::1]:5432/rosey":                     "[2001:db8::1]:5432",
		"postgres://rosey:choose-one@/rosey?host=/run/postgresql&sslmode=disable":  "/run/postgresql",
		"postgres://rosey:12?choose-one@pg.example.com/rosey":                      "",
		"postgres://rosey:12#choose-one@pg.example.com/rosey":                      "",
		"postgres://rosey:12/choose-one@pg.example.com/rosey":                      "",
		"postgres://rosey:choose-one@pg.example.com/rosey?pool_max_conns=abundant": "",
		"choose-one": "",
	} {
		rewrite(t, file, url)
		if got := Server(file); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
