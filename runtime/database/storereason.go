package database

import (
	"errors"

	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// storeReason is the reason for which a store cannot be opened or does not work.
func storeReason(err error) status.Reason {
	// What a migration failed of comes before that it failed: a server that permits too little is a
	// refusal, and a full disk is full.
	for _, each := range []struct {
		cause  error
		reason status.Reason
	}{
		{store.ErrURLAbsent, status.ReasonStoreURLAbsent},
		{store.ErrRefused, status.ReasonStoreRefused},
		{store.ErrFull, status.ReasonStoreFull},
		{store.ErrNewerSchema, status.ReasonStoreNewer},
		{store.ErrMigration, status.ReasonMigrationFailed},
	} {
		if errors.Is(err, each.cause) {
			return each.reason
		}
	}
	return status.ReasonStoreUnavailable
}
