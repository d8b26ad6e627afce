package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// page is a window of a browser.
type page struct {
	*testing.T
	ctx context.Context //nolint:containedctx // the window itself: chromedp keeps it there
}

// newPage opens a window without cookies.
func newPage(t *testing.T) page {
	t.Helper()
	return openWindow(chromium, t, chromedp.WithNewBrowserContext())
}

// another opens another window with the same cookies.
func (p page) another() page { p.Helper(); return openWindow(p.ctx, p.T) }

func openWindow(parent context.Context, t *testing.T, options ...chromedp.ContextOption) page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	if _, err := chromedp.Run(ctx, chromedp.EmulateViewport(1280, 900)); err != nil {
		t.Fatal(err)
	}
	return page{T: t, ctx: ctx}
}

// do runs an action, which has the patience of the test.
func (p page) do(what string, action chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, action); err != nil {
		p.Fatalf("%s: %v; the page is\n%s", what, err, p.text())
	}
}

// run evaluates JavaScript, which may return a promise.
func run[T any](p page, script string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%.100s: %v; the page is\n%s", script, err, p.text())
	}
	return value
}

func (p page) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	return text
}

func (p page) open(url string) { p.Helper(); p.do("opening "+url, chromedp.Navigate(url)) }

// waits until a condition in JavaScript is true, also over the loading of another page.
func (p page) waits(what, condition string) {
	p.Helper()
	for end := time.Now().Add(patience); !p.is(condition); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("%s: not within %v; the page is\n%s", what, patience, p.text())
		}
	}
}

// is reports whether a condition in JavaScript is true now.
func (p page) is(condition string) bool {
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
	return err == nil && value
}

// has reports whether a text is on the page.
func (p page) has(text string) bool { return p.is(contains(text)) }

// shows waits until a text is on the page.
func (p page) shows(text string) { p.Helper(); p.waits("waiting for "+text, contains(text)) }

func contains(text string) (condition string) {
	quoted, _ := json.Marshal(text)
	return `document.body.innerText.includes(` + string(quoted) + `)`
}

// isLive waits until the Now page is live.
func (p page) isLive() {
	p.Helper()
	p.waits("live", `document.querySelector("#playing .live").textContent === "live" &&
		!document.querySelector("#state .notice")`)
}

// types types a text, or presses keys, wherever the focus is.
func (p page) types(keys string) { p.Helper(); p.do("typing", chromedp.KeyEvent(keys)) }

// logIn logs in with a token.
func (p page) logIn(root, token string) {
	p.Helper()
	p.open(root + "/login")
	p.do("typing the token", chromedp.SendKeys("#token", token+"\r"))
}

// sendKeys types into the element of a selector.
func sendKeys(selector, keys string) chromedp.Action[chromedp.Void] {
	return chromedp.SendKeys(selector, keys)
}

// click clicks on the element of a selector, as who has no scripts does.
func (p page) click(selector string) {
	p.Helper()
	p.do("clicking on "+selector, chromedp.Click(selector))
}

// withoutScripts turns the scripts of pages off. Those of this test work.
func (p page) withoutScripts() {
	p.Helper()
	p.do("turning scripts off", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled,
			emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
}

// problems returns a function that returns what the browser has reported since about the page itself: scripts that
// failed, and what the Content-Security-Policy has refused.
func (p page) problems() (reported func() []string) {
	p.Helper()
	var mu sync.Mutex
	var all []string
	note := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, text)
	}
	if err := chromedp.Listen(p.ctx, func(event any) {
		switch event := event.(type) {
		case *runtime.EventExceptionThrown:
			note(fmt.Sprintf("%s %v", event.ExceptionDetails.Text, event.ExceptionDetails.Exception))
		case *log.EventEntryAdded:
			if event.Entry.Level == log.EntryLevelError && event.Entry.Source != log.EntrySourceNetwork {
				note(event.Entry.Text)
			}
		}
	}); err != nil {
		p.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}
