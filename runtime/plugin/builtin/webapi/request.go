package webapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"rosey.dev/rosey/runtime/plugin"
)

// arguments are what a person gave, without characters that control something.
type arguments struct {
	user  string
	words []string
}

// maxArguments bounds what follows the command, in UTF-16 code units.
const maxArguments = plugin.MaxLength

// arguments returns those of a call.
func (d *definition) arguments(c *plugin.Call) (arguments, error) {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(c.Args, ""))
	given := arguments{user: c.User.Name, words: strings.Fields(text)}
	if len(given.words) == 0 {
		given.words = strings.Fields(d.Default)
	}
	switch needed := d.needed(); {
	case plugin.Cut(text, maxArguments) != text:
		return given, plugin.Usage("expected at most %d characters", maxArguments)
	case len(given.words) < needed && d.Usage != "":
		return given, plugin.Usage("expected %s", d.Usage)
	case len(given.words) < needed:
		return given, plugin.Usage("expected at least %d words", needed)
	}
	return given, nil
}

// needed returns how many words the URL and the body use.
func (d *definition) needed() (count int) {
	for _, match := range placeholder.FindAllStringSubmatch(d.URL+d.Body, -1) {
		switch number, err := strconv.Atoi(match[1]); {
		case err == nil:
			count = max(count, number)
		case match[1] == "args":
			count = max(count, 1)
		}
	}
	return count
}

// value returns what takes the place of a placeholder, but for {env:NAME}.
func (a arguments) value(name string) string {
	switch number, err := strconv.Atoi(name); {
	case err == nil && number <= len(a.words):
		return a.words[number-1]
	case name == "args":
		return strings.Join(a.words, " ")
	case name == "user":
		return a.user
	}
	return ""
}

// request returns the request for a call. Errors name no value.
func (d *definition) request(
	ctx context.Context, given arguments, getenv func(string) string,
) (*http.Request, error) {
	for _, name := range d.variables() {
		if getenv(name) == "" {
			return nil, fmt.Errorf("the environment variable %s is not set", name)
		}
	}
	fill := func(text string, escape func(string) string) string {
		return placeholder.ReplaceAllStringFunc(text, func(found string) string {
			name := found[1 : len(found)-1]
			if variable, isVariable := strings.CutPrefix(name, "env:"); isVariable {
				return escape(getenv(variable))
			}
			return escape(given.value(name))
		})
	}
	address, err := d.address(given, fill)
	if err != nil {
		return nil, err
	}
	body := fill(d.Body, escapeJSON)
	request, err := http.NewRequestWithContext(ctx, d.Method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, fmt.Errorf("the URL of the API is none when what was given is in it, expected one such as %s",
			plugin.Cut(hostPart.FindString(d.URL), 80))
	}
	if d.Body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range d.Headers {
		request.Header.Set(name, fill(value, oneHeaderLine))
	}
	return request, nil
}

// address returns the URL with what was given. What is in the path may not change which part of the API is called.
func (d *definition) address(given arguments, fill func(string, func(string) string) string) (string, error) {
	path, query, hasQuery := strings.Cut(d.URL, "?")
	for _, match := range placeholder.FindAllStringSubmatch(path, -1) {
		if strings.ContainsAny(given.value(match[1]), `/\`) {
			return "", plugin.Usage(`expected no / and no \`)
		}
	}
	path = fill(path, url.PathEscape)
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", plugin.Usage("expected something else than dots")
		}
	}
	if hasQuery {
		path += "?" + fill(query, url.QueryEscape)
	}
	return path, nil
}

// escapeJSON returns a text as it is inside the quotes of a text in JSON.
func escapeJSON(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		return "" // impossible: it is a string
	}
	return string(encoded[1 : len(encoded)-1])
}

// oneHeaderLine returns a text without what a header cannot have: a line feed at the end of a Secret, for example.
func oneHeaderLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
}
