package webapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/plugin"
)

// definition is a command as it is configured.
type definition struct {
	// URL is that of the API. {args}, {1} to {9}, {user} and {env:NAME} are replaced, escaped, behind the host.
	URL string `json:"url"`
	// Method is GET or POST. Empty: GET, and POST with a body.
	Method string `json:"method,omitempty"`
	// Headers are sent by their names. {env:NAME} is replaced.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is JSON. The same is replaced as in the URL, in its texts.
	Body string `json:"body,omitempty"`
	// Format is that of the API's answer: json or text. Empty: json.
	Format string `json:"format,omitempty"`
	// Answer is what is said. {/a/b/0} is the value at a JSON Pointer (RFC 6901), {} all of it; {args}, {1} to {9} and
	// {user} are as in the URL. Empty: {}.
	Answer string `json:"answer,omitempty"`
	// Nothing is said if the API answers 404, or without such a value.
	Nothing string `json:"nothing,omitempty"`
	// Default are the arguments of who gives none. Empty: the command needs as many as it uses.
	Default string `json:"default,omitempty"`
	// Lines are the most lines that are said. 0: 2.
	Lines int `json:"lines,omitempty"`

	Aliases  []string `json:"aliases,omitempty"`
	Usage    string   `json:"usage,omitempty"`
	Help     string   `json:"help,omitempty"`
	Examples []string `json:"examples,omitempty"` // arguments
	Rank     float64  `json:"rank,omitempty"`
	// Cooldown is per person, and ChannelCooldown for all. Empty: 10s and 2s.
	Cooldown        string `json:"cooldown,omitempty"`
	ChannelCooldown string `json:"channelCooldown,omitempty"`

	cooldown, channelCooldown time.Duration
}

const (
	formatJSON, formatText = "json", "text"

	defaultNothing         = "Nothing was found."
	defaultLines           = 2
	defaultCooldown        = 10 * time.Second
	defaultChannelCooldown = 2 * time.Second
	maxCooldown            = 24 * time.Hour
	maxHeaders             = 10
)

// parse returns the definition in a YAML text.
func parse(text string) (definition, error) {
	var d definition
	if err := yaml.UnmarshalStrict([]byte(text), &d); err != nil {
		return d, fmt.Errorf("expected YAML with url, answer and so on: %s",
			strings.TrimPrefix(err.Error(), "error unmarshaling JSON: "))
	}
	d.setDefaults()
	for _, check := range []func() error{
		d.checkURL, d.checkHeaders, d.checkBody, d.checkAnswer, d.checkTimes, d.checkVariables,
	} {
		if err := check(); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (d *definition) setDefaults() {
	for _, one := range []struct {
		field *string
		value string
	}{
		{&d.Method, http.MethodGet}, {&d.Format, formatJSON}, {&d.Answer, "{}"}, {&d.Nothing, defaultNothing},
		{&d.Cooldown, defaultCooldown.String()}, {&d.ChannelCooldown, defaultChannelCooldown.String()},
	} {
		if *one.field == "" {
			*one.field = one.value
		}
	}
	if d.Body != "" {
		d.Method = http.MethodPost
	}
	if d.Lines == 0 {
		d.Lines = defaultLines
	}
}

// hostPart is the scheme and the host of a URL, in which nothing is replaced, and what may follow it.
var hostPart = regexp.MustCompile(`^https?://[A-Za-z0-9.:\[\]_-]+([/?]|$)`)

func (d *definition) checkURL() error {
	switch {
	case !hostPart.MatchString(d.URL) || strings.Contains(d.URL, "#"):
		return errors.New("url: expected https://host/path?query without a user, a fragment, or a placeholder in the host")
	case strings.ContainsAny(placeholder.ReplaceAllString(d.URL, ""), "{} \t\n"):
		return errors.New("url: expected as placeholders {args}, {1} to {9}, {user} and {env:NAME}, and no spaces")
	case d.Method != http.MethodGet && d.Method != http.MethodPost:
		return fmt.Errorf("method: %q, expected GET or POST", plugin.Cut(d.Method, 20))
	}
	return nil
}

const maxHeaderName, maxHeaderValue = 64, 1000

// The lengths are compared apart: a pattern with a bounded repetition takes memory in every process.
var (
	headerName  = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	headerValue = regexp.MustCompile(`^[ -~]+$`)
)

// hopHeaders are those that this program sends itself.
var hopHeaders = regexp.MustCompile(
	`(?i)^(host|content-length|connection|transfer-encoding|upgrade|te|trailer|proxy-.*)$`)

func (d *definition) checkHeaders() error {
	if len(d.Headers) > maxHeaders {
		return fmt.Errorf("headers: expected at most %d", maxHeaders)
	}
	for name, value := range d.Headers {
		isValid := headerName.MatchString(name) && len(name) <= maxHeaderName && !hopHeaders.MatchString(name) &&
			headerValue.MatchString(value) && len(value) <= maxHeaderValue
		if !isValid {
			return fmt.Errorf("headers: %q, expected names of letters, digits and '-', and values of one line in ASCII",
				plugin.Cut(name, 40))
		}
	}
	return nil
}

// checkBody makes sure that what is replaced is in a text of the JSON, where it can be escaped.
func (d *definition) checkBody() error {
	if d.Body != "" && !json.Valid([]byte(placeholder.ReplaceAllString(d.Body, "x"))) {
		return errors.New(`body: expected JSON, with placeholders in texts alone, such as {"q": "{args}"}`)
	}
	return nil
}

func (d *definition) checkAnswer() error {
	switch {
	case d.Format != formatJSON && d.Format != formatText:
		return fmt.Errorf("format: %q, expected json or text", plugin.Cut(d.Format, 20))
	case d.Format == formatText && pointer.MatchString(d.Answer):
		return errors.New("answer: expected {} alone of an API that answers text")
	case d.Lines < 1 || d.Lines > plugin.MaxLines:
		return fmt.Errorf("lines: %d, expected 1 to %d", d.Lines, plugin.MaxLines)
	case len(plugin.Spoken(d.Nothing, 1)) != 1 || plugin.Spoken(d.Nothing, 1)[0] != d.Nothing:
		return errors.New("nothing: expected one printable line that looks like no command")
	}
	return nil
}

func (d *definition) checkTimes() error {
	for _, one := range []struct {
		field, value string
		to           *time.Duration
	}{{"cooldown", d.Cooldown, &d.cooldown}, {"channelCooldown", d.ChannelCooldown, &d.channelCooldown}} {
		if err := plugin.Length(0, maxCooldown)(one.value); err != nil {
			return fmt.Errorf("%s: %w", one.field, err)
		}
		*one.to, _ = time.ParseDuration(one.value) // it was checked
	}
	return nil
}

// VariablePrefix begins the names of the environment variables that a command may send: nobody who writes a command can
// send another one.
const VariablePrefix = "PLUGIN_HTTP_"

func (d *definition) checkVariables() error {
	for _, name := range d.variables() {
		if !plugin.IsVariable(name, VariablePrefix) {
			return fmt.Errorf("{env:NAME}: expected a NAME that begins with %s, in upper case", VariablePrefix)
		}
	}
	if variable.MatchString(d.Answer) {
		return errors.New("answer: expected no {env:NAME}: a key is not said")
	}
	return nil
}

var (
	// placeholder is what is replaced in the URL, in headers and in the body, and variable those with a key.
	placeholder = regexp.MustCompile(`\{(args|user|[1-9]|env:[^{}]*)\}`)
	variable    = regexp.MustCompile(`\{env:([^{}]*)\}`)
	// pointer is what is replaced in the answer by a value.
	pointer = regexp.MustCompile(`\{(/[^{}]*)\}`)
	// said is all that is replaced in the answer.
	said = regexp.MustCompile(`\{(args|user|[1-9]|/[^{}]*|)\}`)
)

// variables returns the names of the environment variables that are sent.
func (d *definition) variables() (names []string) {
	texts := []string{d.URL, d.Body}
	for _, value := range d.Headers {
		texts = append(texts, value)
	}
	for _, text := range texts {
		for _, match := range variable.FindAllStringSubmatch(text, -1) {
			names = append(names, match[1])
		}
	}
	return names
}

// usesKey reports whether something is sent that is not for everybody's eyes.
func (d *definition) usesKey() bool { return len(d.variables()) > 0 }

// lines returns what is said of an API's answer. missing is the JSON Pointer of a value that it does not have.
func (d *definition) lines(body []byte, given arguments) (lines []string, missing string, err error) {
	var document any = string(body)
	if d.Format == formatJSON {
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber() // it is said as it was written
		if err := decoder.Decode(&document); err != nil {
			return nil, "", errors.New("it is no JSON")
		}
	}
	text := said.ReplaceAllStringFunc(d.Answer, func(found string) string {
		name := found[1 : len(found)-1]
		if name != "" && name[0] != '/' {
			return given.value(name)
		}
		value, exists := valueAt(document, name)
		if !exists && missing == "" {
			missing = found
		}
		return value
	})
	return plugin.Spoken(text, d.Lines), missing, nil
}
