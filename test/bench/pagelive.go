package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/store"
)

const (
	// fastPages are open pages that read at once, beside those that read slowly.
	fastPages = 10
	// slowPause is how long a slow page pauses after each slowBytes. Every second one never reads.
	slowPause, slowBytes = 100 * time.Millisecond, 64
)

// livePages measures what reaches open pages, and what the processes need for them.
func (b *bench) livePages(ctx context.Context) (err error) {
	nothing := func(context.Context, *target, store.Channel) error { return nil }
	s, err := b.startSite(ctx, maker{"SQLite", b.newSQLite}, nothing)
	if s != nil {
		defer func() { err = errors.Join(err, s.end()) }()
	}
	if err != nil {
		return err
	}
	if err := s.world.channel().Join(speaker); err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	script := simulator.ScriptOptions{Seed: eveningSeed, Pace: eveningPace}
	if err := s.world.channel().StartScript(script); err != nil {
		return fmt.Errorf("starting the script: %w", err)
	}
	if err := b.pageCost(ctx, s, "without a page", 0); err != nil {
		return err
	}
	if err := b.startPages(ctx, s); err != nil {
		return err
	}
	if err := b.pageCost(ctx, s, "nobody reads", 0); err != nil {
		return err
	}
	if err := b.reportResident(s, "rosey web, nobody reads"); err != nil {
		return err
	}
	if err := b.pageCost(ctx, s, fmt.Sprintf("%d live pages", b.pageStreams), b.pageStreams); err != nil {
		return err
	}
	if err := b.lineToPages(ctx, s); err != nil {
		return err
	}
	return b.slowReaders(ctx, s)
}

// pageCost reports the processor time of the processes during an evening, with open pages.
func (b *bench) pageCost(ctx context.Context, s *pageSite, name string, pages int) (err error) {
	all := []watched{{"bot", s.bot.command.Process.Pid}, {"service", s.service.command.Process.Pid}}
	if s.process != nil {
		all = append(all, watched{"rosey web", s.process.command.Process.Pid})
	}
	if s.process != nil {
		open, err := s.openPages(ctx, pages, "", nil)
		defer open.close()
		if err != nil {
			return err
		}
	}
	spent, err := spentDuring(all, func() error {
		select {
		case <-time.After(b.evening):
			return nil
		case <-ctx.Done():
			return fmt.Errorf("waiting: %w", ctx.Err())
		}
	})
	if err != nil {
		return err
	}
	for i, one := range all {
		b.report(fmt.Sprintf("an evening, %s, %s: processor time", name, one.name),
			spent[i].Seconds()*1e3*float64(time.Minute)/float64(b.evening), "ms per minute", "")
	}
	return nil
}

func (b *bench) reportResident(s *pageSite, name string) error {
	for _, each := range []struct{ key, name string }{
		{"VmRSS", ": resident memory"}, {"RssAnon", ": resident memory without the program file"},
	} {
		resident, err := s.process.memory(each.key)
		if err != nil {
			return err
		}
		b.report(name+each.name, resident, "MiB", "")
	}
	return nil
}

// lineToPages says lines, each of which reaches all open pages.
func (b *bench) lineToPages(ctx context.Context, s *pageSite) error {
	arrived := make(chan arrival, b.pageStreams)
	open, err := s.openPages(ctx, b.pageStreams, "", arrived)
	defer open.close()
	if err != nil {
		return err
	}
	took, err := b.sayToPages(ctx, s, "all", b.pageStreams, arrived)
	if err != nil {
		return err
	}
	for _, part := range []int{50, 99} {
		name := fmt.Sprintf("a line, from the socket to %d pages: p%d", b.pageStreams, part)
		b.report(name, percentile(took, part), "ms", "")
	}
	return b.reportResident(s, fmt.Sprintf("rosey web, %d live pages", b.pageStreams))
}

// slowReaders compares the time that lines need to pages that read at once, with and without others that read slowly or
// not at all, in turn.
func (b *bench) slowReaders(ctx context.Context, s *pageSite) error {
	fast := min(fastPages, b.pageStreams)
	arrived := make(chan arrival, fast)
	open, err := s.openPages(ctx, fast, pageToken, arrived)
	defer open.close()
	if err != nil {
		return err
	}
	var alone, beside []float64
	const turns = 4
	for turn := range turns {
		took, err := b.sayToPages(ctx, s, fmt.Sprintf("alone%d", turn), fast, arrived)
		if err != nil {
			return err
		}
		alone = append(alone, took...)
		slow, err := s.openSlowPages(ctx, b.pageStreams, fast)
		if err == nil {
			took, err = b.sayToPages(ctx, s, fmt.Sprintf("beside%d", turn), fast, arrived)
		}
		slow.close()
		if err != nil {
			return err
		}
		beside = append(beside, took...)
	}
	for _, part := range []int{50, 99} {
		against := fmt.Sprintf("a line to %d pages that read at once: p%d", fast, part)
		b.report(against, percentile(alone, part), "ms", "")
		b.report(fmt.Sprintf("beside %d that read slowly or not at all: p%d", b.pageStreams, part),
			percentile(beside, part), "ms", against)
	}
	return nil
}

// sayToPages says lines and returns how many milliseconds each of them took to each page.
func (b *bench) sayToPages(
	ctx context.Context, s *pageSite, name string, pages int, arrived <-chan arrival,
) (took []float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	for n := range warmLines + b.pageSaid {
		time.Sleep(b.pause)
		text := fmt.Sprintf("%s line %d for the open pages", name, n)
		written, err := s.world.say(text)
		if err != nil {
			return nil, err
		}
		for got := map[int]bool{}; len(got) < pages; {
			select {
			case one := <-arrived:
				if one.name != name || one.number != n || got[one.page] {
					continue // a list of lines repeats earlier ones
				}
				got[one.page] = true
				if n >= warmLines {
					took = append(took, one.at.Sub(written()).Seconds()*1e3)
				}
			case <-ctx.Done():
				return nil, fmt.Errorf("waiting for a line on %d of %d pages: %w", pages-len(got), pages, ctx.Err())
			}
		}
	}
	return took, nil
}

// arrival is a line of sayToPages on an open page.
type arrival struct {
	page   int
	number int
	name   string
	at     time.Time
}

var arriving = regexp.MustCompile(`([a-z0-9]+) line (\d+) for the open pages`)

// openPages are pages that are open.
type openPages struct {
	conns   []net.Conn
	reading sync.WaitGroup
	stopped chan struct{}
}

func (o *openPages) close() {
	close(o.stopped)
	for _, conn := range o.conns {
		_ = conn.Close()
	}
	o.reading.Wait()
}

// openPages opens pages, and tells what arrives on them unless arrived is nil. The caller must close them, even after
// an error.
func (s *pageSite) openPages(ctx context.Context, count int, token string, arrived chan<- arrival) (*openPages, error) {
	open := &openPages{stopped: make(chan struct{})}
	if err := s.untilOpen(ctx, 0); err != nil {
		return open, err
	}
	for i := range count {
		conn, err := s.openPage(ctx, token)
		if err != nil {
			return open, err
		}
		open.conns = append(open.conns, conn)
		open.reading.Go(func() {
			for scanner := bufio.NewScanner(conn); scanner.Scan(); {
				at := time.Now()
				found := arriving.FindStringSubmatch(scanner.Text())
				if arrived == nil || found == nil {
					continue
				}
				number, _ := strconv.Atoi(found[2]) // it is digits
				select {
				case arrived <- arrival{i, number, found[1], at}:
				case <-open.stopped:
				}
			}
		})
	}
	return open, s.untilOpen(ctx, count)
}

// openSlowPages opens pages that read slowly, and every second one that never reads, beside others.
func (s *pageSite) openSlowPages(ctx context.Context, count, others int) (*openPages, error) {
	open := &openPages{stopped: make(chan struct{})}
	if err := s.untilOpen(ctx, others); err != nil { // earlier ones have been noticed to be gone
		return open, err
	}
	for i := range count {
		conn, err := s.openPage(ctx, "")
		if err != nil {
			return open, err
		}
		open.conns = append(open.conns, conn)
		if i%2 == 0 {
			continue
		}
		open.reading.Go(func() {
			for buffer := make([]byte, slowBytes); ; {
				if _, err := conn.Read(buffer); err != nil {
					return
				}
				select {
				case <-time.After(slowPause):
				case <-open.stopped:
					return
				}
			}
		})
	}
	return open, s.untilOpen(ctx, count+others)
}

// openPage requests what happens in the channel. The kernel keeps little for a reader who does not read.
func (s *pageSite) openPage(ctx context.Context, token string) (net.Conn, error) {
	address := strings.TrimPrefix(s.url, "http://")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("opening a page: %w", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	request := "GET /live HTTP/1.1\r\nHost: " + address + "\r\n"
	if token != "" {
		request += "X-API-Token: " + token + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a page: %w", err), conn.Close())
	}
	return conn, nil
}

// untilOpen waits until as many pages are open.
func (s *pageSite) untilOpen(ctx context.Context, count int) error {
	return until(ctx, fmt.Sprintf("%d pages to be open", count), func() (bool, error) {
		open, err := s.process.metric(ctx, "rosey_web_streams")
		return open == float64(count), err
	})
}
