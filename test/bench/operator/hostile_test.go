package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/apiservertest"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// runTests builds the operator once for all tests.
func runTests(m *testing.M) (code int, err error) {
	if apiservertest.Missing() != "" {
		return m.Run(), nil // all are skipped
	}
	dir, err := os.MkdirTemp("", "rosey-bench-")
	if err != nil {
		return 0, fmt.Errorf("creating a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if builtOperator, err = buildOperator(context.Background(), dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// limit allows a burst at once, and then one each interval.
type limit struct {
	burst    int
	interval time.Duration
}

// within returns how often a limit allows something in a time. One more may be on its way.
func (l limit) within(length time.Duration) int { return l.burst + int(length/l.interval) + 1 }

// What the operator's limits allow for a RoseyBot, as docs/security.md says.
var (
	podRequests  = limit{10, 2 * time.Second}
	statusWrites = limit{20, 5 * time.Second}
	events       = limit{10, 30 * time.Second}
)

// The short form of the benchmark: beside RoseyBots whose pods hang, lie or flood, one of another namespace gets its
// objects and the words of its pod, and what the hostile pods can cause is bounded.
func TestHostilePodsCauseABoundedNumberOfRequests(t *testing.T) {
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
	checkPort(t)
	t.Parallel()
	h := &hostile{count: 6, strangers: 2, flipPause: 10 * time.Millisecond}
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	do(t.Context(), t, h.start)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	do(ctx, t, h.measureAlone, h.attack)
	do(ctx, t, func(ctx context.Context) error {
		return untilEvery(ctx, pollPause, "the bursts of requests and of statuses are used up", func() (bool, error) {
			// Some requests are dropped, because the pod has changed before its turn came.
			return h.mostAsked() >= podRequests.burst/2 && h.mostStatuses() >= statusWrites.burst, nil
		})
	}, h.measureBeside)
	length := time.Since(h.began)
	for _, bot := range h.bots {
		if got := bot.asked(); got > podRequests.within(length) {
			t.Errorf("%s was asked %d times in %s, want at most %d", bot.name, got, length, podRequests.within(length))
		}
		// The first status, which is about a new generation, is not limited.
		if got := h.statuses(bot); got > statusWrites.within(length)+1 {
			t.Errorf("the status of %s was written %d times in %s, want at most %d", bot.name, got, length,
				statusWrites.within(length)+1)
		}
	}
	emitted := h.requests.count(func(c call) bool { return c.isIn(hostileNamespace) && c.isEvent() })
	if most := h.count * events.within(length); emitted > most {
		t.Errorf("there were %d Events in %s, want at most %d", emitted, length, most)
	}
	other := h.requests.count(func(c call) bool {
		return c.isIn(hostileNamespace) && !c.isEvent() && !c.isStatus() && !c.isCreation()
	})
	// The list of channels is written again when the claim is there. No pod can cause that.
	if most := 10 * h.count; other > most {
		t.Errorf("there were %d other requests about the hostile RoseyBots, want at most %d", other, most)
	}
	// Otherwise this test showed nothing: the attack goes on until its end.
	asked := h.asked()
	do(ctx, t, func(ctx context.Context) error {
		return untilEvery(ctx, pollPause, "another request to a hostile pod", func() (bool, error) {
			return h.asked() > asked, nil
		})
	})
}

func do(ctx context.Context, t *testing.T, steps ...func(context.Context) error) {
	t.Helper()
	for _, step := range steps {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *hostile) statuses(bot *hostileBot) int {
	path := fmt.Sprintf("/apis/rosey.dev/v1alpha1/namespaces/%s/roseybots/%s/status", hostileNamespace, bot.name)
	return h.requests.count(func(c call) bool { return c.isStatus() && c.path == path })
}

func (h *hostile) mostAsked() (most int) {
	for _, bot := range h.bots {
		most = max(most, bot.asked())
	}
	return most
}

func (h *hostile) mostStatuses() (most int) {
	for _, bot := range h.bots {
		most = max(most, h.statuses(bot))
	}
	return most
}

// checkPort skips the test if another program listens at the port of /status on all addresses.
func checkPort(t *testing.T) {
	t.Helper()
	address := net.JoinHostPort(fmt.Sprintf("127.%d.255.1", podNetwork), strconv.Itoa(status.HTTPPort))
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		t.Skip("another program listens at the port on all addresses: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
}
