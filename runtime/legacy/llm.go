package legacy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// provider is a service of language models as Rosey v2 knows it.
type provider struct {
	endpoint, model string // what it uses where its file does not say
	suffix          string // what the API's URL has behind base_url
}

var providers = map[string]provider{
	"openai":     {endpoint: "https://api.openai.com/v1", model: "gpt-4o-mini"},
	"ollama":     {endpoint: "http://localhost:11434", model: "llama3", suffix: "/v1"},
	"openrouter": {endpoint: "https://openrouter.ai/api/v1", model: "anthropic/claude-3-haiku"},
}

const (
	defaultProvider = "ollama"
	// maxLLMTimeout is the longest that the plugin takes.
	maxLLMTimeout = 55 * time.Second
)

// What Rosey v2 uses where its file does not say. The defaults of the plugin are others.
const defaultMaxTokens, defaultContext, defaultTemperature = "500", "10", "0.7"

// llm makes the built-in plugin of it. A section that is off has no effect, and neither has one that only logs.
func (c *converter) llm(value any, path string) {
	section, ok := value.(map[string]any)
	if !ok {
		c.wrongType(path, value, "a section")
		return
	}
	on, isOn := section["enabled"].(bool)
	if _, given := section["enabled"]; given && !isOn {
		c.wrongType(path+".enabled", section["enabled"], "true or false")
		return
	}
	if !on {
		c.warn(path, "no effect: llm.enabled is not true, so the plugin llm does not run")
		return
	}
	if logOnly, _ := section["log_only"].(bool); logOnly {
		c.warn(path+".log_only", "the plugin llm does not run: it answers, or is not there")
		return
	}
	l := &llmConverter{converter: c, path: path, settings: map[string]any{
		"maxTokens": defaultMaxTokens, "contextLines": defaultContext, "temperature": defaultTemperature, "mentions": "false",
	}}
	l.convert(section)
}

// llmConverter converts a section llm that is on.
type llmConverter struct {
	*converter

	path, provider string
	settings       map[string]any
}

func (l *llmConverter) convert(section map[string]any) {
	l.provider = defaultProvider
	if given, exists := section["provider"]; exists {
		name, ok := given.(string)
		if _, known := providers[name]; !ok || !known {
			l.fail(l.path+".provider", "expected one of "+strings.Join(slices.Sorted(maps.Keys(providers)), ", "))
			return
		}
		l.provider = name
	}
	used := providers[l.provider]
	l.settings["endpoint"], l.settings["model"] = used.endpoint+used.suffix, used.model
	for _, name := range slices.Sorted(maps.Keys(section)) {
		if !strings.HasPrefix(name, "_") {
			l.key(name, section[name])
		}
	}
	if strings.HasPrefix(fmt.Sprint(l.settings["endpoint"]), "http://") {
		l.settings["allowPrivate"] = "true"
	}
	l.set("plugins", []any{map[string]any{"name": "llm", "builtin": "llm", "config": l.settings}}, l.path)
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(l.settings)) {
		shown = append(shown, fmt.Sprintf("%s %v", name, l.settings[name]))
	}
	l.warn(l.path, "becomes the built-in plugin llm, which `rosey run` runs, with "+strings.Join(shown, ", "))
}

// key converts one key of the section.
func (l *llmConverter) key(name string, value any) {
	path := l.path + "." + name
	switch name {
	case "enabled", "provider", "log_only":
	case "max_tokens":
		l.number(value, path, "maxTokens")
	case "temperature":
		l.number(value, path, "temperature")
	case "max_context_messages":
		l.number(value, path, "contextLines")
	case "system_prompt_file":
		l.warn(path, "no effect: put its text into the setting system of the plugin llm")
	case "triggers":
		l.triggers(value, path)
	default:
		if _, isProvider := providers[name]; isProvider {
			l.inside(value, path, func(key string, value any, path string) { l.ofProvider(name, key, value, path) })
			return
		}
		l.warnAll(value, path, "not a key of Rosey v2")
	}
}

// inside converts the keys of a section in the section.
func (l *llmConverter) inside(value any, path string, convert func(key string, value any, path string)) {
	section, ok := value.(map[string]any)
	if !ok {
		l.wrongType(path, value, "a section")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(section)) {
		if !strings.HasPrefix(key, "_") {
			convert(key, section[key], path+"."+key)
		}
	}
}

func (l *llmConverter) ofProvider(provider, key string, value any, path string) {
	switch {
	case provider != l.provider:
		l.warn(path, "no effect: llm.provider is "+l.provider)
	case key == "api_key":
		l.warn(path, "no effect: the key of the plugin llm is the environment variable PLUGIN_LLM_KEY")
	case key == "base_url":
		if text, ok := l.text(value, path); ok {
			suffix := providers[provider].suffix
			l.settings["endpoint"] = strings.TrimSuffix(strings.TrimRight(text, "/"), suffix) + suffix
		}
	case key == "model":
		if text, ok := l.text(value, path); ok {
			l.settings["model"] = text
		}
	case key == "timeout":
		if l.number(value, path, "timeout") {
			seconds, _ := strconv.ParseFloat(fmt.Sprint(l.settings["timeout"]), 64) // it is a number
			length := time.Duration(min(seconds, maxLLMTimeout.Seconds()) * float64(time.Second))
			l.settings["timeout"] = length.String()
		}
	default:
		l.warn(path, "no effect: the plugin llm has no such setting")
	}
}

// triggers converts what makes the bot answer. Rosey v2 answers who names it unless direct_mention is false, if
// triggers are on at all.
func (l *llmConverter) triggers(value any, path string) {
	section, ok := value.(map[string]any)
	if !ok {
		l.wrongType(path, value, "a section")
		return
	}
	mentions := true
	for key, isOn := range map[string]bool{"enabled": false, "direct_mention": true} {
		if given, exists := section[key]; exists {
			if isOn, ok = given.(bool); !ok {
				l.wrongType(path+"."+key, given, "true or false")
			}
		}
		mentions = mentions && isOn
	}
	l.settings["mentions"] = strconv.FormatBool(mentions)
	l.inside(section, path, l.trigger)
}

func (l *llmConverter) trigger(key string, value any, path string) {
	switch key {
	case "enabled", "direct_mention":
	case "commands":
		list, ok := value.([]any)
		if !ok || slices.ContainsFunc(list, func(one any) bool { return one != "!ai" && one != "!ask" }) {
			l.warn(path, "no effect: the commands of the plugin llm are !ai and !ask; commands.overrides renames them")
		}
	default:
		l.warnAll(value, path, "the plugin llm answers who speaks to it, and nobody else")
	}
}

// warnAll warns of each value in a value.
func (l *llmConverter) warnAll(value any, path, why string) {
	switch value := value.(type) {
	case map[string]any:
		l.inside(value, path, func(_ string, value any, path string) { l.warnAll(value, path, why) })
	case []any:
		if !slices.ContainsFunc(value, isSection) {
			l.warn(path, "no effect: "+why)
			return
		}
		for i, one := range value {
			l.warnAll(one, fmt.Sprintf("%s[%d]", path, i), why)
		}
	default:
		l.warn(path, "no effect: "+why)
	}
}

// number makes a setting of a number, and reports whether it is one.
func (l *llmConverter) number(value any, path, setting string) (ok bool) {
	if number, isNumber := value.(json.Number); isNumber {
		l.settings[setting] = number.String()
		return true
	}
	l.wrongType(path, value, "a number")
	return false
}
