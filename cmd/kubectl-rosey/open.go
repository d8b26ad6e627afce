package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// openOptions are the flags of open.
type openOptions struct {
	component string
	port      int
	noBrowser bool
	lifetime  time.Duration
}

func newOpenCommand(app *app) *cobra.Command {
	var options openOptions
	command := &cobra.Command{
		Use:   "open NAME",
		Short: "Open the web page in a browser, through a forwarded port",
		Long: "Open the web page of a RoseyBot in a browser, through a port of 127.0.0.1 that is forwarded until Ctrl-C,\n" +
			"or for as long as --for says. With --component, open the page about a process instead, for who runs it.",
		Example: "  kubectl rosey open movienight\n  kubectl rosey open movienight --component bot --no-browser",
		Args:    exactName, ValidArgsFunction: app.completeNames,
		RunE: func(command *cobra.Command, arguments []string) error {
			if options.port < 0 || options.port > 65535 || options.lifetime <= 0 {
				return errors.New("--port, --for: expected a port from 0 to 65535 and a time above 0")
			}
			cluster, bot, err := app.connectTo(command.Context(), arguments[0])
			if err != nil {
				return err
			}
			return app.open(command.Context(), cluster, bot, options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.component, "component", "", "Open the page about the process of this component, such as bot")
	flags.IntVar(&options.port, "port", 0, "Port of this machine (default any)")
	flags.BoolVar(&options.noBrowser, "no-browser", false, "Only print the address")
	flags.DurationVar(&options.lifetime, "for", 8*time.Hour, "How long the port is forwarded")
	return command
}

func (a *app) open(ctx context.Context, cluster *cluster, bot *v1alpha1.RoseyBot, options openOptions) error {
	pod, port, path, err := cluster.findPage(ctx, bot, options.component)
	if err != nil {
		return err
	}
	bounded, stop := context.WithTimeout(ctx, options.lifetime)
	defer stop()
	forwarded, err := cluster.forwardPort(bounded, pod, options.port, port)
	if err != nil {
		return err
	}
	defer forwarded.close()
	address := "http://" + forwarded.address + path
	_, _ = fmt.Fprintf(a.out, "%s is at %s for %s; press Ctrl-C to stop\n", pod.Name, address, options.lifetime)
	if !options.noBrowser {
		if err := openBrowser(ctx, address); err != nil {
			_, _ = fmt.Fprintf(a.err, "no browser was opened (%v): open the address yourself\n", err)
		}
	}
	select {
	case <-bounded.Done():
		return nil
	case err := <-forwarded.ended:
		if bounded.Err() != nil || err == nil {
			return nil
		}
		return exit.Failedf("the connection to pod %s has ended: %w", pod.Name, err)
	}
}

// findPage returns the pod that serves a page, with its port and path: the web page, or the page about the process of
// a component.
func (c *cluster) findPage(
	ctx context.Context, bot *v1alpha1.RoseyBot, component string,
) (pod *corev1.Pod, port int, path string, err error) {
	wanted, port, path := status.WebComponent, status.PagesPort, "/"
	if bot.Spec.Web != nil && bot.Spec.Web.BasePath != "" {
		path = "/" + strings.Trim(bot.Spec.Web.BasePath, "/") + "/"
	}
	if component != "" {
		wanted, port, path = status.Component(component), status.HTTPPort, status.ProcessPath
	} else if bot.Spec.Web == nil || bot.Spec.Web.Enabled == nil || !*bot.Spec.Web.Enabled {
		return nil, 0, "", exit.Failedf("RoseyBot %s has no web page (spec.web.enabled); --component bot opens the page "+
			"about the process of the bot", bot.Name)
	}
	pods, err := c.pods(ctx, bot.Name)
	if err != nil {
		return nil, 0, "", err
	}
	if pod = findPod(pods, wanted); pod == nil {
		return nil, 0, "", noPod(bot, "component "+string(wanted))
	}
	return pod, port, path, nil
}

// openBrowser opens an address in the browser of the desktop.
func openBrowser(ctx context.Context, address string) error {
	command := "xdg-open"
	if runtime.GOOS == "darwin" {
		command = "open"
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	//nolint:gosec // the program is one of those above, and the address begins with http
	if err := exec.CommandContext(ctx, command, address).Run(); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}
