package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// leftOut is written in the place of what may be secret.
const leftOut = "(left out)"

// censor leaves out what may be secret: of objects, the values of environment variables, the settings of plugins, and
// copies of the spec. What people have written into a spec, it leaves out of every text too.
type censor struct {
	// values are those of a spec that were left out, if they are long enough to be found elsewhere without harm.
	values map[string]bool
}

// minSecret is the length, in bytes, of a value that is looked for in other texts. A shorter one, such as "true", would
// be found in words.
const minSecret = 8

// credentials are those in an address: the user and the password before the @.
var credentials = regexp.MustCompile(`(://)[^/\s"'@]*:[^/\s"'@]*@`)

func newCensor() *censor { return &censor{values: map[string]bool{}} }

// remember returns what is written in the place of a value.
func (c *censor) remember(value any) string {
	text := fmt.Sprint(value)
	if len(text) >= minSecret {
		c.values[text] = true
	}
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
		case "containers", "initContainers":
			c.containers(value)
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

// annotations leaves out the copy of the object that `kubectl apply` makes.
func (c *censor) annotations(value any) {
	if annotations, ok := value.(map[string]any); ok {
		delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
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

// containers leaves out the command lines of containers that others have added.
func (c *censor) containers(list any) {
	containers, _ := list.([]any)
	for _, container := range containers {
		fields, _ := container.(map[string]any)
		if name, _ := fields["name"].(string); !slices.Contains(ownContainers, name) {
			for _, key := range []string{"command", "args"} {
				if _, isThere := fields[key]; isThere {
					fields[key] = leftOut
				}
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

// text leaves out of a text the passwords in addresses, and what was left out before.
func (c *censor) text(text string) string { return c.replacer().Replace(withoutCredentials(text)) }

func withoutCredentials(text string) string {
	return credentials.ReplaceAllString(text, "${1}"+leftOut+"@")
}

// replacer replaces what was left out. Of two values of which one is in the other, the longer one is replaced.
func (c *censor) replacer() *strings.Replacer {
	values := make([]string, 0, len(c.values))
	for value := range c.values {
		values = append(values, value)
	}
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, value := range values {
		pairs = append(pairs, value, leftOut)
	}
	return strings.NewReplacer(pairs...)
}

// files leaves out of files what text does.
func (c *censor) files(files []supportFile) []supportFile {
	replacer := c.replacer()
	censored := make([]supportFile, 0, len(files))
	for _, file := range files {
		content := replacer.Replace(withoutCredentials(string(file.content)))
		censored = append(censored, supportFile{file.name, []byte(content)})
	}
	return censored
}
