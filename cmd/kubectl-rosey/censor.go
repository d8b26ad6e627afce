package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// leftOut is written in the place of what may be secret.
const leftOut = "(left out)"

// censor leaves out what may be secret: of objects, the values of environment variables, the settings of plugins, the
// ends of logs that are not Rosey's, and copies of the spec. What people have written into a spec, it leaves out of
// every text too.
type censor struct {
	// foreignLogs says that the logs of containers that are not Rosey's may be shown.
	foreignLogs bool
	// values are those of a spec that were left out.
	values *secretValues
}

var (
	// credentials are those in an address: what is before the last @ of its host. A password may have another @.
	credentials = regexp.MustCompile(`(://)[^/\s"']+@`)
	// lastLine is the last line of a log that is not Rosey's, where the operator describes a crash.
	lastLine = regexp.MustCompile(
		`((?:plugin|container) [^ ]+ (?:in the pod of the [^:]*)?exited with code \d+(?: \(OOMKilled[^)]*\))?: ).*`)
)

func newCensor(foreignLogs bool) *censor {
	return &censor{foreignLogs: foreignLogs, values: newSecretValues()}
}

// remember returns what is written in the place of a value, which is looked for in other texts from then on.
func (c *censor) remember(value any) string {
	c.values.add(fmt.Sprint(value))
	return leftOut
}

// object changes an object of Kubernetes, or a list of them, as decoded from JSON.
func (c *censor) object(object any) {
	switch content := object.(type) {
	case []any:
		for _, element := range content {
			c.object(element)
		}
	case map[string]any:
		c.fields(content)
	}
}

func (c *censor) fields(fields map[string]any) {
	for key, value := range fields {
		switch key {
		case "managedFields":
			delete(fields, key)
		case "annotations":
			c.annotations(value)
		case "extraEnv":
			c.eachField(value, "value", c.remember)
		case "env": // what is not of extraEnv is the operator's
			c.eachField(value, "value", forget)
		case "pinned":
			c.eachField(value, "content", forget)
		case "containers", "initContainers", "ephemeralContainers":
			c.containers(value)
		case "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses":
			c.statuses(value)
		case "plugins":
			c.plugins(value)
		case "data", "binaryData":
			c.data(value)
		}
	}
	for _, value := range fields {
		c.object(value)
	}
}

// annotations leaves out the copies of the object that tools make: `kubectl apply`, kapp and others.
func (c *censor) annotations(value any) {
	annotations, _ := value.(map[string]any)
	for name, content := range annotations {
		if text, _ := content.(string); strings.HasPrefix(strings.TrimSpace(text), "{") {
			annotations[name] = leftOut
		}
	}
}

// forget is remember for a value that is looked for nowhere else.
func forget(any) string { return leftOut }

// eachField leaves out a field of each object of a list.
func (c *censor) eachField(list any, field string, leaveOut func(value any) string) {
	elements, _ := list.([]any)
	for _, element := range elements {
		fields, _ := element.(map[string]any)
		if value, isThere := fields[field]; isThere {
			fields[field] = leaveOut(value)
		}
	}
}

// plugins leaves out the settings of the plugins of a spec, but not their names.
func (c *censor) plugins(list any) {
	plugins, _ := list.([]any)
	for _, plugin := range plugins {
		fields, _ := plugin.(map[string]any)
		settings, _ := fields["config"].(map[string]any)
		for name, value := range settings {
			settings[name] = c.remember(value)
		}
	}
}

// ownContainers are those whose command lines are known.
var ownContainers = []string{
	string(status.BotComponent), string(status.DatabaseComponent), string(status.WebComponent),
	string(status.PluginsComponent),
}

// isForeign reports whether a container is not Rosey's: that of a plugin with an image, or one that others have added.
func isForeign(container string) bool { return !slices.Contains(ownContainers, container) }

// containers leaves out what containers that are not Rosey's run, and what they are asked and told.
func (c *censor) containers(list any) {
	containers, _ := list.([]any)
	for _, container := range containers {
		fields, _ := container.(map[string]any)
		if name, _ := fields["name"].(string); !isForeign(name) {
			continue
		}
		for _, key := range []string{"command", "args", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe"} {
			if _, isThere := fields[key]; isThere {
				fields[key] = leftOut
			}
		}
	}
}

// statuses leaves out why containers that are not Rosey's have ended: it is the end of their logs.
func (c *censor) statuses(list any) {
	containers, _ := list.([]any)
	for _, container := range containers {
		fields, _ := container.(map[string]any)
		if name, _ := fields["name"].(string); !isForeign(name) || c.foreignLogs {
			continue
		}
		for _, key := range []string{"state", "lastState"} {
			state, _ := fields[key].(map[string]any)
			ended, _ := state["terminated"].(map[string]any)
			if _, isThere := ended["message"]; isThere {
				ended["message"] = leftOut
			}
		}
	}
}

// shownFiles are the files of ConfigMaps without anything that could be secret. What plugins.yaml has is in the spec.
var shownFiles = []string{
	config.BotFile, config.DatabaseFile, config.WebFile, config.PluginHostFile, config.StandbyFile, config.ChannelsFile,
	config.ProvenanceFile, config.CommandsFile,
}

// data leaves out all files of a ConfigMap but those that are known.
func (c *censor) data(value any) {
	files, _ := value.(map[string]any)
	for name := range files {
		if !slices.Contains(shownFiles, name) {
			files[name] = leftOut
		}
	}
}

// texts applies text to every text of an object, which is changed. In YAML, a line may be broken within a value.
func (c *censor) texts(object any) any {
	switch content := object.(type) {
	case string:
		return c.text(content)
	case []any:
		for i, element := range content {
			content[i] = c.texts(element)
		}
	case map[string]any:
		for name, value := range content {
			content[name] = c.texts(value)
		}
	}
	return object
}

// text leaves out of a text what was left out before, then the passwords in addresses: without them, a value that has
// such an address would not be found.
func (c *censor) text(text string) string {
	text = credentials.ReplaceAllString(c.values.leaveOut(text), "${1}"+leftOut+"@")
	if c.foreignLogs || !strings.Contains(text, "exited with code") {
		return text
	}
	return lastLine.ReplaceAllString(text, "${1}"+leftOut)
}
