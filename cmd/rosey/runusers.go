package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/natsserver"
)

// Users of the NATS server inside `rosey run`, whose names no plugin can have.
const (
	// insideUser is everything in the process of the server, and may do everything.
	insideUser = "rosey-run"
	// cliUser is the commands for people.
	cliUser = "rosey-cli"
)

// natsUsers are the users of the NATS server inside `rosey run`. Its zero value is a server without users.
type natsUsers struct {
	dir  string // has a directory with the credentials of each, for nats.credentialsDir
	list []natsserver.User
}

// credentialsDir returns the directory with the credentials of a user, and "" if nobody needs any.
func (u natsUsers) credentialsDir(name string) string {
	if len(u.list) == 0 {
		return ""
	}
	return filepath.Join(u.dir, name)
}

// newNATSUsers returns the users that the NATS server needs: none, unless a process of somebody else is to connect as a
// plugin. Then that may do what it is granted, and nobody may do anything without a password. Who is added to the
// configuration later needs a restart.
func (c *component) newNATSUsers(listen string) (natsUsers, error) {
	live, _, _, err := config.NewLiveReader(c.config).Read()
	if err != nil && listen != "" {
		return natsUsers{}, err // without the list, everybody could log in
	}
	// Those that are built in are in this process, and connect as it.
	foreign := slices.DeleteFunc(slices.Clone(live.Plugins), func(p config.Plugin) bool { return p.Builtin != "" })
	switch {
	case len(foreign) == 0:
		return natsUsers{}, nil
	case listen == "":
		c.log.Warn("configuration", "key", "plugins", "warning", "plugins that are not built in cannot connect: use --listen")
		return natsUsers{}, nil
	}
	plugins, err := natsauth.PluginUsers(c.config.Channel.Name, foreign)
	if err != nil {
		return natsUsers{}, err
	}
	options := natsauth.Options{
		Subjects: c.subjects, JetStream: config.JetStreamNever, Commands: true, People: true,
	}
	users := natsUsers{dir: filepath.Join(filepath.Dir(c.config.Database.SQLite.Path), "nats")}
	err = errors.Join(users.add(insideUser, nil), users.add(cliUser, serverPermissions(options.For(bus.CLIRole))))
	for _, plugin := range plugins {
		options.Plugins = plugin.Plugins
		err = errors.Join(err, users.add(plugin.Name, serverPermissions(options.For(bus.PluginRole))))
	}
	return users, err
}

func serverPermissions(p natsauth.Permissions) *natsserver.Permissions {
	permissions := &natsserver.Permissions{
		Publish: p.Publish.Allow, DenyPublish: p.Publish.Deny, Subscribe: p.Subscribe.Allow,
		DenySubscribe: p.Subscribe.Deny,
	}
	if p.Responses != nil {
		permissions.MaxResponses, permissions.ResponseTime = p.Responses.Max, p.Responses.Expires
	}
	return permissions
}

// add adds a user with the password of an earlier run, so that what has read the files can connect again, or with a new
// one.
func (u *natsUsers) add(name string, permissions *natsserver.Permissions) error {
	dir := filepath.Join(u.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the directory for the NATS user %s: %w", name, err)
	}
	file := filepath.Join(dir, config.NATSPasswordFile)
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the password of the NATS user %s: %w", name, err)
	}
	password := strings.TrimSpace(string(content))
	if password == "" {
		password = rand.Text()
	}
	for path, text := range map[string]string{file: password, filepath.Join(dir, config.NATSUserFile): name} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the credentials of the NATS user %s: %w", name, err)
		}
	}
	u.list = append(u.list, natsserver.User{Name: name, Password: password, Permissions: permissions})
	return nil
}
