// Package command executes the commands that users give the bot in a CyTube channel.
//
// There are two kinds. Chat commands, such as !stats, are lines of chat that begin with a prefix. Every user may give
// them, and the bot replies in the chat. PM commands are private messages to the bot. They are for moderators, who
// control the playlist and the channel with them, and the bot replies by private message. They need no prefix, but
// commands of plugins do, in private messages too. It never replies to a user
// whose rank allows no command of its own, and never to a chat command that it does not know: other bots have
// commands too.
//
// The function table lists all commands of the bot: what they are called, where they can be given, who may give them,
// and the method that executes them. The list of commands for help, the errors for wrong arguments and the checks of
// rank and permission come from the table. To add a command, add an entry and its method.
//
// # Names
//
// The bot declares its commands in the same form as plugins do. A [Registry], which outlives the sessions, puts both
// into one list: what the owner of the bot decides about a command (config.CommandOverride) holds instead of what it
// declares. The names of the bot's commands are its own. Where several plugins have one name, the first has it; the
// others are called by PLUGIN.NAME. The Registry also has the cooldowns, so that these outlast a session and the
// restart of a plugin. Whatever changes, the next command is looked for in the new list.
//
// A command of a plugin is handed to [Plugins], which has a queue of its own, so that no plugin can delay the
// commands of the bot.
//
// # Execution
//
// A command has two steps, on two goroutines:
//
// - Handle gets every event of the session, on the goroutine that applies events to the room.Room. It finds the
// command, checks who gave it, and calls the command's method. The method reads the Room and the arguments, and must
// not block, because a bot that does not read is disconnected. It returns a task with what is left to do. - Run
// executes one task after the other: it may wait for the database service, for the flood limit or for CyTube. Then it
// says the reply and publishes the result of a PM command, for the audit in the database.
//
// At most 32 commands wait; Handle rejects more with an error. A task may take 30 seconds.
//
// # Permissions
//
// The bot executes a moderator's command with its own rank. So a command that needs a CyTube permission needs it for
// the moderator and for the bot; otherwise a moderator could use the bot's higher rank. For the same reason "say"
// takes no chat command of CyTube but /me.
//
// # Confirmation
//
// CyTube acknowledges no request. It sends an event to everybody that shows the effect, or an error to the bot, or
// nothing. So a task that changes something registers a confirmation right before it acts, which recognizes the
// event, and waits for it up to 3 seconds. Handle passes each event to the registered confirmations: one for the task
// that runs, and one for each thing that a plugin does in the channel (see Act). Those whose effects look alike take
// turns. It is removed when the task has stopped waiting. A command that is rejected before it acts registers none.
package command
