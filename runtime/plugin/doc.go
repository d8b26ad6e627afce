// Package plugin is for writing plugins: programs that add commands to a CyTube channel in which a Rosey bot is, and
// react to what happens there. A plugin is a process of its own, which talks to the bot over NATS. It cannot take the
// bot down or act for it: the bot checks who may give a command and how often, says what the plugin answers, and does
// for it only what the owner of the channel has granted. docs/plugins.md says how to run plugins, and what goes over
// the wire if you write one in another language.
//
// # A command
//
// A plugin declares commands, and has a function for each:
//
//	func main() {
//		p := plugin.New("greeter", "1.0.0")
//		p.Command(plugin.Command{
//			Name: "hello", Help: "Says hello.",
//			Examples: []plugin.Example{{Say: "!hello", Like: `^Hello, alice$`}},
//		}, func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
//			return plugin.Text("Hello, %s", c.User.Name), nil
//		})
//		plugin.Main(p)
//	}
//
// What a Command declares (rank, cooldown, whether in the chat or by private message) the bot enforces before it calls
// the plugin, and the owner of the bot can overrule it, so a handler checks no permission. It gets what follows the
// command as Call.Args, which may be anything that people can type.
//
// An error that is about the arguments is a UsageError: the person sees its text, and may try again at once. For all
// other errors the person sees one plain sentence, and the logs of plugin and bot and the status of the bot have the
// text: there must be no secret in it. The URLs in errors of net/http are left out. A panic is an error of this call
// alone.
//
// The context of a call ends when nobody waits for the answer any more, after five seconds or what Command.Timeout
// says, or when the bot leaves the channel. Handlers run at the same time, at most eight, and one for each person. Give
// the context to everything that waits: eight handlers that do not end make the plugin deaf, which /status then says.
//
// # More than an answer
//
// A Call is also a Channel: Say says lines beside the answer, Act does something in the channel, State asks who is
// there or what plays. What happens because of a call has the rank of its person and is recorded with their name. By
// itself, in an event or what is done Every so often, a plugin may do what its grants say.
//
//	p.On(plugin.UserJoined, func(ctx context.Context, e *plugin.Event) error {
//		return e.Say(ctx, "Welcome, "+e.User.Name)
//	})
//	p.Every(time.Hour, remind)
//
// Nothing is tried twice, neither by the bot nor by this package: an error means that it is not known to have happened.
//
// # What is stored
//
// KV stores values in JSON in the database of the channel. A process of a plugin may end at any time, and there may be
// several, so keep there whatever must last, and change it in one step: Add adds to a number, Create and SetIf store
// unless somebody else was faster, and Update reads, changes and stores until that has worked.
//
//	quotes, err := plugin.Update(ctx, c.KV(), "quotes", func(all []string) ([]string, error) {
//		return append(all, c.Args), nil
//	})
//
// # What is counted
//
// The SDK has metrics of calls, events and requests. Counter declares something else that a plugin counts, such as the
// tokens of a language model, and Channel.Count adds to it: it is a series of rosey_plugin_counted_total.
//
// # Settings
//
// A Setting is a value that whoever runs the plugin may choose; Settings are the values as they are now. They are read
// while the plugin runs. A wrong value is reported in /status, and the default is used.
//
// # The web
//
// HTTPClient sends requests to servers that whoever runs the plugin names, or that others do: it connects to nothing
// that only this machine or its network reaches, and its errors do not tell a key in the URL. Spoken makes lines of
// what such a server answers, none of which is a command.
//
// # Tests
//
// Package plugintest runs a plugin in a room of its own, with a real NATS server inside the test and a clock that the
// test turns:
//
//	func TestExamples(t *testing.T) { plugintest.Examples(t, newGreeter) }
//
//	func TestGreets(t *testing.T) {
//		room := plugintest.Open(t, newGreeter())
//		room.As("alice", plugin.Guest).Says("!hello").Expects("^Hello, alice$")
//	}
//
// Use Channel.Now instead of time.Now, so that this works. The directory template beside this file is a whole plugin
// with its test, to copy.
//
// # How it works
//
// A plugin is a service of the NATS services protocol, so `nats micro info` shows its commands where the user may see
// them. Each command is an endpoint with its declaration as metadata, in a queue group, so that several processes share
// the calls. The protocol is implemented by bus.Discovery, which says why not by package micro of nats.go. When the
// server refuses a subscription, for want of a permission, /status says so, and the endpoint is not offered.
//
// This package knows neither the bot nor the database: all it shares with them are the messages in package bus.
package plugin
