package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
)

// tracesRate is in lines per second.
const tracesRate = 2000

// measureTraces measures the CPU time of the bot and of its service for the lines of measureChat, in turn without
// traces and with those of one line of a hundred.
func measureTraces(ctx context.Context, b *bench) error {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a collector that takes everything
	}))
	defer receiver.Close()
	variants := []struct {
		name        string
		environment []string
	}{
		{"traces off", nil},
		{"traces of 1 %", []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL, "OTEL_TRACES_SAMPLER=parentbased_traceidratio",
			"OTEL_TRACES_SAMPLER_ARG=0.01",
		}},
	}
	defer func() { b.environment = nil }()
	bots, boths := make([][]float64, len(variants)), make([][]float64, len(variants))
	for range b.tracesRounds {
		for i, variant := range variants {
			b.environment = variant.environment
			bot, both, err := b.chat(ctx, overStream, tracesRate)
			if err != nil {
				return fmt.Errorf("%s: %w", variant.name, err)
			}
			bots[i], boths[i] = append(bots[i], bot.Seconds()), append(boths[i], both.Seconds())
		}
	}
	unit := fmt.Sprintf("s for %d lines", b.chatLines)
	for _, each := range []struct {
		what  string
		times [][]float64
	}{{"bot", bots}, {"bot and service", boths}} {
		name := func(variant int) string { return each.what + ", " + variants[variant].name }
		b.report(name(0), median(each.times[0]), unit, "")
		b.report(name(1), median(each.times[1]), unit, name(0))
	}
	return nil
}
