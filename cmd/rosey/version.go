package main

import "rosey.dev/rosey/runtime/status"

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version string

func buildVersion() string { return status.BuildVersion(version) }
