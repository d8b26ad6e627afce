// Package job makes Kubernetes Jobs of Deployments: a Job whose pod has the image, the configuration, the Secrets and
// the claims of a Deployment, and runs another command. So a command can use a database while no bot and no service
// does.
//
// It knows only the fields of Kubernetes that it changes, and copies all others.
package job

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Options are what a Job has beside the command.
type Options struct {
	// Name of the Job. Empty: that of the Deployment with the command's.
	Name string
	// Stdin connects the standard input of the command to whoever attaches to the pod.
	Stdin bool
	// Secrets are mounted as well, each as NAME=DIRECTORY.
	Secrets []string
}

// Object is what is read of a Deployment and written of a Job. Fields that are not known are copied.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   Meta   `json:"metadata"`
	Spec       Spec   `json:"spec"`
}

// Meta is what is known of the metadata of an object.
type Meta struct {
	Name            string            `json:"name,omitempty"`
	Namespace       string            `json:"namespace,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	OwnerReferences []Owner           `json:"ownerReferences,omitempty"`
}

// Owner is an owner of an object.
type Owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// Spec is what is known of the spec of a Deployment or a Job.
type Spec struct {
	BackoffLimit            *int     `json:"backoffLimit,omitempty"`
	TTLSecondsAfterFinished *int     `json:"ttlSecondsAfterFinished,omitempty"`
	Template                Template `json:"template"`
}

// Template is what is known of the template of pods.
type Template struct {
	Metadata Meta           `json:"metadata"`
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

// ErrName is in an error about the name of a Job, whether Options has it or not.
var ErrName = errors.New("the Job's name")

// Of returns a Job that runs a command of rosey in a pod like those of a Deployment, whose template it takes over and
// changes. Its pods have other labels than those of the Deployment, so that no Service selects them. The operator's
// NetworkPolicy of the Deployment selects these labels too.
func Of(deployment Object, command []string, options Options) (job Object, err error) {
	name := options.Name
	if name == "" {
		name = deployment.Metadata.Name + "-" + commandName(command)
	}
	if len(name) > maxJobName {
		return job, fmt.Errorf("%w %q has %d characters, expected at most %d", ErrName, name, len(name), maxJobName)
	}
	labels := map[string]string{
		"app.kubernetes.io/name":      "rosey",
		"app.kubernetes.io/instance":  deployment.Metadata.Labels["app.kubernetes.io/instance"],
		"app.kubernetes.io/component": "job",
	}
	annotations := map[string]string{annotationPrinted: time.Now().UTC().Format(time.RFC3339Nano)}
	pod := deployment.Spec.Template.Spec
	if err := options.change(pod, command); err != nil {
		return job, fmt.Errorf("the Deployment %s: %w", deployment.Metadata.Name, err)
	}
	return Object{
		APIVersion: "batch/v1", Kind: "Job",
		Metadata: Meta{
			Name: name, Namespace: deployment.Metadata.Namespace, Labels: labels,
			OwnerReferences: deployment.Metadata.OwnerReferences,
		},
		Spec: Spec{
			// A command that has failed is looked at before it is run again.
			BackoffLimit: new(0), TTLSecondsAfterFinished: new(keptSeconds),
			Template: Template{Metadata: Meta{Labels: labels, Annotations: annotations}, Spec: pod},
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
func (o Options) change(pod map[string]any, command []string) error {
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
	if o.Stdin {
		container["stdin"], container["stdinOnce"] = true, true
	}
	pod["containers"], pod["restartPolicy"] = []any{container}, "Never"
	delete(pod, "topologySpreadConstraints") // they select the pods of the Deployment
	for i, secret := range o.Secrets {
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
