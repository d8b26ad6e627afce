// Command kubectl-rosey is a plugin of kubectl: `kubectl rosey` shows how RoseyBots are, and does what is to be done
// with one, with the user's own rights.
//
// commands.go is the table of all commands. Each reads the API server, forwards a port of a pod, or runs the program
// rosey in a pod, as kubectl does it; the operator is asked for nothing.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/klog/v2"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version string

func main() {
	klog.SetLogger(logr.Discard()) // client-go would write into what a command shows
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal kills the process
	std := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, colors: isColorTerminal(os.Stdout)}
	code := run(ctx, os.Args[1:], std)
	stop()
	os.Exit(code)
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	// colors reports whether out is a terminal that shows colors.
	colors bool
}

// app is what all commands have.
type app struct {
	streams
	// raw is the standard output for what is no text: out makes everything printable.
	raw io.Writer
	// flags are those of kubectl: --context, --namespace, --kubeconfig and so on.
	flags *genericclioptions.ConfigFlags
}

func run(ctx context.Context, arguments []string, std streams) int {
	app := newApp(std)
	root := newRootCommand(app)
	root.SetArgs(arguments)
	root.SetIn(app.in)
	root.SetOut(app.out)
	root.SetErr(app.err)
	return app.report(root.ExecuteContext(ctx))
}

func newApp(std streams) *app {
	app := &app{streams: std, raw: std.out, flags: genericclioptions.NewConfigFlags(true)}
	// What the cluster, and whoever runs in its pods, has written is made printable, whatever a command forgets.
	app.out, app.err = status.PrintableWriter(std.out), status.PrintableWriter(std.err)
	return app
}

// report writes an error of a command, and returns the exit code. A command that runs rosey in a pod has that of rosey.
func (a *app) report(err error) int {
	if remote, ok := errors.AsType[*remoteExit](err); ok {
		return remote.code // it has said why
	}
	return exit.Report(a.err, "kubectl rosey", err)
}

func newRootCommand(app *app) *cobra.Command {
	root := &cobra.Command{
		Use:               "kubectl-rosey",
		Short:             "Inspect and operate RoseyBots",
		Long:              "Inspect and operate RoseyBots, with your own rights in the cluster.",
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl rosey"},
		Version:           buildVersion(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // kubectl_complete-rosey does it
	}
	app.addGlobalFlags(root)
	for _, group := range groups {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
	}
	for _, verb := range verbs() {
		command := verb.make(app)
		command.GroupID = verb.group
		root.AddCommand(command)
	}
	shortenHelp(root)
	return root
}

// shortenHelp leaves most of kubectl's flags out of the help of subcommands: they would hide the command's own.
func shortenHelp(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(command *cobra.Command, arguments []string) {
		if command == root {
			help(command, arguments)
			return
		}
		root.PersistentFlags().VisitAll(func(flag *pflag.Flag) {
			flag.Hidden = !slices.Contains([]string{"namespace", "context", "kubeconfig"}, flag.Name)
		})
		help(command, arguments)
		command.Println("\nThe other flags of kubectl, such as --as, can be given too: kubectl rosey --help lists them.")
	})
}

// addGlobalFlags adds kubectl's flags that say which cluster, as whom, and which namespace.
func (a *app) addGlobalFlags(root *cobra.Command) {
	a.flags.CacheDir = nil // nothing is discovered, so nothing is kept
	a.flags.AddFlags(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("namespace", a.completeNamespaces) // it fails for a flag that is not there
	_ = root.RegisterFlagCompletionFunc("context", a.completeContexts)
}
