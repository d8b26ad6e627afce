package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/pluginclient"
	"rosey.dev/rosey/runtime/status"
)

// pluginCheck is something that was checked about a plugin that runs.
type pluginCheck struct {
	Plugin string `json:"plugin"`
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	// Found is what was found, or what is wrong.
	Found string `json:"found,omitempty"`
}

// runningCheck checks plugins that run.
type runningCheck struct {
	conn     *bus.Conn
	subjects bus.Subjects
	channel  string
	// call has the examples of commands called.
	call    bool
	results []pluginCheck
}

// maxFound bounds what is shown of what a plugin answers, in characters.
const maxFound = 300

func (c *runningCheck) add(plugin, what string, problem error, found string) {
	if problem != nil {
		found = problem.Error()
	}
	c.results = append(c.results, pluginCheck{
		Plugin: plugin, What: status.OneLine(what, maxFound), OK: problem == nil, Found: status.OneLine(found, maxFound),
	})
}

// check checks one plugin.
func (c *runningCheck) check(ctx context.Context, name string) error {
	own, err := c.subjects.Plugin(c.channel, name)
	if err != nil {
		return err
	}
	offer := askPlugin(ctx, c.conn, own)
	const info = "says what it offers"
	if offer.Processes == 0 {
		c.add(name, info, fmt.Errorf("nobody answers as %s: the plugin does not run, has another name, channel or subject "+
			"prefix, or its NATS user may not subscribe", own.ServiceName()), "")
		return nil
	}
	c.add(name, info, nil, fmt.Sprintf("version %s; processes: %d; commands: %d", offer.Version, offer.Processes,
		len(offer.Commands)))
	if pinged := pluginclient.Ping(ctx, c.conn, own); pinged < offer.Processes {
		err = fmt.Errorf("%d of %d processes do: a bot takes the others for gone", pinged, offer.Processes)
	}
	c.add(name, "answers pings", err, "")
	for _, problem := range offer.Problems {
		c.add(name, "offers what can be used", errors.New(problem), "")
	}
	for _, one := range offer.Commands {
		c.callExamples(ctx, own, one)
	}
	return nil
}

// callExamples calls the examples of a command, if that is wanted, as somebody with the rank that the command asks for.
func (c *runningCheck) callExamples(ctx context.Context, own bus.PluginSubjects, declared bus.PluginCommand) {
	if !c.call {
		return
	}
	via := bus.ViaChat
	if len(declared.Via) == 1 {
		via = declared.Via[0]
	}
	for _, example := range declared.Examples {
		_, args, _ := strings.Cut(example, " ")
		reply, err := pluginclient.Try(ctx, c.conn, own, command.Call{
			Command: declared, Via: via, User: bus.PluginUser{Name: "alice", Rank: max(declared.Rank, 1)},
			Args: strings.TrimSpace(args), Text: "!" + example,
		})
		found := strings.Join(reply.Lines, " / ")
		if errors.Is(err, pluginclient.ErrUsage) { // an example may show what is wrong
			found, err = err.Error(), nil
		}
		c.add(own.Name, example, err, found)
	}
}

// checkRunning checks plugins of a channel, over NATS.
func checkRunning(
	ctx context.Context, cobraCommand *cobra.Command, c config.Config, role bus.Role, names []string, call bool,
) ([]pluginCheck, error) {
	subjects, err := bus.NewSubjects(c.NATS.SubjectPrefix)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(cobraCommand.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError + 1}))
	conn, err := cli.Dial(ctx, c.NATS, "rosey cli", subjects.InboxPrefix(role), log)
	if err != nil {
		return nil, exit.Failed(err)
	}
	defer conn.Close()
	check := runningCheck{conn: conn, subjects: subjects, channel: c.Channel.Name, call: call}
	for _, name := range names {
		if err := check.check(ctx, name); err != nil {
			return nil, err
		}
	}
	return check.results, nil
}

// reportChecks writes what was checked. It returns an error if something is wrong.
func reportChecks(cobraCommand *cobra.Command, format output.Format, results []pluginCheck) error {
	var text bytes.Buffer
	for _, one := range results {
		mark := "ok"
		if !one.OK {
			mark = "FAILED"
		}
		fmt.Fprintf(&text, "%s  %s  %s\n", mark, one.Plugin, status.Printable(one.What))
		if one.Found != "" {
			fmt.Fprintf(&text, "    %s\n", status.Printable(one.Found))
		}
	}
	if err := writeOutput(cobraCommand.OutOrStdout(), format, results, text.String()); err != nil {
		return err
	}
	if slices.ContainsFunc(results, func(one pluginCheck) bool { return !one.OK }) {
		return exit.Failed(errors.New("a plugin is not as it should be"))
	}
	return nil
}
