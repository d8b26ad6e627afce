package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// paintedPages are the pages that are painted.
var paintedPages = []struct{ name, path string }{
	{"Now", "/"}, {"Chat", "/chat"}, {"People", "/people"}, {"a person", "/people/" + regular},
}

// paint measures the time until a browser has painted the first content of pages, with an empty cache.
func (b *bench) paint(ctx context.Context, s *pageSite, name string) (err error) {
	if b.pagePaints == 0 {
		return nil
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		b.say("without Chromium: %v", err)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	chromium, err := b.startBrowser(ctx, program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chromium.end()) }()
	for _, each := range paintedPages {
		var took []float64
		for range 1 + b.pagePaints { // the first one is not counted: the browser itself has just started
			one, err := chromium.firstPaint(ctx, s.url+each.path)
			if err != nil {
				return fmt.Errorf("painting %s: %w", each.path, err)
			}
			took = append(took, one)
		}
		figure := fmt.Sprintf("%s, first paint of %s, median of %d", name, each.name, b.pagePaints)
		b.report(figure, median(took[1:]), "ms", "")
	}
	return nil
}

// browser is Chromium, driven by its DevTools protocol.
type browser struct {
	command *exec.Cmd
	conn    *websocket.Conn
	last    int
}

// startBrowser starts Chromium and connects to it.
func (b *bench) startBrowser(ctx context.Context, program string) (*browser, error) {
	b.files++
	//nolint:gosec // found in PATH
	command := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--remote-debugging-port=0", "--user-data-dir="+filepath.Join(b.dir, fmt.Sprint(b.files)), "about:blank")
	stderr, err := command.StderrPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting Chromium: %w", err)
	}
	started := &browser{command: command}
	scanner := bufio.NewScanner(stderr)
	for scanner.Scan() {
		_, url, found := strings.Cut(scanner.Text(), "DevTools listening on ")
		if !found {
			continue
		}
		started.conn, _, err = websocket.Dial(ctx, strings.TrimSpace(url), nil) //nolint:bodyclose // closed by Dial
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connecting to Chromium: %w", err), started.end())
		}
		started.conn.SetReadLimit(16 << 20)
		return started, nil
	}
	return nil, errors.Join(errors.New("the browser has ended at once"), started.end())
}

func (b *browser) end() error {
	if b.conn != nil {
		_ = b.conn.CloseNow()
	}
	if err := b.command.Process.Kill(); err != nil {
		return fmt.Errorf("ending Chromium: %w", err)
	}
	_ = b.command.Wait() // it was killed
	return nil
}

// call sends a command to a page, or to the browser if session is empty, and returns the result.
func (b *browser) call(ctx context.Context, session, method string, parameters map[string]any, result any) error {
	b.last++
	request := map[string]any{"id": b.last, "method": method, "params": parameters}
	if session != "" {
		request["sessionId"] = session
	}
	if err := wsjson.Write(ctx, b.conn, request); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		var reply struct {
			ID     int             `json:"id"`
			Result json.RawMessage `json:"result"`
			Error  *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := wsjson.Read(ctx, b.conn, &reply); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case reply.ID != b.last: // an event
		case reply.Error != nil:
			return fmt.Errorf("%s: %s", method, reply.Error.Message)
		case result == nil:
			return nil
		default:
			if err := json.Unmarshal(reply.Result, result); err != nil {
				return fmt.Errorf("%s: %w", method, err)
			}
			return nil
		}
	}
}

// paintScript returns when the first content was painted, in milliseconds after the page was requested.
const paintScript = `new Promise(done => {
  const look = () => {
    const entry = performance.getEntriesByName("first-contentful-paint")[0];
    if (entry && location.href !== "about:blank") done(entry.startTime); else setTimeout(look, 5);
  };
  look();
})`

// firstPaint loads a page in a new tab, and returns how many milliseconds it takes to paint its first content.
func (b *browser) firstPaint(ctx context.Context, url string) (float64, error) {
	var target struct {
		ID string `json:"targetId"`
	}
	if err := b.call(ctx, "", "Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return 0, err
	}
	var attached struct {
		Session string `json:"sessionId"`
	}
	attach := map[string]any{"targetId": target.ID, "flatten": true}
	if err := b.call(ctx, "", "Target.attachToTarget", attach, &attached); err != nil {
		return 0, err
	}
	for _, command := range []struct {
		method     string
		parameters map[string]any
	}{
		{"Network.enable", nil},
		{"Network.setCacheDisabled", map[string]any{"cacheDisabled": true}},
		{"Page.navigate", map[string]any{"url": url}},
	} {
		if err := b.call(ctx, attached.Session, command.method, command.parameters, nil); err != nil {
			return 0, err
		}
	}
	var painted struct {
		Result struct {
			Value float64 `json:"value"`
		} `json:"result"`
	}
	evaluate := map[string]any{"expression": paintScript, "awaitPromise": true, "returnByValue": true}
	if err := b.call(ctx, attached.Session, "Runtime.evaluate", evaluate, &painted); err != nil {
		return 0, err
	}
	return painted.Result.Value, b.call(ctx, "", "Target.closeTarget", map[string]any{"targetId": target.ID}, nil)
}
