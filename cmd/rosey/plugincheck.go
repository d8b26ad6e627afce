package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin"
	"rosey.dev/rosey/runtime/plugin/plugintest"
	"rosey.dev/rosey/runtime/status"
)

func newPluginCheckCommand() *cobra.Command {
	var flags *configFlags
	var format output.Format
	var running, call bool
	role := userRole(bus.CLIRole)
	command := &cobra.Command{
		Use:   "check [PLUGIN...]",
		Short: "Run the examples of built-in plugins without a bot, or check plugins that run",
		Long: "Run the examples of built-in plugins, of all by default, each in a channel inside this process.\n\n" +
			"With --running, check the plugins of a channel over NATS, in whatever language they are written: whether they\n" +
			"answer, and whether what they offer can be used. With --call too, their examples are called as the bot calls\n" +
			"them. Nothing is said in the channel, but a plugin does what it does at a call. It needs the NATS user of the\n" +
			"bot (--role bot), or a server without users. For a plugin in Go, `go test` checks more: plugintest.Examples.\n\n" +
			"The exit code is 0 if all is as expected.",
		Example: "  rosey plugin check dice\n" +
			"  rosey plugin check --running --nats nats://127.0.0.1:4222 --channel movienight greeter",
		RunE: func(command *cobra.Command, names []string) error {
			switch {
			case running:
				return checkRunningPlugins(command, flags, bus.Role(role), format, names, call)
			case call:
				return errors.New("--call: expected with --running")
			}
			if len(names) == 0 {
				names = builtin.Names()
			}
			for _, name := range names {
				if !slices.Contains(builtin.Names(), name) {
					return fmt.Errorf("%q: expected one of %s", name, strings.Join(builtin.Names(), ", "))
				}
			}
			results, text := checkPlugins(names)
			if err := writeOutput(command.OutOrStdout(), format, results, text); err != nil {
				return err
			}
			if slices.ContainsFunc(results, func(one exampleResult) bool { return !one.OK }) {
				return exit.Failed(errors.New("an example does not do what it says"))
			}
			return nil
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysAt("nats.url", "nats.subjectPrefix", "nats.credentialsDir",
		"nats.tlsDir", "channel.name", "pluginsFile"))
	command.Flags().Var(&role, "role", "With --running: "+roleUsage)
	command.Flags().BoolVar(&running, "running", false, "Check plugins that run, over NATS")
	command.Flags().BoolVar(&call, "call", false, "With --running: call the examples of the plugins")
	addOutputFlag(command, &format)
	return command
}

func checkRunningPlugins(
	command *cobra.Command, flags *configFlags, role bus.Role, format output.Format, names []string, call bool,
) error {
	loaded, err := flags.Load(status.CLIComponent)
	if err != nil {
		return err
	}
	if names, err = pluginNames(loaded.Config, names); err != nil {
		return err
	}
	results, err := checkRunning(command.Context(), command, loaded.Config, role, names, call)
	if err != nil {
		return err
	}
	return reportChecks(command, format, results)
}

// exampleResult is what became of an example.
type exampleResult struct {
	Plugin   string   `json:"plugin"`
	Command  string   `json:"command"`
	Example  string   `json:"example"`
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"`
}

// checkPlugins runs the examples of built-in plugins.
func checkPlugins(names []string) (results []exampleResult, text string) {
	var out bytes.Buffer
	for _, name := range names {
		described, _ := builtin.New(name)
		for _, one := range described.Commands() {
			for _, example := range one.Examples {
				result := exampleResult{Plugin: name, Command: one.Name, Example: example.Say}
				result.Problems = runExample(name, one, example)
				result.OK = len(result.Problems) == 0
				results = append(results, result)
				mark := "ok"
				if !result.OK {
					mark = "FAILED"
				}
				fmt.Fprintf(&out, "%s  %s  %s\n", mark, name, status.Printable(example.Say))
				for _, problem := range result.Problems {
					fmt.Fprintf(&out, "    %s\n", status.Printable(problem))
				}
			}
		}
	}
	return results, out.String()
}

// runExample runs an example in a channel of its own, and returns what is wrong.
func runExample(name string, command plugin.Command, example plugin.Example) []string {
	var check exampleCheck
	check.run(func() {
		p, _ := builtin.New(name)
		plugintest.RunExample(plugintest.Open(&check, p), command, example)
	})
	return check.problems
}

// exampleCheck is a plugintest.T without a test.
type exampleCheck struct {
	problems []string
	ends     []func()
}

// errEnded is the panic of Fatalf, which must not return.
var errEnded = errors.New("the example has ended")

// run calls do, and then what it has left for Cleanup.
func (c *exampleCheck) run(do func()) {
	defer func() {
		for _, end := range slices.Backward(c.ends) {
			end()
		}
		if value := recover(); value != nil && value != errEnded { //nolint:errorlint // this very value
			panic(value)
		}
	}()
	do()
}

// Helper implements plugintest.T.
func (c *exampleCheck) Helper() {}

// Logf implements plugintest.T. What a plugin logs is of no use here.
func (c *exampleCheck) Logf(string, ...any) {}

// Errorf implements plugintest.T.
func (c *exampleCheck) Errorf(format string, arguments ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, arguments...))
}

// Fatalf implements plugintest.T.
func (c *exampleCheck) Fatalf(format string, arguments ...any) {
	c.Errorf(format, arguments...)
	panic(errEnded)
}

// Cleanup implements plugintest.T.
func (c *exampleCheck) Cleanup(end func()) { c.ends = append(c.ends, end) }
