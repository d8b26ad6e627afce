package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/storetest"
)

func openNew(t *testing.T) store.Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "rosey.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) { storetest.Run(t, openNew) }

func TestBackOff(t *testing.T) {
	storetest.RunBackOff(t, openNew(t), func(
		t *testing.T, s store.Store, id int64, retryCount int, lastAttempt *time.Time, lastError string,
	) {
		t.Helper()
		var at, text any
		if lastAttempt != nil {
			at = lastAttempt.UnixMilli()
		}
		if lastError != "" {
			text = lastError
		}
		_, err := s.(*Store).write.ExecContext(t.Context(),
			"UPDATE outbound SET retry_count = ?, last_attempt_at = ?, last_error = ? WHERE id = ?",
			retryCount, at, text, id)
		if err != nil {
			t.Fatal(err)
		}
	})
}
