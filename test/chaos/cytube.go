package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// CyTube controls the simulated CyTube server over its HTTP API.
type CyTube struct {
	// Client sends the requests. Base is the API's URL without /simulator.
	Client *http.Client
	Base   string
	// Channel is the name of the channel in which people chat.
	Channel string

	mu     sync.Mutex
	seen   []simulator.Entry // the channel's log
	logins []simulator.Entry // the server's log
}

func (c *CyTube) channelPath(resource string) string {
	return "/channels/" + c.Channel + "/" + resource
}

// Join lets a person join the channel.
func (c *CyTube) Join(ctx context.Context, user string) error {
	return c.post(ctx, c.channelPath("join"), map[string]string{"user": user})
}

// Leave lets a person who has joined leave the channel.
func (c *CyTube) Leave(ctx context.Context, user string) error {
	return c.post(ctx, c.channelPath("leave"), map[string]string{"user": user})
}

// Say lets a person who has joined say a line.
func (c *CyTube) Say(ctx context.Context, user, text string) error {
	return c.post(ctx, c.channelPath("say"), map[string]string{"user": user, "text": text})
}

// Restart makes the server close all connections and refuse new ones for downMS milliseconds.
func (c *CyTube) Restart(ctx context.Context, downMS int64) error {
	return c.post(ctx, "/restart", map[string]int64{"down_ms": downMS})
}

// Drop closes a user's connection without a message.
func (c *CyTube) Drop(ctx context.Context, user string) error {
	return c.post(ctx, c.channelPath("drop"), map[string]string{"user": user})
}

// read reads the new entries of both logs. The server keeps a limited number of entries, so it must be called
// regularly.
func (c *CyTube) read(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.readLog(ctx, c.channelPath("log"), &c.seen); err != nil {
		return err
	}
	return c.readLog(ctx, "/log", &c.logins)
}

func (c *CyTube) readLog(ctx context.Context, path string, entries *[]simulator.Entry) error {
	var last uint64
	if len(*entries) > 0 {
		last = (*entries)[len(*entries)-1].Seq
	}
	var body struct {
		Entries []simulator.Entry `json:"entries"`
	}
	if err := c.call(ctx, http.MethodGet, fmt.Sprintf("%s?after=%d", path, last), nil, &body); err != nil {
		return err
	}
	if len(body.Entries) > 0 && body.Entries[0].Seq != last+1 {
		return fmt.Errorf("log %s: the server has dropped the entries %d to %d", path, last+1, body.Entries[0].Seq-1)
	}
	*entries = append(*entries, body.Entries...)
	return nil
}

// Seen reads the new entries of the channel's log and returns all of them. bot is the bot's name. The server keeps a
// limited number of entries, so it must be called regularly.
func (c *CyTube) Seen(ctx context.Context, bot string) (Seen, error) {
	if err := c.read(ctx); err != nil {
		return Seen{}, err
	}
	return Seen{Entries: c.snapshot(), Bot: bot, End: time.Now().UnixMilli()}, nil
}

// snapshot returns the entries of the channel's log that were read so far.
func (c *CyTube) snapshot() []simulator.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}

// Leader returns the address of the user's last login: of several bots with one account, that is the one in the
// channel. It is empty if there was no login.
func (c *CyTube) Leader(ctx context.Context, user string) (address string, err error) {
	if err := c.read(ctx); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range slices.Backward(c.logins) {
		if e.Kind == simulator.KindLogin && e.User == user {
			return e.Address, nil
		}
	}
	return "", nil
}

func (c *CyTube) post(ctx context.Context, path string, body any) error {
	return c.call(ctx, http.MethodPost, path, body, nil)
}

func (c *CyTube) call(ctx context.Context, method, path string, body, result any) error {
	var data bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&data).Encode(body); err != nil {
			return fmt.Errorf("encoding a request to CyTube: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.Base+"/simulator"+path, &data)
	if err != nil {
		return fmt.Errorf("requesting %s %s of CyTube: %w", method, path, err)
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return fmt.Errorf("requesting %s %s of CyTube: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading CyTube's response to %s %s: %w", method, path, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: CyTube returned status %d: %s", method, path, response.StatusCode, bytes.TrimSpace(content))
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(content, result); err != nil {
		return fmt.Errorf("decoding CyTube's response to %s %s: %w", method, path, err)
	}
	return nil
}
