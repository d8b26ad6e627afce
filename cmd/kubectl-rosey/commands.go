package main

import "github.com/spf13/cobra"

// groups are the parts of the help.
var groups = []struct{ id, title string }{
	{"look", "Look:"},
	{"channel", "In the channel:"},
	{"database", "The database:"},
	{"more", "More:"},
}

// verb is a command of the plugin.
type verb struct {
	group string
	// rights are those that the command needs in the namespace. Without those of more it leaves out a part.
	rights, more []right
	make         func(*app) *cobra.Command
}

// verbs are all commands, in the order of the help and of the table in docs/kubectl.md.
func verbs() []verb {
	inPods := []right{getBots, listPods, execInPods}
	return []verb{
		{group: "look", make: newStatusCommand, rights: []right{getBots}, more: []right{listBots, listPods, forwardPorts}},
		{group: "look", make: newLogsCommand, rights: []right{getBots, listPods, readLogs}},
		{group: "look", make: newOpenCommand, rights: []right{getBots, listPods, forwardPorts}},

		{group: "channel", make: newSayCommand, rights: inPods},
		{group: "channel", make: newTailCommand, rights: inPods},
		{group: "channel", make: newTopCommand, rights: inPods},
		{group: "channel", make: newUserCommand, rights: inPods},
		{group: "channel", make: newPluginsCommand, rights: inPods},

		{group: "database", make: newShowCommand, rights: inPods},
		{group: "database", make: newDeadCommand, rights: inPods},
		{group: "database", make: newBackupCommand, rights: inPods},
		{group: "database", make: newRestoreCommand, rights: exclusiveRights},
		{group: "database", make: newImportCommand, rights: exclusiveRights},

		{group: "more", make: newSupportCommand, rights: []right{getBots}, more: supportRights()},
		{group: "more", make: newRightsCommand},
		{group: "more", make: newVersionCommand},
	}
}
