package main

import (
	"cmp"
	"runtime/debug"
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version string

// buildVersion falls back to what Go notes when a module's version is installed.
func buildVersion() string {
	noted := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		noted = info.Main.Version
	}
	return cmp.Or(version, noted, "(devel)")
}
