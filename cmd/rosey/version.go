package main

import "rosey.dev/rosey/runtime/config"

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version string

func buildVersion() string { return config.BuildVersion(version) }
