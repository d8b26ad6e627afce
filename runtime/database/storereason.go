package database

import (
	"errors"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

// storeReason is the reason for which a store cannot be opened or does not work.
func storeReason(err error) config.Reason {
	// What a migration failed of comes before that it failed: a server that permits too little is a
	// refusal, and a full disk is full.
	for _, each := range []struct {
		cause  error
		reason config.Reason
	}{
		{store.ErrURLAbsent, config.ReasonStoreURLAbsent},
		{store.ErrRefused, config.ReasonStoreRefused},
		{store.ErrFull, config.ReasonStoreFull},
		{store.ErrNewerSchema, config.ReasonStoreNewer},
		{store.ErrMigration, config.ReasonMigrationFailed},
	} {
		if errors.Is(err, each.cause) {
			return each.reason
		}
	}
	return config.ReasonStoreUnavailable
}
