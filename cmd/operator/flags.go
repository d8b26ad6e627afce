package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client/config"
)

// The environment's places for --runtime-image and --namespace.
const (
	imageVariable     = "ROSEY_IMAGE"
	namespaceVariable = "POD_NAMESPACE"
)

type options struct {
	metricsAddress    string
	healthAddress     string
	leaderElect       bool
	namespace         string
	runtimeImage      string
	watchedNamespaces []string
	logLevel          string
	printVersion      bool
}

// parseFlags says what is wrong with the arguments in one error.
func parseFlags(args []string, output io.Writer) (options, error) {
	var parsed options
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // a wrong flag is one line, not the whole list of flags
	config.RegisterFlags(flags)
	flags.StringVar(&parsed.metricsAddress, "metrics-bind-address", ":8080",
		"where to serve Prometheus metrics over HTTP; 0 switches them off")
	flags.StringVar(&parsed.healthAddress, "health-probe-bind-address", ":8081",
		"where to serve /healthz and /readyz over HTTP")
	flags.BoolVar(&parsed.leaderElect, "leader-elect", false,
		"work only while holding a Lease, so that several operators can stand by")
	flags.StringVar(&parsed.namespace, "namespace", os.Getenv(namespaceVariable),
		"namespace the operator runs in: for its Lease, and let in by network policies; default: $"+namespaceVariable)
	flags.StringVar(&parsed.runtimeImage, "runtime-image", os.Getenv(imageVariable),
		"image of bots and database services whose RoseyBot names none; default: $"+imageVariable)
	flags.Func("watch-namespaces", "namespaces to look after, separated by commas; default: all", func(list string) error {
		parsed.watchedNamespaces = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	})
	flags.StringVar(&parsed.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.BoolVar(&parsed.printVersion, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(output)
			flags.PrintDefaults()
		}
		return options{}, fmt.Errorf("reading the flags: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	case parsed.runtimeImage == "" && !parsed.printVersion:
		return options{}, errors.New("--runtime-image or $" + imageVariable + " is required: the image of the bots")
	}
	return parsed, nil
}
