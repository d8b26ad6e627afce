package plugin_test

import (
	"context"
	"fmt"
	"slices"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

// exampleT is a plugintest.T where there is no testing.T.
type exampleT struct{ ends []func() }

func (t *exampleT) Helper()                        {}
func (t *exampleT) Logf(string, ...any)            {}
func (t *exampleT) Errorf(format string, a ...any) { fmt.Printf(format+"\n", a...) }
func (t *exampleT) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
func (t *exampleT) Cleanup(end func())             { t.ends = append(t.ends, end) }
func (t *exampleT) end() {
	for _, end := range slices.Backward(t.ends) {
		end()
	}
}

// A plugin with one command, in a room of a test.
func Example() {
	p := plugin.New("greeter", "1.0.0")
	p.Command(plugin.Command{Name: "hello", Help: "Says hello, and how often."},
		func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
			if c.Args != "" {
				return plugin.Reply{}, plugin.Usage("expected nothing behind the command")
			}
			count, err := c.KV().Add(ctx, "hello/"+c.User.Name, 1)
			return plugin.Text("Hello, %s (%d)", c.User.Name, count), err
		})

	t := &exampleT{}
	defer t.end()
	room := plugintest.Open(t, p)
	alice := room.As("alice", plugin.Guest)
	fmt.Println(alice.Says("!hello").Text())
	fmt.Println(alice.Says("!hello").Text())
	fmt.Println(alice.Says("!hello there").Wrong)
	// Output:
	// Hello, alice (1)
	// Hello, alice (2)
	// expected nothing behind the command
}

// A list that several processes of a plugin change at the same time.
func ExampleUpdate() {
	p := plugin.New("shopping", "1.0.0")
	p.Command(plugin.Command{Name: "buy"}, func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		list, err := plugin.Update(ctx, c.KV(), "list", func(list []string) ([]string, error) {
			if len(list) == 2 {
				return nil, plugin.Usage("the list is full")
			}
			return append(list, c.Args), nil
		})
		return plugin.Text("%q", list), err
	})

	t := &exampleT{}
	defer t.end()
	alice := plugintest.Open(t, p).As("alice", plugin.Guest)
	fmt.Println(alice.Says("!buy popcorn").Text())
	fmt.Println(alice.Says("!buy lemonade").Text())
	fmt.Println(alice.Says("!buy more popcorn").Wrong)
	// Output:
	// ["popcorn"]
	// ["popcorn" "lemonade"]
	// the list is full
}

// What a plugin does in the channel, and a test that knows it.
func ExampleChannel_Act() {
	p := plugin.New("films", "1.0.0")
	p.Command(plugin.Command{Name: "film", Rank: plugin.Moderator},
		func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
			return plugin.Reply{}, c.Act(ctx, plugin.PlaylistAdd, plugin.Action{URL: c.Args})
		})

	t := &exampleT{}
	defer t.end()
	room := plugintest.Open(t, p)
	fmt.Println(room.As("alice", plugin.Guest).Says("!film https://example.com/a.mp4").Refused)
	room.As("bob", plugin.Moderator).Says("!film https://example.com/a.mp4").ExpectsNothing()
	for _, act := range room.Acts() {
		fmt.Println(act.Verb, act.URL)
	}
	// Output:
	// the rank is 0, and the command needs 2
	// playlist.add https://example.com/a.mp4
}
