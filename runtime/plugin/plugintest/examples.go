package plugintest

import (
	"fmt"
	"testing"

	"rosey.dev/rosey/runtime/plugin"
)

// Examples runs the examples that a plugin declares, each as a test of its own in a Room of its own. newPlugin returns
// the plugin, which runs once.
func Examples(t *testing.T, newPlugin func() *plugin.Plugin, options ...Option) {
	t.Helper()
	if err := newPlugin().Problems(); err != nil {
		t.Fatal(err)
	}
	for _, command := range newPlugin().Commands() {
		if len(command.Examples) == 0 {
			t.Errorf("command %q: expected an example", command.Name)
		}
		for i, example := range command.Examples {
			t.Run(fmt.Sprintf("%s/%d", command.Name, i+1), func(t *testing.T) {
				t.Parallel()
				RunExample(Open(t, newPlugin(), options...), command, example)
			})
		}
	}
}

// RunExample runs one example of a command in a Room, whose T learns what is not as expected.
func RunExample(r *Room, command plugin.Command, example plugin.Example) {
	r.t.Helper()
	name, rank := example.As, max(example.Rank, command.Rank)
	if name == "" {
		name = "alice"
	}
	person := r.As(name, rank)
	call := person.Says
	if len(command.Via) == 1 && command.Via[0] == plugin.PM {
		call = person.Whispers
	}
	answer := call(example.Say)
	if example.Wrong != "" {
		answer.ExpectsWrong(example.Wrong)
		return
	}
	answer.Expects(example.Like)
}
