package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/natsserver"
)

// Users of the NATS server inside `rosey run`, whose names no plugin can have.
const (
	// insideUser is everything in the process of the server, and may do everything. Its password is in no file: it would
	// let every plugin of the same user of the machine do what it is not granted.
	insideUser = "rosey-run"
	// cliUser is the commands for people.
	cliUser = "rosey-cli"
)

// natsUsers are the users of the NATS server inside `rosey run`. Its zero value is a server without users.
type natsUsers struct {
	dir    string // has a directory with the credentials of each but inside, for nats.credentialsDir
	inside natsserver.User
	others []natsserver.User // cliUser, and then plugins
}

// exist reports whether the server has users.
func (u natsUsers) exist() bool { return len(u.others) > 0 }

// all returns the users for the server.
func (u natsUsers) all() []natsserver.User {
	if !u.exist() {
		return nil
	}
	return append([]natsserver.User{u.inside}, u.others...)
}

// credentialsDir returns the directory with the credentials of a user.
func (u natsUsers) credentialsDir(name string) string { return filepath.Join(u.dir, name) }

// newNATSUsers returns the users that the NATS server needs: none, unless a process of somebody else is to connect as a
// plugin. Then that may do what it is granted, and nobody may do anything without a password.
func (c *component) newNATSUsers(listen string) (natsUsers, error) {
	live, _, _, err := config.NewLiveReader(c.config).Read()
	if err != nil && listen != "" {
		return natsUsers{}, err // without the list, everybody could log in
	}
	switch foreign := foreignPlugins(live); {
	case len(foreign) == 0:
		return natsUsers{}, nil
	case listen == "":
		c.log.Warn("configuration", "key", "plugins", "warning", "plugins that are not built in cannot connect: use --listen")
		return natsUsers{}, nil
	}
	users := natsUsers{
		dir:    filepath.Join(filepath.Dir(c.config.Database.SQLite.Path), "nats"),
		inside: natsserver.User{Name: insideUser, Password: rand.Text()},
	}
	if err := os.RemoveAll(users.credentialsDir(insideUser)); err != nil { // of earlier versions
		return natsUsers{}, fmt.Errorf("removing a password that is not used any more: %w", err)
	}
	return c.configureUsers(users, foreignPlugins(live))
}

// foreignPlugins returns the plugins that are not built in. Those that are in this process, and connect as it.
func foreignPlugins(live config.Live) []config.Plugin {
	return slices.DeleteFunc(slices.Clone(live.Plugins), func(p config.Plugin) bool { return p.Builtin != "" })
}

// configureUsers returns users with those that plugins need now.
func (c *component) configureUsers(users natsUsers, foreign []config.Plugin) (natsUsers, error) {
	plugins, err := natsauth.PluginUsers(c.config.Channel.Name, foreign)
	if err != nil {
		return users, err
	}
	options := natsauth.Options{
		Subjects: c.subjects, JetStream: config.JetStreamNever, Commands: true, People: true,
	}
	users.others = nil
	err = users.add(cliUser, serverPermissions(options.For(bus.CLIRole)))
	for _, plugin := range plugins {
		options.Plugins = plugin.Plugins
		err = errors.Join(err, users.add(plugin.Name, serverPermissions(options.For(bus.PluginRole))))
	}
	return users, err
}

// usersInterval is the time between two looks at the list of plugins.
const usersInterval = time.Second

// followUsers gives the users of the server the permissions that the list of plugins grants now, until ctx ends: the
// bot enforces a change of the list at once, and events and keys are not the bot's.
func (c *component) followUsers(ctx context.Context, server *natsserver.Server, users natsUsers) error {
	if !users.exist() {
		<-ctx.Done()
		return nil
	}
	followed, told := c.newFollowedUsers(server, users), ""
	for backoff.Sleep(ctx, usersInterval) {
		err := followed.look()
		switch {
		case err != nil && err.Error() != told: // once, although each look tries again
			c.log.ErrorContext(ctx, "[NATS] plugins keep the permissions that they had", "error", err)
			told = err.Error()
		case err == nil && told != "":
			c.log.InfoContext(ctx, "[NATS] plugins have the permissions of the list again")
			told = ""
		}
	}
	return nil
}

// followedUsers are the users of a server that follow the list of plugins.
type followedUsers struct {
	component *component
	server    *natsserver.Server
	reader    *config.LiveReader
	users     natsUsers
	// pending is true while the list is in force and the users do not have its permissions yet.
	pending bool
}

func (c *component) newFollowedUsers(server *natsserver.Server, users natsUsers) *followedUsers {
	return &followedUsers{component: c, server: server, reader: config.NewLiveReader(c.config), users: users}
}

// look gives the users the permissions of the list if they may not have them yet. After an error they have those that
// they had, and the next look tries again.
func (f *followedUsers) look() error {
	live, inForce, changed, _ := f.reader.Read() // what is wrong with a file, the bot reports
	f.pending = f.pending || changed
	if !inForce || !f.pending {
		return nil
	}
	next, err := f.component.configureUsers(f.users, foreignPlugins(live))
	if err == nil && !reflect.DeepEqual(next, f.users) { // a change disconnects whoever is about to log in
		err = f.server.SetUsers(next.all())
	}
	if err != nil {
		return err
	}
	f.users, f.pending = next, false
	return nil
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
	dir := u.credentialsDir(name)
	for _, dir := range []string{u.dir, dir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("creating the directory for the NATS user %s: %w", name, err)
		}
		if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs x
			return fmt.Errorf("protecting the directory for the NATS user %s: %w", name, err)
		}
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
		if err := writePrivate(path, text); err != nil {
			return fmt.Errorf("writing the credentials of the NATS user %s: %w", name, err)
		}
	}
	u.others = append(u.others, natsserver.User{Name: name, Password: password, Permissions: permissions})
	return nil
}

// writePrivate writes a file that only its owner may read, also if it exists and others may.
func writePrivate(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // the caller says what it is
	}
	if err = file.Chmod(0o600); err == nil {
		if _, err = file.WriteString(text); err == nil {
			err = file.Truncate(int64(len(text)))
		}
	}
	return errors.Join(err, file.Close())
}
