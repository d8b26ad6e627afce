package custom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Names of the settings of the webhook, and its forms.
const (
	webhookName    = "webhook"
	webhookForm    = "webhookForm"
	webhookPrivate = "webhookPrivate"

	formDiscord, formJSON = "discord", "json"
)

// VariablePrefix begins the name of the environment variable with the URL of the webhook. That is a secret: whoever has
// it may post. Nobody who writes the settings can have another variable used.
const VariablePrefix = "PLUGIN_CUSTOM_"

const (
	// postInterval is how often the plugin looks whether something is to be posted: of what begins in between, the last.
	postInterval = 2 * time.Second
	// postTimeout bounds a request.
	postTimeout = 10 * time.Second
	// defaultPause is the time until the second attempt if the server does not say one, and maxPause the longest: what
	// plays is no news later.
	defaultPause, maxPause = 5 * time.Second, 2 * time.Minute
	// liveAgain is how long a live stream is not posted again: it has no length.
	liveAgain = time.Hour
	postedKey = "posted"
	// maxTitle bounds what is posted of a title, in UTF-16 code units.
	maxTitle = 300
)

// webhook posts what plays.
type webhook struct {
	getenv func(string) string

	mu   sync.Mutex
	next *posting // nil: there is nothing to post
}

// posting is what is to be posted.
type posting struct {
	media media
	began time.Time
	due   time.Time
	again bool // it is the second attempt
}

// media is what plays, as the server says it.
type media struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Title   string `json:"title"`
	Seconds int    `json:"seconds"`
}

// posted is what was posted last, as it is stored.
type posted struct {
	Media string `json:"media"`
	At    int64  `json:"at"` // in Unix seconds
}

func declareWebhook(p *plugin.Plugin, getenv func(string) string) {
	p.Setting(plugin.Setting{
		Name: webhookName, Hidden: true,
		Help: "The environment variable with the URL to which what plays is posted. It begins with " + VariablePrefix + ".",
		Check: func(value string) error {
			if value != "" && !plugin.IsVariable(value, VariablePrefix) {
				return fmt.Errorf("expected a name that begins with %s, in upper case, and no URL", VariablePrefix)
			}
			return nil
		},
	})
	p.Setting(plugin.Setting{
		Name: webhookForm, Default: formDiscord, Check: plugin.OneOf(formDiscord, formJSON),
		Help: "What is posted: a message as Discord takes it, or plain JSON.",
	})
	p.Setting(plugin.Setting{
		Name: webhookPrivate, Default: "false", Check: plugin.Switch,
		Help: "Whether the URL may be in a private network, and begin with http.",
	})
	hook := &webhook{getenv: getenv}
	p.On(plugin.MediaChanged, hook.note)
	p.Every(postInterval, hook.post)
}

// note notes what is to be posted. The rest must not wait for the server behind the webhook.
func (w *webhook) note(_ context.Context, e *plugin.Event) error {
	if e.Settings().Text(webhookName) == "" {
		return nil
	}
	var now media
	if err := json.Unmarshal(e.Data, &now); err != nil || now.ID == "" {
		return nil //nolint:nilerr // nothing plays
	}
	now.Title = plugin.OneLine(now.Title, maxTitle)
	w.put(&posting{media: now, began: e.Now(), due: e.Now()})
	return nil
}

// put makes something the next to be posted. A second attempt gives way to what has begun meanwhile.
func (w *webhook) put(one *posting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == nil || !one.again {
		w.next = one
	}
}

// take returns what is to be posted now, or nil.
func (w *webhook) take(now time.Time) *posting {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.next
	if one == nil || now.Before(one.due) {
		return nil
	}
	w.next = nil
	return one
}

// post posts what is due.
func (w *webhook) post(ctx context.Context, c *plugin.Channel) error {
	one := w.take(c.Now())
	if one == nil || c.Settings().Text(webhookName) == "" {
		return nil
	}
	if !one.again {
		isNew, err := claim(ctx, c, one.media)
		if err != nil || !isNew {
			return err
		}
	}
	pause, err := w.send(ctx, c, one)
	if err == nil || pause == 0 || one.again {
		return err
	}
	one.again, one.due = true, c.Now().Add(pause)
	w.put(one)
	return nil
}

// claim reports whether something is to be posted by this process: a bot that joins is told again what plays, and there
// may be several processes of the plugin.
func claim(ctx context.Context, c *plugin.Channel, now media) (isNew bool, err error) {
	var last posted
	revision, err := c.KV().Get(ctx, postedKey, &last)
	if err != nil {
		return false, err
	}
	what, length := now.Type+":"+now.ID, time.Duration(now.Seconds)*time.Second
	if now.Seconds <= 0 {
		length = liveAgain
	}
	if last.Media == what && c.Now().Sub(time.Unix(last.At, 0)) < length {
		return false, nil
	}
	_, err = c.KV().SetIf(ctx, postedKey, posted{what, c.Now().Unix()}, revision)
	if _, conflict := errors.AsType[*plugin.ConflictError](err); conflict {
		return false, nil
	}
	return err == nil, err
}

// send posts something once. With an error, pause is after what time it may succeed. 0: never. No error has the URL.
func (w *webhook) send(ctx context.Context, c *plugin.Channel, one *posting) (pause time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	isPrivate := c.Settings().Bool(webhookPrivate)
	request, err := w.request(ctx, c, one, isPrivate)
	if err != nil {
		return 0, err
	}
	response, err := plugin.NewHTTPClient(plugin.HTTPOptions{AllowPrivate: isPrivate}).Do(request)
	if err != nil { // it may have been posted
		return 0, fmt.Errorf("posting to the webhook: %w", err)
	}
	_ = response.Body.Close() // what it says is of no use
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return 0, nil
	}
	return pauseOf(response, c.Now()), fmt.Errorf("posting to the webhook: it answers with the status %d",
		response.StatusCode)
}

func (w *webhook) request(
	ctx context.Context, c *plugin.Channel, one *posting, isPrivate bool,
) (*http.Request, error) {
	name := c.Settings().Text(webhookName)
	address, err := url.Parse(strings.TrimSpace(w.getenv(name)))
	isSecure := err == nil && address.Scheme == "https"
	isAllowed := err == nil && isPrivate && address.Scheme == "http"
	if err != nil || !isSecure && !isAllowed || address.Host == "" {
		return nil, fmt.Errorf("the environment variable %s: expected the URL of a webhook that begins with https", name)
	}
	body, err := one.body(c)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the environment variable %s: expected a URL", name) // its error has it
	}
	request.Header.Set("Content-Type", "application/json")
	return request, nil
}

// body returns what is posted, as JSON.
func (p *posting) body(c *plugin.Channel) ([]byte, error) {
	var message any
	switch c.Settings().Text(webhookForm) {
	case formJSON:
		message = struct {
			Event   string    `json:"event"`
			Server  string    `json:"server"`
			Channel string    `json:"channel"`
			At      time.Time `json:"at"`
			Media   media     `json:"media"`
		}{"media", c.Server(), c.Name(), p.began.UTC(), p.media}
	default:
		message = map[string]any{
			"content": "Now playing: " + plugin.Cut(discordEscape.Replace(p.media.Title), 2*maxTitle),
			// A title that somebody has chosen mentions nobody, and has no preview.
			"allowed_mentions": map[string]any{"parse": []string{}}, "flags": suppressEmbeds,
		}
	}
	body, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding what is posted: %w", err)
	}
	return body, nil
}

// suppressEmbeds is the flag of a Discord message without previews of its links.
const suppressEmbeds = 1 << 2

// discordEscape takes the meaning from what Discord takes for formatting.
var discordEscape = strings.NewReplacer(
	`\`, `\\`, "*", `\*`, "_", `\_`, "~", `\~`, "`", "\\`", "|", `\|`, ">", `\>`, "<", `\<`, "[", `\[`, "]", `\]`,
	"#", `\#`,
)

// pauseOf returns when a request may be sent again that was answered with an error. 0: never.
func pauseOf(response *http.Response, now time.Time) time.Duration {
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return 0
	}
	pause := defaultPause
	value := response.Header.Get("Retry-After")
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 && seconds <= maxPause.Seconds() {
		pause = time.Duration(seconds * float64(time.Second))
	} else if err == nil {
		return 0
	} else if at, err := http.ParseTime(value); err == nil {
		pause = at.Sub(now)
	}
	if pause > maxPause {
		return 0
	}
	return max(pause, time.Second)
}
