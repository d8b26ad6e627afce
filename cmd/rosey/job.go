package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/config"
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
			return failed(printf(command.OutOrStdout(), "%s", job))
		},
	}
	set := command.Flags()
	set.StringVarP(&flags.file, "file", "f", "", "File with the Deployment in YAML, or - for the standard input")
	set.StringVar(&flags.name, "name", "", "Name of the Job (default that of the Deployment with the command's)")
	set.BoolVar(&flags.stdin, "stdin", false, "Connect the command's standard input to `kubectl attach -i`")
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
		return "", failed(fmt.Errorf("reading the Deployment: %w", err))
	}
	var deployment kubernetesObject
	if err := yaml.Unmarshal(data, &deployment); err != nil {
		return "", fmt.Errorf("--file: expected a Deployment in YAML: %w", err)
	}
	if deployment.Kind != "Deployment" || deployment.Metadata.Name == "" {
		return "", fmt.Errorf("--file: expected one Deployment, such as from kubectl get deployment NAME-db -o yaml, got %q",
			deployment.Kind)
	}
	job, err := f.build(deployment, command)
	if err != nil {
		return "", err
	}
	text, err := yaml.Marshal(job)
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

// kubernetesObject is what `rosey job` reads of a Deployment and prints of a Job. Fields that it does not know are
// copied.
type kubernetesObject struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   objectMeta `json:"metadata"`
	Spec       jobSpec    `json:"spec"`
}

type objectMeta struct {
	Name            string            `json:"name,omitempty"`
	Namespace       string            `json:"namespace,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	OwnerReferences []ownerReference  `json:"ownerReferences,omitempty"`
}

type ownerReference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

type jobSpec struct {
	BackoffLimit            *int        `json:"backoffLimit,omitempty"`
	TTLSecondsAfterFinished *int        `json:"ttlSecondsAfterFinished,omitempty"`
	Template                podTemplate `json:"template"`
}

type podTemplate struct {
	Metadata objectMeta     `json:"metadata"`
	Spec     map[string]any `json:"spec"`
}

const (
	// keptSeconds is how long a Job that has ended is kept, with its log.
	keptSeconds = 24 * 3600
	// annotationPrinted is when a Job was printed. A template cannot change, so `kubectl apply` of a second Job with the
	// same name and command fails. Without it, it would report "unchanged", and nothing would run.
	annotationPrinted = "rosey.dev/printed"
	// maxJobName is what the name of a Job may have, because it is also a label.
	maxJobName = 63
)

// build returns the Job. Its pods have other labels than those of the Deployment, so that no Service selects them. The
// operator's NetworkPolicy of the Deployment selects these labels too.
func (f *jobFlags) build(deployment kubernetesObject, command []string) (job kubernetesObject, err error) {
	name := f.name
	if name == "" {
		name = deployment.Metadata.Name + "-" + commandName(command)
	}
	if len(name) > maxJobName {
		return job, fmt.Errorf("--name: %q has %d characters, expected at most %d", name, len(name), maxJobName)
	}
	labels := map[string]string{
		"app.kubernetes.io/name":      "rosey",
		"app.kubernetes.io/instance":  deployment.Metadata.Labels["app.kubernetes.io/instance"],
		"app.kubernetes.io/component": "job",
	}
	annotations := map[string]string{annotationPrinted: time.Now().UTC().Format(time.RFC3339Nano)}
	pod := deployment.Spec.Template.Spec
	if err := f.change(pod, command); err != nil {
		return job, fmt.Errorf("the Deployment %s: %w", deployment.Metadata.Name, err)
	}
	return kubernetesObject{
		APIVersion: "batch/v1", Kind: "Job",
		Metadata: objectMeta{
			Name: name, Namespace: deployment.Metadata.Namespace, Labels: labels,
			OwnerReferences: deployment.Metadata.OwnerReferences,
		},
		Spec: jobSpec{
			// A command that has failed is looked at before it is run again.
			BackoffLimit: new(0), TTLSecondsAfterFinished: new(keptSeconds),
			Template: podTemplate{Metadata: objectMeta{Labels: labels, Annotations: annotations}, Spec: pod},
		},
	}, nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// commandName returns the last word of a command's name: restore for db restore FILE.
func commandName(command []string) string {
	name := command[0]
	if slices.Contains([]string{"db", "nats", "config"}, name) && len(command) > 1 {
		name = command[1]
	}
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// change makes the pod of a Deployment one of a Job.
func (f *jobFlags) change(pod map[string]any, command []string) error {
	containers, _ := pod["containers"].([]any)
	if len(containers) == 0 {
		return errors.New("expected spec.template.spec.containers")
	}
	container, _ := containers[0].(map[string]any)
	if container == nil {
		return errors.New("expected an object in spec.template.spec.containers")
	}
	for _, key := range []string{"livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports", "command"} {
		delete(container, key) // only a service has these
	}
	container["args"] = command
	if f.stdin {
		container["stdin"], container["stdinOnce"] = true, true
	}
	pod["containers"], pod["restartPolicy"] = []any{container}, "Never"
	delete(pod, "topologySpreadConstraints") // they select the pods of the Deployment
	for i, secret := range f.secrets {
		name, directory, found := strings.Cut(secret, "=")
		if !found || name == "" || !path.IsAbs(directory) {
			return fmt.Errorf("--secret: %q, expected NAME=DIRECTORY with an absolute path", secret)
		}
		volume := fmt.Sprintf("job-%d", i)
		appendTo(pod, "volumes", map[string]any{"name": volume, "secret": map[string]any{"secretName": name}})
		appendTo(container, "volumeMounts", map[string]any{"name": volume, "mountPath": directory, "readOnly": true})
	}
	return nil
}

func appendTo(object map[string]any, key string, element any) {
	list, _ := object[key].([]any)
	object[key] = append(list, element)
}
