// Package config is the configuration of every rosey command: the schema of its file, the loader, and the paths at
// which the operator mounts the files that it names.
//
// A configuration comes from [Sources]: one file in YAML or JSON, environment variables over it, and flags over those.
// Each setting is a [Key] with a path in the file, such as "channel.name", a flag and an environment variable. The
// fields of [Config] determine which keys there are and of which type; the table in keys.go has everything else about
// them: usage, default, limits. Flags, the JSON Schema (docs/config.schema.json), the table in docs/configuration.md,
// validation and defaults are all made from these two, so a new setting is one field and one entry.
//
// Loading has four steps. The file becomes a document of untyped values, whose keys and types are checked against
// Config, since a misspelled key must not be silently ignored. Environment variables and flags are put into the
// document at their keys, then defaults where nothing is set. The document is decoded into a Config, and the Config is
// validated for a [status.Component], since a bot needs other settings than a database service. Everything that is
// wrong is reported at once, each as a [*KeyError] that names the key and where its value came from.
//
// Secrets are never in a configuration: it names files that hold them, which are read at each use with [ReadSecret]. So
// the file can be a ConfigMap, and a secret can be rotated without a restart. No error message shows a value that could
// be a password in the wrong place.
//
// Files of another program can be converted while they are loaded: see [Converter]. The operator uses [Config] to write
// the files and [Parse] in its tests to see that the runtime accepts them.
package config
