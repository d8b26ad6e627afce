package speech

import (
	"testing"
	"testing/synctest"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// says sets what the replies of the service say about the next line.
func (c *channel) says(nextDue time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextDue = &nextDue
}

// announce announces a line.
func (c *channel) announce() {
	select {
	case c.waits <- struct{}{}:
	default:
	}
	synctest.Wait()
}

// takeRequests returns how many requests for lines there were since the last call.
func (c *channel) takeRequests() int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	count := len(c.requests)
	c.requests = nil
	return count
}

func TestAnAnnouncedLineIsRequestedAtOnce(t *testing.T) {
	joining(t, func(t *testing.T, c *channel) {
		c.behave(c.echo, c.takeReports)
		c.says(bus.MaxNextDue)
		c.Joined(time.Now())
		c.SetPermission(PermissionGranted)
		if got := c.takeRequests(); got != 1 {
			t.Errorf("%d requests on joining", got)
		}
		pass(time.Second)
		c.put(queuedLine(1, "hello"))
		c.announce()
		c.expect(t, "sent", &c.sent, "hello")
		c.announce()
		c.put(queuedLine(2, "again"))
		pass(minPause)
		c.expect(t, "sent", &c.sent, "hello", "again")
	})
}

// TestAFloodOfAnnouncementsIsNoFloodOfRequests checks that requests keep a distance, whoever announces lines.
func TestAFloodOfAnnouncementsIsNoFloodOfRequests(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		c.says(bus.MaxNextDue)
		c.takeRequests()
		for range 1000 {
			c.announce()
			pass(time.Millisecond)
		}
		if got, most := c.takeRequests(), int(time.Second/minPause)+1; got > most {
			t.Errorf("%d requests in a second, expected at most %d", got, most)
		}
	})
}

// TestPolling checks how often the queue is polled: a service that announces lines rarely, and when it says that a line
// is due.
func TestPolling(t *testing.T) {
	for name, test := range map[string]struct {
		nextDue *time.Duration
		want    int // requests in a minute
	}{
		"a service that announces nothing": {nil, 30},
		"a line is due after 3 s":          {new(3 * time.Second), 20},
		"nothing waits":                    {new(bus.MaxNextDue), 6},
		"a line is due now":                {new(time.Duration), int(time.Minute / minPause)},
	} {
		t.Run(name, func(t *testing.T) {
			inChannel(t, func(t *testing.T, c *channel) {
				c.mu.Lock()
				c.nextDue = test.nextDue
				c.mu.Unlock()
				pass(2 * time.Second)
				c.takeRequests()
				pass(time.Minute)
				if got := c.takeRequests(); got != test.want {
					t.Errorf("%d requests in a minute, expected %d", got, test.want)
				}
			})
		})
	}
}
