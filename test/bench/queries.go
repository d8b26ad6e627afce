package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// askedQueries are those of the pages of the web page, and a search that matches nothing, of which each request reads
// as many lines as one may.
var askedQueries = []struct {
	name   string
	suffix bus.Suffix
	body   string
}{
	{"the newest 50 lines", bus.QueryChat, `{}`},
	{"a search in all lines", bus.QueryChat, `{"words":"no line has this"}`},
	{"50 users", bus.QueryUsers, `{}`},
	{"50 users by hours", bus.QueryUsers, `{"sort":"hours"}`},
	{"one user", bus.QueryUser, `{"username":"user07"}`},
	{"what was played", bus.QueryMedia, `{}`},
	{"outbound lines", bus.QueryOutbound, `{}`},
	{"records", bus.QueryRecords, `{}`},
	{"users over a day", bus.QueryUserCounts, `{"joins":true}`},
}

// measureQueries sends the queries of the web page to a service that has stored many lines.
func measureQueries(ctx context.Context, b *bench) error {
	makers, err := b.makers(ctx)
	if err != nil {
		return err
	}
	for _, maker := range makers {
		if err := b.queries(ctx, maker); err != nil {
			return fmt.Errorf("%s: %w", maker.name, err)
		}
	}
	return nil
}

func (b *bench) queries(ctx context.Context, maker maker) (err error) {
	w, err := b.newWorld(false)
	if err != nil {
		return err
	}
	defer w.close()
	r, err := b.newTrial(ctx, w, maker, way{lines: b.queryLines, services: 1})
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return err
	}
	if err := publishCore(ctx, r.conn, r.messages, 1000, 2); err != nil {
		return err
	}
	took := make([][]float64, len(askedQueries))
	for range b.queryRounds {
		for i, each := range askedQueries {
			began := time.Now()
			if err := waitForResponder(ctx, r.conn, prefix+"."+string(each.suffix), each.body); err != nil {
				return err
			}
			took[i] = append(took[i], time.Since(began).Seconds()*1e3)
		}
	}
	first := fmt.Sprintf("%s, %s: p50", maker.name, askedQueries[0].name)
	for i, each := range askedQueries {
		b.report(fmt.Sprintf("%s, %s: p50", maker.name, each.name), percentile(took[i], 50), "ms", unlessFirst(i, first))
	}
	return nil
}
