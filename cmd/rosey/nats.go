package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/status"
)

// newNATSCommand returns the commands for whoever administers a NATS server.
func newNATSCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "nats",
		Short: "Prepare a NATS server for bots: permissions, accounts and users, streams",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("nats: expected permissions, issue, create, list or remove")
		},
	}
	command.AddCommand(newNATSPermissionsCommand(), newNATSIssueCommand(), newNATSCreateCommand(),
		newNATSListCommand(), newNATSRemoveCommand())
	return command
}

// permissionsFlags are the flags of `rosey nats permissions`.
type permissionsFlags struct {
	config   *configFlags
	roles    []string
	standby  bool
	commands bool
	people   bool
	readOnly bool
	format   string
}

func newNATSPermissionsCommand() *cobra.Command {
	var flags permissionsFlags
	command := &cobra.Command{
		Use:   "permissions",
		Short: "Print the permissions of each role's NATS user",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			text, err := flags.print()
			if err != nil {
				return err
			}
			return exit.Failed(printf(command.OutOrStdout(), "%s", text))
		},
	}
	flags.config = newConfigFlags(command.Flags(), "", keysAt("nats.subjectPrefix", "nats.jetStream.mode",
		"nats.jetStream.provisioning", "channel.name", "plugins"))
	alias := command.Flags().Lookup("nats-jet-stream-provisioning").Value
	command.Flags().Var(alias, "provisioning", "Same as --nats-jet-stream-provisioning")
	command.Flags().StringSliceVar(&flags.roles, "role", nil, "Roles to print: "+strings.Join(roleNames(), ", ")+
		"; roles joined by '+', such as bot+db, are one user; plugin is one user for all plugins that are built in and\n"+
		"one for each other (default bot,db,cli,web, plugin if there are any, and admin with manual provisioning)")
	command.Flags().BoolVar(&flags.standby, "standby", true, "Include the leader election of several bots")
	command.Flags().BoolVar(&flags.commands, "commands", false,
		"Let the roles cli and web have the bot execute commands, lines that begin with \"/\"")
	command.Flags().BoolVar(&flags.people, "people", false,
		"Let the role cli export and remove what is stored about a person")
	command.Flags().BoolVar(&flags.readOnly, "web-read-only", false,
		"Let the role web only read: for a web page without tokens")
	command.Flags().StringVar(&flags.format, "format", "server.conf", "Output format: server.conf, nsc or json")
	command.Example = `  rosey nats permissions --prefix rosey_default_movienight
  rosey nats permissions --role bot+db --format nsc
  rosey nats permissions --config rosey.yaml --role plugin
  rosey nats permissions --channel movienight --plugins '[{name: weather, grants: {events: [message]}}]'
  rosey nats permissions --provisioning manual --format json`
	return command
}

func roleNames() []string {
	names := []string{string(bus.PluginRole), string(bus.AdminRole)}
	for _, role := range slices.Backward(natsauth.Roles()) {
		names = slices.Insert(names, 0, string(role))
	}
	return names
}

func (f *permissionsFlags) print() (string, error) {
	loaded, err := f.config.Load(status.CLIComponent)
	if err != nil {
		return "", err
	}
	subjects, err := bus.NewSubjects(loaded.NATS.SubjectPrefix)
	if err != nil {
		return "", fmt.Errorf("nats.subjectPrefix: %w", err)
	}
	options := natsauth.Options{
		Subjects: subjects, JetStream: loaded.NATS.JetStream.Mode, Standby: f.standby, Commands: f.commands,
		People: f.people, WebReadOnly: f.readOnly,
		Manual: loaded.NATS.JetStream.Provisioning == config.ProvisioningManual,
	}
	plugins, err := natsauth.PluginUsers(loaded.Channel.Name, loaded.Plugins)
	if err != nil {
		return "", err
	}
	users, err := f.users(options, plugins)
	if err != nil {
		return "", err
	}
	switch f.format {
	case "server.conf":
		return natsauth.ServerUsers(users), nil
	case "nsc":
		return nscCommands(loaded.NATS.SubjectPrefix, users)
	case "json":
		return permissionsJSON(users)
	}
	return "", fmt.Errorf("--format: %q, expected server.conf, nsc or json", f.format)
}

// users returns the users of the flag --role. Their passwords are variables of the server's environment.
func (f *permissionsFlags) users(
	options natsauth.Options, plugins []natsauth.PluginUser,
) (users []natsauth.ServerUser, err error) {
	names := f.roles
	if len(names) == 0 {
		names = slices.DeleteFunc(roleNames(), func(name string) bool {
			return name == string(bus.AdminRole) && !options.Manual || name == string(bus.PluginRole) && len(plugins) == 0
		})
	}
	for _, name := range names {
		if name == string(bus.PluginRole) {
			if len(plugins) == 0 {
				return nil, errors.New("--role: plugin, expected plugins in the configuration")
			}
			users = append(users, pluginUsers(options, plugins)...)
			continue
		}
		user := natsauth.ServerUser{Name: strings.ReplaceAll(name, "+", "_"), Options: options}
		for role := range strings.SplitSeq(name, "+") {
			if !slices.Contains(roleNames(), role) || role == string(bus.PluginRole) {
				return nil, fmt.Errorf("--role: %q, expected %s", role, strings.Join(roleNames(), ", "))
			}
			user.Roles = append(user.Roles, bus.Role(role))
		}
		user.Variable = strings.ToUpper(user.Name) + "_PASSWORD"
		users = append(users, user)
	}
	return users, nil
}

// pluginUsers returns the users of plugins.
func pluginUsers(options natsauth.Options, plugins []natsauth.PluginUser) (users []natsauth.ServerUser) {
	for _, plugin := range plugins {
		options.Plugins = plugin.Plugins
		name := plugin.Role()
		users = append(users, natsauth.ServerUser{
			Name: name, Roles: []bus.Role{bus.PluginRole}, Options: options, Variable: strings.ToUpper(name) + "_PASSWORD",
		})
	}
	return users
}

// nscCommands returns the commands that create users in an account, and says which users a server with the default of
// max_control_line would refuse.
func nscCommands(account string, users []natsauth.ServerUser) (string, error) {
	var commands strings.Builder
	for _, user := range users {
		line, err := natsauth.LoginLine(user)
		if err != nil {
			return "", fmt.Errorf("measuring the JWT of user %s: %w", user.Name, err)
		}
		if line > natsauth.DefaultMaxControlLine {
			fmt.Fprintf(&commands, "# User %s needs a line of up to %d bytes to log in: set max_control_line in the server's "+
				"configuration, whose default is %d.\n", user.Name, line, natsauth.DefaultMaxControlLine)
		}
		commands.WriteString(natsauth.NSC(account, user))
	}
	return commands.String(), nil
}

func permissionsJSON(users []natsauth.ServerUser) (string, error) {
	all := map[string]natsauth.Permissions{}
	for _, user := range users {
		all[user.Name] = user.Options.For(user.Roles...)
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return "", fmt.Errorf("writing JSON: %w", err)
	}
	return text.String(), nil
}
