package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/test/porttest"
)

// pageToken is the token of alice, who reads the pages.
const pageToken = "token-of-the-benchmark"

// measuredPages are the pages, with what they are called in the table.
var measuredPages = []struct{ name, path string }{
	{"Now", "/"},
	{"Chat", "/chat"},
	{"Chat, one person's lines", "/chat?person=" + regular},
	{"Chat, a search that matches nothing", "/chat?words=nobody+has+said+this"},
	{"People", "/people"},
	{"People, who was there longest", "/people?sort=hours"},
	{"People, a part of a name", "/people?name=99"},
	{"a person with 20,000 joins and leaves", "/people/" + regular},
	{"Films", "/films"},
	{"Films, the most played", "/films?by=item"},
	{"Records", "/records"},
	{"people over the last day", "/now/counts"},
	{"Outbound", "/outbound"},
	{"Health", "/health"},
}

// measurePage measures the web page, on every database: each page, what is live, and what it costs.
func measurePage(ctx context.Context, b *bench) error {
	makers, err := b.makers(ctx)
	if err != nil {
		return err
	}
	for _, maker := range makers {
		if err := b.page(ctx, maker); err != nil {
			return fmt.Errorf("%s: %w", maker.name, err)
		}
	}
	if err := b.livePages(ctx); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	return b.pageSizes(ctx)
}

// pageSite is everything behind the pages of a channel, and rosey web.
type pageSite struct {
	world                 *world
	bot, service, process *process
	url                   string
	client                *http.Client
	ends                  []func() error
}

func (s *pageSite) end() (err error) {
	for _, end := range slices.Backward(s.ends) {
		err = errors.Join(err, end())
	}
	s.world.close()
	return err
}

// startSite starts a bot and a service on a database that fill has filled. The caller must call end, even after an
// error.
func (b *bench) startSite(
	ctx context.Context, maker maker, fill func(context.Context, *target, store.Channel) error,
) (s *pageSite, err error) {
	w, err := b.newWorld(false)
	if err != nil {
		return nil, err
	}
	s = &pageSite{world: w, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	s.ends = append(s.ends, func() error { s.client.CloseIdleConnections(); return nil })
	on, err := maker.make(ctx)
	if err != nil {
		return s, err
	}
	s.ends = append(s.ends, on.close)
	if err := fill(ctx, on, store.Channel{Server: w.site.URL, Name: channelName}); err != nil {
		return s, err
	}
	started := func(start func() (*process, error)) (*process, error) {
		p, err := start()
		if err != nil {
			return nil, err
		}
		s.ends = append(s.ends, p.end)
		return p, p.untilReady(ctx)
	}
	s.service, err = started(func() (*process, error) { return b.startServiceOn(ctx, w, w.site.URL, on) })
	if err != nil {
		return s, err
	}
	s.bot, err = started(func() (*process, error) { return b.startBot(ctx, w, overNATS) })
	return s, err
}

// startPages starts rosey web.
func (b *bench) startPages(ctx context.Context, s *pageSite) (err error) {
	b.files++
	tokens := filepath.Join(b.dir, fmt.Sprint(b.files))
	err = os.Mkdir(tokens, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(tokens, "alice"), []byte(pageToken), 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing a token: %w", err)
	}
	port, release, err := porttest.Reserve()
	if err != nil {
		return fmt.Errorf("finding a port for the pages: %w", err)
	}
	s.ends = append(s.ends, func() error { release(); return nil })
	address := porttest.Address(port)
	s.url = "http://" + address
	s.process, err = b.start(ctx, "web", "--nats", s.world.nats.ClientURL(), "--server", s.world.site.URL,
		"--channel", channelName, "--http", "127.0.0.1:0", "--web-listen", address, "--web-public",
		"--web-tokens-dir", tokens)
	if err != nil {
		return err
	}
	s.ends = append(s.ends, s.process.end)
	if err := s.process.untilReady(ctx); err != nil {
		return err
	}
	return until(ctx, "the page to be live", func() (bool, error) {
		var state struct {
			Live bool `json:"live"`
		}
		body, _, err := s.get(ctx, "/api/v1/state")
		if err == nil {
			err = json.Unmarshal(body, &state)
		}
		if err != nil {
			return false, fmt.Errorf("asking for the state: %w", err)
		}
		return state.Live, nil
	})
}

// get requests a path with the token, and returns the body and how many milliseconds that took.
func (s *pageSite) get(ctx context.Context, path string, headers ...string) (body []byte, took float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("asking %s: %w", path, err)
	}
	request.Header.Set("X-API-Token", pageToken)
	request.Header.Set("Accept", "text/html")
	for pair := range slices.Chunk(headers, 2) {
		request.Header.Set(pair[0], pair[1])
	}
	began := time.Now()
	response, err := s.client.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("asking %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the response is %s: %.200s", response.Status, body)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("asking %s: %w", path, err)
	}
	return body, time.Since(began).Seconds() * 1e3, nil
}

// page measures the pages on one database.
func (b *bench) page(ctx context.Context, maker maker) (err error) {
	s, err := b.startSite(ctx, maker, b.fillPages)
	if s != nil {
		defer func() { err = errors.Join(err, s.end()) }()
	}
	if err == nil {
		err = b.startPages(ctx, s)
	}
	if err != nil {
		return err
	}
	// The first list of people after the start of a service may have to wait until all joins and leaves are counted.
	began := time.Now()
	if err := until(ctx, "the times of all people", func() (bool, error) {
		_, _, err := s.get(ctx, "/people?sort=hours")
		return err == nil, nil
	}); err != nil {
		return err
	}
	counted := time.Since(began).Seconds() * 1e3
	b.report(maker.name+", the first list of people after the start of the service", counted, "ms", "")
	took := make([][]float64, len(measuredPages))
	slowest := 0.0
	for n := range b.pageRounds {
		for i, each := range measuredPages {
			_, one, err := s.get(ctx, each.path)
			if err != nil {
				return err
			}
			took[i], slowest = append(took[i], one), max(slowest, one)
		}
		b.progress("%s: %d of %d rounds of all pages", maker.name, n, b.pageRounds)
	}
	for i, each := range measuredPages {
		b.report(maker.name+", "+each.name+": p50", percentile(took[i], 50), "ms", "")
	}
	b.report(maker.name+", the slowest response of all", slowest, "ms", "")
	if err := errors.Join(b.searchAll(ctx, s, maker.name), b.paint(ctx, s, maker.name)); err != nil {
		return err
	}
	if b.table.find(b.current, assetsFigure) < 0 { // the same on every database
		return b.pageAssets(ctx, s)
	}
	return nil
}

// searchAll searches all that is kept, request by request.
func (b *bench) searchAll(ctx context.Context, s *pageSite, name string) error {
	requests, began, cursor := 0, time.Now(), ""
	for {
		query := url.Values{"words": {"nobody has said this"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		body, _, err := s.get(ctx, "/api/v1/chat?"+query.Encode())
		if err != nil {
			return err
		}
		var reply struct {
			Next string `json:"next"`
		}
		if err := json.Unmarshal(body, &reply); err != nil {
			return fmt.Errorf("searching: %w", err)
		}
		requests++
		if cursor = reply.Next; cursor == "" {
			break
		}
	}
	name = fmt.Sprintf("%s, a search in all lines, %d requests", name, requests)
	b.report(name, time.Since(began).Seconds()*1e3, "ms", "")
	return nil
}
