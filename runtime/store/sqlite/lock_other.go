//go:build !linux

package sqlite

import "os"

const exclusiveLock, sharedLock = 0, 0

// lockBytes does nothing: services run on Linux.
func lockBytes(*os.File, int16) error { return nil }
