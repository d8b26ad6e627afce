package main

import "runtime/debug"

// version is set by the linker.
var version string

// buildVersion is the linker's version, else the one that Go knows, else "devel".
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
