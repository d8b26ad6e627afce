// Package webapi is the plugin "http": commands that call a web API and say what it answers, by configuration alone. A
// command is a setting:
//
//	command.weather: |
//	  url: https://weather.example/v1/now?city={args}&key={env:PLUGIN_HTTP_WEATHER}
//	  answer: "{/name}: {/current/temperature} °C, {/current/text}"
//	  usage: city
//	  help: Says how the weather is.
//
// docs/plugins.md describes the fields.
package webapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// Names of settings.
const (
	commands     = "command.*"
	timeout      = "timeout"
	maxBytes     = "maxBytes"
	allowPrivate = "allowPrivate"
)

const (
	// checkInterval is how often the plugin looks whether the settings have changed.
	checkInterval = 10 * time.Second
	// maxTimeout is the longest time for an answer.
	maxTimeout = 30 * time.Second
	// replyTime is what is left of a call's time for the reply.
	replyTime = time.Second
)

// New returns the plugin.
func New() *plugin.Plugin { return newPlugin(os.Getenv) }

// newPlugin returns the plugin with an environment.
func newPlugin(getenv func(string) string) *plugin.Plugin {
	p := plugin.New("http", Version)
	p.Setting(plugin.Setting{
		Name: commands, Hidden: true, Help: "A command, in YAML: what follows the dot is its name.",
		Check: func(value string) error {
			_, err := parse(value)
			return err
		},
		CheckRest: func(name string) error {
			if !validName.MatchString(name) {
				return errors.New("expected as name of the command 1 to 30 of a-z, 0-9, '-' and '_'")
			}
			return nil
		},
	})
	p.Setting(plugin.Setting{
		Name: timeout, Default: "5s", Check: plugin.Length(100*time.Millisecond, maxTimeout),
		Help: "How long an API may take.",
	})
	p.Setting(plugin.Setting{
		Name: maxBytes, Default: "65536", Check: plugin.Whole(1, 1<<20), Help: "The largest answer of an API, in bytes.",
	})
	p.Setting(plugin.Setting{
		Name: allowPrivate, Default: "false", Check: plugin.Switch,
		Help: "Whether APIs may be in private networks, on this machine, without encryption, and behind a proxy.",
	})
	d := &declared{getenv: getenv, texts: map[string]string{}}
	p.OnStart(d.load)
	p.Every(checkInterval, d.load)
	return p
}

var validName = regexp.MustCompile(`^[a-z0-9_-]{1,30}$`)

// declared are the commands that are declared now. OnStart and Every call load one after the other.
type declared struct {
	getenv func(string) string
	texts  map[string]string // what a command was made of, by its name
}

// load declares the commands of the settings as they are now, and withdraws those that are gone.
func (d *declared) load(ctx context.Context, c *plugin.Channel) error {
	wanted := c.Settings().Each(commands)
	for name, text := range maps.Clone(d.texts) {
		if wanted[name] != text {
			c.Withdraw(name)
			delete(d.texts, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if _, exists := d.texts[name]; exists {
			continue
		}
		one, err := parse(wanted[name])
		if err == nil {
			err = c.Declare(one.command(name), one.handler(d.getenv))
		}
		if err != nil {
			c.Log().WarnContext(ctx, "a command cannot be used", "command", name, "error", err)
			continue
		}
		d.texts[name] = wanted[name]
	}
	return nil
}

// handler returns what answers a call.
func (d definition) handler(getenv func(string) string) plugin.Handler {
	return func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		given, err := d.arguments(c)
		if err != nil {
			return plugin.Reply{}, err
		}
		settings := c.Settings()
		ctx, cancel := context.WithTimeout(ctx, settings.Duration(timeout))
		defer cancel()
		request, err := d.request(ctx, given, getenv)
		if err != nil {
			return plugin.Reply{}, err
		}
		if d.usesKey() && request.URL.Scheme != "https" && !settings.Bool(allowPrivate) {
			return plugin.Reply{}, errors.New("a key goes to an API with https alone, or with the setting allowPrivate")
		}
		client := plugin.NewHTTPClient(plugin.HTTPOptions{
			AllowPrivate: settings.Bool(allowPrivate), MaxBytes: int64(settings.Int(maxBytes)),
		})
		body, err := fetch(client, request)
		if errors.Is(err, errNotFound) {
			return plugin.Text("%s", d.Nothing), nil
		}
		if err != nil {
			return plugin.Reply{}, fmt.Errorf("calling the API: %w", err)
		}
		lines, missing, err := d.lines(body, given)
		if err != nil {
			return plugin.Reply{}, fmt.Errorf("reading the answer of the API: %w", err)
		}
		if missing != "" {
			c.Log().InfoContext(ctx, "the answer of the API has no such value", "command", c.Command, "pointer", missing)
		}
		if missing != "" || len(lines) == 0 {
			return plugin.Text("%s", d.Nothing), nil
		}
		return plugin.Lines(lines...), nil
	}
}

// errNotFound means that the API has nothing of what it was asked for.
var errNotFound = errors.New("the API answers 404")

// fetch returns the body of the answer to a request.
func fetch(client *plugin.HTTPClient, request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	switch status := response.StatusCode; {
	case status == http.StatusNotFound:
		return nil, errNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return nil, fmt.Errorf("it answers %d: the key is missing or not accepted", status)
	case status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("it answers %d: it is asked too often", status)
	case status < 200 || status > 299:
		return nil, fmt.Errorf("it answers %d, expected 200", status)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading its answer: %w", err)
	}
	return body, nil
}

// command returns what the plugin declares for a definition.
func (d definition) command(name string) plugin.Command {
	one := plugin.Command{
		Name: name, Aliases: d.Aliases, Usage: d.Usage, Help: d.Help, Rank: d.Rank,
		Cooldown: plugin.Cooldown{User: d.cooldown, Channel: d.channelCooldown}, Timeout: maxTimeout + replyTime,
	}
	for _, example := range d.Examples {
		one.Examples = append(one.Examples, plugin.Example{
			Say: strings.TrimSpace(plugin.ExamplePrefix + name + " " + example),
		})
	}
	return one
}
