package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/job"
)

// jobFlags are the flags of `rosey job`.
type jobFlags struct {
	file, name string
	stdin      bool
	secrets    []string
}

func newJobCommand() *cobra.Command {
	var flags jobFlags
	command := &cobra.Command{
		Use:   "job --file DEPLOYMENT -- COMMAND...",
		Short: "Print a Kubernetes Job that runs a rosey command in a pod like those of a Deployment",
		Long: "Print a Kubernetes Job that runs a rosey command in a pod like those of a Deployment: with its image,\n" +
			"configuration, Secrets and claim. So a command can use a database while no bot or service does. The\n" +
			"RoseyBot owns the Job: it is removed with it, or a day after it has ended. Delete a Job of the same name\n" +
			"before you create one again.",
		Example: `  kubectl patch roseybot movienight --type merge -p '{"spec":{"suspend":true}}'
  kubectl get deployment movienight-db -o yaml |
    rosey job -f - --stdin -- db restore - --config /etc/rosey/database.yaml | kubectl create -f -
  kubectl wait job/movienight-db-restore --for=jsonpath='{.status.ready}'=1 --timeout=2m
  kubectl attach -i job/movienight-db-restore <backup.db`,
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) == 0 {
				return errors.New("expected the COMMAND that the Job runs, after --: for example import - --config " +
					"/etc/rosey/database.yaml")
			}
			return nil
		},
		RunE: func(command *cobra.Command, arguments []string) error {
			job, err := flags.job(command.InOrStdin(), arguments)
			if err != nil {
				return err
			}
			return exit.Failed(printf(command.OutOrStdout(), "%s", job))
		},
	}
	set := command.Flags()
	set.StringVarP(&flags.file, "file", "f", "", "File with the Deployment in YAML, or - for the standard input")
	set.StringVar(&flags.name, "name", "", "Name of the Job (default that of the Deployment with the command's)")
	set.BoolVar(&flags.stdin, "stdin", false, "Connect the command's standard input to kubectl attach -i")
	set.StringArrayVar(&flags.secrets, "secret", nil, "Mount a Secret as `NAME=DIRECTORY`; can be repeated")
	return command
}

// maxDeployment bounds what is read: an object of the API server has at most 1.5 MiB.
const maxDeployment = 2 << 20

func (f *jobFlags) job(stdin io.Reader, command []string) (string, error) {
	if f.file == "" {
		return "", errors.New("--file: expected a file with a Deployment, or - for the standard input")
	}
	data, err := readBounded(f.file, stdin, maxDeployment)
	if err != nil {
		return "", exit.Failed(fmt.Errorf("reading the Deployment: %w", err))
	}
	var deployment job.Object
	if err := yaml.Unmarshal(data, &deployment); err != nil {
		return "", fmt.Errorf("--file: expected a Deployment in YAML: %w", err)
	}
	if deployment.Kind != "Deployment" || deployment.Metadata.Name == "" {
		return "", fmt.Errorf("--file: expected one Deployment, such as from kubectl get deployment NAME-db -o yaml, got %q",
			deployment.Kind)
	}
	options := job.Options{Name: f.name, Stdin: f.stdin, Secrets: f.secrets}
	built, err := job.Of(deployment, command, options)
	if errors.Is(err, job.ErrName) {
		return "", fmt.Errorf("--name: %w", err)
	}
	if err != nil {
		return "", err
	}
	text, err := yaml.Marshal(built)
	if err != nil {
		return "", fmt.Errorf("encoding the Job: %w", err)
	}
	return string(text), nil
}

// readBounded reads a file, or the standard input for "-".
func readBounded(file string, stdin io.Reader, limit int64) ([]byte, error) {
	in := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err //nolint:wrapcheck // it names the file, and the caller what it is for
		}
		defer func() { _ = opened.Close() }() // it was only read
		in = opened
	}
	return config.ReadBounded(in, file, limit)
}
