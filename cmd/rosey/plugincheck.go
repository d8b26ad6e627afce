package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin"
	"rosey.dev/rosey/runtime/plugin/plugintest"
	"rosey.dev/rosey/runtime/status"
)

// The flags that mean something for a program that is started.
const waitFlag, outputFlag = "wait", "output"

func newPluginCheckCommand() *cobra.Command {
	var flags *configFlags
	var format output.Format
	var running, call bool
	var wait time.Duration
	role := userRole(bus.CLIRole)
	command := &cobra.Command{
		Use:   "check [PLUGIN...] [-- PROGRAM [ARGUMENT...]]",
		Short: "Run the examples of built-in plugins without a bot, or check a plugin of your own",
		Long: "Run the examples of built-in plugins, of all by default, each in a channel inside this process.\n\n" +
			"With a program behind --, start that as the plugin of a name, in whatever language it is written, in a channel\n" +
			"inside this process: with a NATS server, a user with the permissions of a plugin, and what answers it as a bot\n" +
			"and a database do. Its examples are called, and it is ended. These environment variables tell it where it is:\n" +
			"ROSEY_NATS_URL, ROSEY_NATS_CREDENTIALS_DIR, ROSEY_NATS_SUBJECT_PREFIX, ROSEY_CHANNEL_NAME, ROSEY_PLUGIN_NAME.\n\n" +
			"With --running, check the plugins of a channel over NATS, in whatever language they are written: whether they\n" +
			"answer, and whether what they offer can be used. With --call too, their examples are called as the bot calls\n" +
			"them. Nothing is said in the channel, but a plugin does what it does at a call. It needs the NATS user of the\n" +
			"bot (--role bot), or a server without users. For a plugin in Go, `go test` checks more: plugintest.Examples.\n\n" +
			"The exit code is 0 if all is as expected.",
		Example: "  rosey plugin check dice\n" +
			"  rosey plugin check greeter -- ./greeter\n" +
			"  rosey plugin check --running --nats nats://127.0.0.1:4222 --channel movienight greeter",
		RunE: func(command *cobra.Command, names []string) error {
			programAt := command.ArgsLenAtDash()
			switch {
			case programAt >= 0:
				if err := onlyForPrograms(command.Flags()); err != nil {
					return err
				}
				return checkOneProgram(command, format, names[:programAt], names[programAt:], wait)
			case running:
				return checkRunningPlugins(command, flags, bus.Role(role), format, names, call)
			case call:
				return errors.New("--call: expected with --running")
			}
			return checkBuiltinPlugins(command, format, names)
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysAt("nats.url", "nats.subjectPrefix", "nats.credentialsDir",
		"nats.tlsDir", "channel.name", "pluginsFile"))
	command.Flags().Var(&role, "role", "With --running: "+roleUsage)
	command.Flags().DurationVar(&wait, waitFlag, time.Minute, "How long a program that is started may take to say hello")
	command.Flags().BoolVar(&running, "running", false, "Check plugins that run, over NATS")
	command.Flags().BoolVar(&call, "call", false, "With --running: call the examples of the plugins")
	addOutputFlag(command, &format)
	return command
}

// checkBuiltinPlugins runs the examples of built-in plugins, of all if none is named.
func checkBuiltinPlugins(command *cobra.Command, format output.Format, names []string) error {
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
}

// onlyForPrograms returns an error that names a flag that was given and means nothing for a program.
func onlyForPrograms(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(one *pflag.Flag) {
		if one.Name != waitFlag && one.Name != outputFlag && err == nil {
			err = fmt.Errorf("--%s: expected without a program, which is started in a channel of its own", one.Name)
		}
	})
	return err
}

// checkOneProgram checks a program as a plugin, which is named by the only one of names.
func checkOneProgram(command *cobra.Command, format output.Format, names, program []string, wait time.Duration) error {
	switch {
	case len(names) != 1 || !bus.IsPluginName(names[0]):
		return fmt.Errorf("%q: expected the name of one plugin in front of --, of 1 to %d lower-case letters and digits",
			strings.Join(names, " "), bus.MaxPluginName)
	case len(program) == 0:
		return errors.New("expected a program behind --")
	case wait <= 0:
		return fmt.Errorf("--wait: %s, expected a time such as 1m", wait)
	}
	results, written, err := checkProgram(command.Context(), names[0], program, wait)
	if err != nil {
		return exit.Failed(err)
	}
	if written != "" {
		_, err = fmt.Fprintf(command.ErrOrStderr(), "The program wrote:\n%s", written)
	}
	return errors.Join(reportChecks(command, format, results), err)
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
	return check.found()
}

// exampleCheck is a plugintest.T without a test. It is safe for concurrent use: a room answers a plugin beside it.
type exampleCheck struct {
	mu       sync.Mutex
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

// found returns the problems until now.
func (c *exampleCheck) found() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.problems)
}

// Helper implements plugintest.T.
func (c *exampleCheck) Helper() {}

// Logf implements plugintest.T. What a plugin logs is of no use here.
func (c *exampleCheck) Logf(string, ...any) {}

// Errorf implements plugintest.T.
func (c *exampleCheck) Errorf(format string, arguments ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, fmt.Sprintf(format, arguments...))
}

// Fatalf implements plugintest.T.
func (c *exampleCheck) Fatalf(format string, arguments ...any) {
	c.Errorf(format, arguments...)
	panic(errEnded)
}

// Cleanup implements plugintest.T.
func (c *exampleCheck) Cleanup(end func()) { c.ends = append(c.ends, end) }
