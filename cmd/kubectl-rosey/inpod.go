package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
)

// inPod is a command of rosey that is run in a pod. Its arguments follow the name of the RoseyBot.
type inPod struct {
	// use is that of cobra, and begins with the name of the command here.
	use, short, long, example string
	// arguments checks what follows the name of the RoseyBot. Nil: nothing does.
	arguments func(arguments []string) error
	// rosey is the command there.
	rosey []string
	// place finds the pod.
	place func(*cluster, context.Context, *v1alpha1.RoseyBot) (place, error)
	// flags adds the flags that are passed on. Nil: there are none.
	flags func(*pflag.FlagSet)
	// output adds --output.
	output bool
	// endless commands end with Ctrl-C, which is no failure.
	endless bool
	// asks returns what has to be confirmed, or "".
	asks func(flags *pflag.FlagSet, arguments []string) string
}

// command returns the command of the plugin.
func (p inPod) command(app *app) *cobra.Command {
	var format output.Format
	var yes bool
	command := &cobra.Command{
		Use: p.use, Short: p.short, Long: p.long, Example: p.example, ValidArgsFunction: app.completeNames,
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) == 0 || arguments[0] == "" {
				return errors.New("expected the NAME of a RoseyBot")
			}
			if p.arguments == nil && len(arguments) > 1 {
				return fmt.Errorf("expected one argument, the NAME of a RoseyBot, got %d", len(arguments))
			}
			if p.arguments == nil {
				return nil
			}
			return p.arguments(arguments[1:])
		},
	}
	passedOn := pflag.NewFlagSet("", pflag.ContinueOnError)
	if p.flags != nil {
		p.flags(passedOn)
		command.Flags().AddFlagSet(passedOn)
	}
	if p.output {
		output.AddFlag(command, &format, output.JSON, output.YAML)
	}
	if p.asks != nil {
		command.Flags().BoolVarP(&yes, "yes", "y", false, "Do it without asking")
	}
	command.RunE = func(command *cobra.Command, arguments []string) error {
		if p.asks != nil {
			if err := app.confirm(command.Context(), p.asks(passedOn, arguments), yes); err != nil {
				return err
			}
		}
		return p.run(command.Context(), app, arguments, flagArguments(passedOn, format))
	}
	return command
}

func (p inPod) run(ctx context.Context, app *app, arguments, flags []string) error {
	cluster, bot, err := app.connectTo(ctx, arguments[0])
	if err != nil {
		return err
	}
	at, err := p.place(cluster, ctx, bot)
	if err != nil {
		return err
	}
	line := slices.Concat(p.rosey, at.flags, flags)
	if len(arguments) > 1 {
		line = append(append(line, "--"), arguments[1:]...)
	}
	if slices.Contains(flags, yamlFlag) {
		return app.roseyAsYAML(ctx, cluster, at, line)
	}
	if err := app.rosey(ctx, cluster, at, app.out, line); err != nil && (!p.endless || ctx.Err() == nil) {
		return err
	}
	return nil // an endless command has been interrupted
}

// yamlFlag is what flagArguments returns for YAML, which rosey does not write.
const yamlFlag = "--output=yaml"

// flagArguments returns flags that were given as arguments of rosey.
func flagArguments(flags *pflag.FlagSet, format output.Format) (arguments []string) {
	flags.Visit(func(flag *pflag.Flag) {
		if several, ok := flag.Value.(pflag.SliceValue); ok {
			for _, value := range several.GetSlice() {
				arguments = append(arguments, "--"+flag.Name+"="+value)
			}
			return
		}
		arguments = append(arguments, "--"+flag.Name+"="+flag.Value.String())
	})
	if format.IsDocument() {
		arguments = append(arguments, "--output="+string(format))
	}
	return arguments
}

// roseyAsYAML runs a command of rosey that writes JSON, and writes that as YAML.
func (a *app) roseyAsYAML(ctx context.Context, cluster *cluster, at place, line []string) error {
	line[slices.Index(line, yamlFlag)] = "--output=json"
	var document boundedBuffer
	if err := a.rosey(ctx, cluster, at, &document, line); err != nil {
		return err
	}
	text, err := yaml.JSONToYAML(document.content)
	if err != nil {
		return exit.Failedf("what rosey in pod %s has written is not JSON: %w", at.pod.Name, err)
	}
	_, err = a.out.Write(text)
	return exit.Failed(err)
}

// maxDocument bounds what a pod may write for one document, in bytes.
const maxDocument = 64 << 20

// boundedBuffer keeps what is written to it, up to maxDocument bytes. It has no other way in, such as ReadFrom.
type boundedBuffer struct{ content []byte }

func (b *boundedBuffer) Write(text []byte) (int, error) {
	if len(b.content)+len(text) > maxDocument {
		return 0, fmt.Errorf("more than %d bytes, expected one document", maxDocument)
	}
	b.content = append(b.content, text...)
	return len(text), nil
}

// confirm asks whether to do something, unless the user has said so already. An empty text asks for nothing.
func (a *app) confirm(ctx context.Context, what string, yes bool) error {
	if what == "" || yes {
		return nil
	}
	_, _ = fmt.Fprintf(a.err, "%s\nType yes to go on: ", what)
	answers := make(chan string, 1)
	go func() { // nothing interrupts the read: after ctx has ended, it ends with the process
		var answer string
		_, _ = fmt.Fscanln(a.in, &answer) // without an answer it is empty
		answers <- answer
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(a.err)
		return exit.Failedf("interrupted: nothing was changed")
	case answer := <-answers:
		if answer != "yes" {
			return exit.Failedf("nothing was changed; with --yes it is not asked")
		}
		return nil
	}
}

// someText checks that there is a line to say.
func someText(arguments []string) error {
	if strings.TrimSpace(strings.Join(arguments, " ")) == "" {
		return errors.New("expected TEXT, the line to say, after the NAME of a RoseyBot")
	}
	return nil
}

// oneUser checks that there is the name of a user of the channel.
func oneUser(arguments []string) error {
	if len(arguments) != 1 || arguments[0] == "" {
		return errors.New("expected the name of one user of the channel after the NAME of a RoseyBot")
	}
	return nil
}

// anyNumber accepts all arguments.
func anyNumber([]string) error { return nil }
