//go:build !linux

package sqlite

import "os"

// lockBytes does nothing: services run on Linux.
func lockBytes(*os.File) error { return nil }
