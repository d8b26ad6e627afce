package config

import (
	"cmp"
	"runtime/debug"
)

// BuildVersion is what the linker was told, else what Go notes when a module's version is installed.
func BuildVersion(linked string) string {
	noted := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		noted = info.Main.Version
	}
	return cmp.Or(linked, noted, "(devel)")
}
