package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// quotaNamespace is the namespace in which no Deployment can be created.
const quotaNamespace = "quota"

// ill measures what the operator does for many RoseyBots none of which can become ready, and for one that can. It
// measures in the order of its methods.
type ill struct {
	*fleet
	table

	count     int // of RoseyBots that are ill
	newcomers int
	rest      time.Duration
	flapPause time.Duration
	profiles  string                                        // directory
	ips       map[status.Component]map[status.Reason]string // of the processes that report a reason
}

func measureIll(ctx context.Context, options options) (_ table, err error) {
	m := &ill{
		count: options.count, newcomers: max(1, min(20, options.count/50)), rest: options.rest, flapPause: 30 * time.Second,
		profiles: options.profiles,
	}
	m.title = fmt.Sprintf("%d RoseyBots that are ill in %d ways", m.count, len(illnesses))
	defer func() { err = errors.Join(err, m.close()) }()
	return m.table, doSteps(ctx, []step{
		{"API server, controllers and operator start", m.start},
		{"RoseyBots are created that cannot become ready", m.measureCreation},
		{fmt.Sprintf("they stay ill for %s", m.rest), m.measureRest("at first")},
		{fmt.Sprintf("they stay ill for another %s", m.rest), m.measureRest("later")},
		{"healthy RoseyBots are created among them", m.measureHealthy},
	})
}

func (m *ill) start(ctx context.Context) (err error) {
	if m.fleet, err = startFleet(ctx, false, m.flapPause, m.behave); err != nil {
		return err
	}
	m.ips = map[status.Component]map[status.Reason]string{status.BotComponent: {}, status.DatabaseComponent: {}}
	for _, each := range illnesses {
		for component, reason := range map[status.Component]status.Reason{
			status.BotComponent: each.ofBot, status.DatabaseComponent: each.ofDatabase,
		} {
			if reason == "" {
				continue
			}
			m.ips[component][reason], err = m.startProcess(ctx, status.Report{
				Component: component, Reason: reason, Message: "as the benchmark says",
				Checks: []status.Check{{Name: status.ChannelCheck, Reason: reason, Message: "as the benchmark says"}},
			})
			if err != nil {
				return err
			}
		}
	}
	if m.ips[status.BotComponent][status.ReasonReady], err = m.startProcess(ctx, joined); err != nil {
		return err
	}
	for _, namespace := range []string{crowd, quotaNamespace} {
		if err := createNamespace(ctx, m.admin, namespace); err != nil {
			return err
		}
	}
	if err := createQuota(ctx, m.admin, quotaNamespace); err != nil {
		return err
	}
	return m.createSample(ctx)
}

func (m *ill) close() error {
	if m.fleet == nil {
		return nil
	}
	return m.fleet.close()
}

// illnessOf returns the illness of a RoseyBot, by its name.
func illnessOf(bot string) (found illness, isIll bool) {
	name, _, _ := strings.Cut(bot, "-")
	i := slices.IndexFunc(illnesses, func(each illness) bool { return each.name == name })
	if i < 0 {
		return illness{}, false
	}
	return illnesses[i], true
}

// silentIP is the address of pods whose processes do not run.
var silentIP = fmt.Sprintf("127.%d.254.1", podNetwork)

// behave returns how a pod behaves.
func (m *ill) behave(pod *corev1.Pod) behaviour {
	ready := healthy(m.ips[status.BotComponent][status.ReasonReady])
	found, isIll := illnessOf(pod.Labels[manifests.LabelRoseyBot])
	if !isIll {
		return ready
	}
	component, reason := status.DatabaseComponent, found.ofDatabase
	if isBot(pod) {
		component, reason = status.BotComponent, found.ofBot
	}
	switch {
	case found.pod != nil:
		return behaviour{ip: silentIP, isBound: !found.notScheduled, status: found.pod, flaps: found.flaps}
	case reason == "":
		return ready
	}
	return behaviour{ip: m.ips[component][reason], isBound: true, status: func(*corev1.Pod, int) {}}
}

// measureCreation creates the RoseyBots, and waits until the status of each says what it suffers from.
func (m *ill) measureCreation(ctx context.Context) error {
	mark, began := m.requests.mark(), time.Now()
	before, err := m.scrape(ctx)
	if err != nil {
		return err
	}
	err = inParallel(m.count, func(i int) error {
		suffers := illnesses[i%len(illnesses)]
		bot := newBot(crowd, fmt.Sprintf("%s-%d", suffers.name, i))
		if suffers.quota {
			bot.Namespace = quotaNamespace
		}
		if suffers.prepare != nil {
			if err := suffers.prepare(ctx, m.admin, bot); err != nil {
				return err
			}
		}
		if err := m.admin.Create(ctx, bot); err != nil {
			return fmt.Errorf("creating %s: %w", bot.Name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := m.waitReasons(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := m.scrape(ctx)
	if err != nil {
		return err
	}
	m.report("each status says what is wrong, after", "%.1f s", took.Seconds())
	m.reportCalls("until then, for each: ", mark, float64(m.count))
	m.report("until then, for each: reconciles", "%.1f", (after.reconciles-before.reconciles)/float64(m.count))
	return nil
}

// waitReasons waits until each RoseyBot that is ill says so.
func (m *ill) waitReasons(ctx context.Context) error {
	var missing string
	err := m.seen.wait(ctx, "each RoseyBot says what is wrong", func() bool {
		ofBots := 0
		missing = ""
		for key, bot := range m.seen.bots {
			suffers, isIll := illnessOf(key.Name)
			if !isIll {
				continue
			}
			ofBots++
			if bot.reason != suffers.reason {
				missing = fmt.Sprintf("%s has the reason %q, want %q", key, bot.reason, suffers.reason)
			}
		}
		return ofBots == m.count && missing == ""
	})
	if err != nil {
		return fmt.Errorf("%w; %s", err, missing)
	}
	return nil
}

// reportCalls reports the requests after a mark by what they do, each as a part of divisor, and all without Events.
func (m *ill) reportCalls(prefix string, mark int, divisor float64) {
	kinds, others, emitted := map[string]int{}, 0, 0
	for _, each := range m.requests.since(mark) {
		kinds[each.String()]++
		if each.isEvent() {
			emitted++
			continue
		}
		others++
	}
	m.report(prefix+"requests without Events", "%.1f", float64(others)/divisor)
	m.report(prefix+"Events", "%.1f", float64(emitted)/divisor)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		m.report(prefix+kind, "%.1f", float64(kinds[kind])/divisor)
	}
}

// measureRest returns a measurement that counts requests while the RoseyBots stay ill.
func (m *ill) measureRest(when string) func(context.Context) error {
	return func(ctx context.Context) error { return m.countAtRest(ctx, when) }
}

func (m *ill) countAtRest(ctx context.Context, when string) error {
	before, err := m.scrape(ctx)
	if err != nil {
		return err
	}
	mark := m.requests.mark()
	err = m.profile(ctx, m.profiles, "ill-"+when, func() error { return pause(ctx, m.rest) })
	if err != nil {
		return err
	}
	after, err := m.scrape(ctx)
	if err != nil {
		return err
	}
	m.reportCalls(when+", per minute: ", mark, m.rest.Minutes())
	m.report(when+", per minute: reconciles", "%.0f", (after.reconciles-before.reconciles)/m.rest.Minutes())
	m.report(when+", per minute: processor time of the operator", "%.1f s",
		(after.processor-before.processor)/m.rest.Minutes())
	return nil
}

// measureHealthy creates healthy RoseyBots one after another.
func (m *ill) measureHealthy(ctx context.Context) error {
	took, err := m.measureNewcomers(ctx, crowd, "healthy", m.newcomers)
	if err != nil {
		return err
	}
	m.report(fmt.Sprintf("a healthy RoseyBot has its objects, median of %d", m.newcomers), "%s",
		medianAndLongest(took.objects))
	m.report("from its pods being ready until it is", "%s", medianAndLongest(took.ready))
	return nil
}
