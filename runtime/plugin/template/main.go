// Command greeter is a plugin to copy: one command, one event, one setting.
package main

import (
	"context"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

func main() { plugin.Main(newGreeter()) }

func newGreeter() *plugin.Plugin {
	p := plugin.New("greeter", "0.1.0")
	p.Setting(plugin.Setting{Name: "greeting", Default: "Welcome", Help: "What is said to who is new."})
	p.Command(plugin.Command{
		Name: "hello", Help: "Says hello, and how often it did.",
		Cooldown: plugin.Cooldown{User: 5 * time.Second},
		Examples: []plugin.Example{{Say: "!hello", Like: `^Hello, alice \(1\)$`}},
	}, hello)
	p.On(plugin.UserJoined, greet) // needs the grants `events: [user_join]` and `say: true`
	return p
}

func hello(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	if c.Args != "" {
		return plugin.Reply{}, plugin.Usage("expected nothing behind the command")
	}
	count, err := c.KV().Add(ctx, "hello/"+c.User.Name, 1)
	if err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("Hello, %s (%d)", c.User.Name, count), nil
}

func greet(ctx context.Context, e *plugin.Event) error {
	isNew, err := e.KV().Create(ctx, "seen/"+e.User.Name, true)
	if err != nil || !isNew {
		return err
	}
	return e.Say(ctx, e.Settings().Text("greeting")+", "+e.User.Name+"!")
}
