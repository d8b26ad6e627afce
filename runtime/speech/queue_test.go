package speech

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

func queuedLine(id int64, text string) bus.OutboundMessage {
	return bus.OutboundMessage{ID: id, Timestamp: 10, Message: text, LeaseSeconds: 60}
}

// claimedLine is line 1, which another bot claimed at a time.
func claimedLine(text string, at time.Time) bus.OutboundMessage {
	m := queuedLine(1, text)
	m.ClaimedSince = bus.Seconds{Time: at}
	return m
}

func (c *channel) expectMarked(t *testing.T, want ...int64) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff := cmp.Diff(want, c.marked); diff != "" {
		t.Errorf("reported as sent (-want +got):\n%s", diff)
	}
}

// onlyFailure returns the one failure that was reported.
func (c *channel) onlyFailure(t *testing.T) bus.OutboundFailedPayload {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failures) != 1 {
		t.Fatalf("%d failures were reported: %v", len(c.failures), c.reports)
	}
	return c.failures[0]
}

func TestLinesOfTheQueueAreSaidInOrder(t *testing.T) {
	inChannelThat(t, func(c *channel) { c.behave(c.echo, c.takeReports) }, func(t *testing.T, c *channel) {
		pass(5 * time.Second)
		c.expect(t, "sent", &c.sent, "first", "<b>second</b>")
		c.expectMarked(t, 1, 2, 3)
	}, queuedLine(1, "first"), queuedLine(2, " "), queuedLine(3, "<b>second</b>"))
}

func TestALongLineIsSaidInParts(t *testing.T) {
	text := strings.TrimSpace(strings.Repeat("popcorn 🍿 ", 60))
	inChannelThat(t, func(c *channel) { c.behave(c.echo, c.takeReports) }, func(t *testing.T, c *channel) {
		pass(5 * time.Second)
		if diff := cmp.Diff(text, strings.Join(c.sent, " ")); diff != "" || len(c.sent) != 3 {
			t.Errorf("%d parts (-want +got):\n%s", len(c.sent), diff)
		}
		c.expectMarked(t, 1)
	}, queuedLine(1, text))
}

// TestATooLongLineIsAbandoned checks that nothing of a line is said or kept that no service puts into the queue.
func TestATooLongLineIsAbandoned(t *testing.T) {
	inChannelThat(t, func(c *channel) { c.behave(c.echo, c.takeReports) }, func(t *testing.T, c *channel) {
		pass(5 * time.Second)
		if failure := c.onlyFailure(t); *failure.MessageID != 1 || !failure.Permanent || failure.Error != "too_long" {
			t.Errorf("failure %+v", failure)
		}
		c.expect(t, "sent", &c.sent, "hello")
		for _, l := range c.Tracker.lines {
			if l.rest != "" {
				t.Errorf("%d bytes of line %d are kept", len(l.rest), l.id)
			}
		}
	}, queuedLine(1, strings.Repeat("x ", bus.MaxOutboundBytes)), queuedLine(2, "hello"))
}

// TestAReplyWithMoreLinesThanRequested checks that the bot asks again after the line that it asked for.
func TestAReplyWithMoreLinesThanRequested(t *testing.T) {
	inChannelThat(t, func(c *channel) { c.behave(c.echo, nil) }, func(t *testing.T, c *channel) {
		c.mu.Lock()
		c.allLines = true
		for id := range int64(500) {
			c.lines = append(c.lines, queuedLine(100+id, "forged"))
		}
		c.mu.Unlock()
		pass(3 * time.Second)
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.limits) < 2 || len(c.sent) > len(c.limits) {
			t.Errorf("%d lines were said after %d requests", len(c.sent), len(c.limits))
		}
	})
}

// TestANewDatabaseCountsFromOneAgain checks that two lines with one ID that were queued at different times are both
// said.
func TestANewDatabaseCountsFromOneAgain(t *testing.T) {
	inChannelThat(t, func(c *channel) { c.behave(c.echo, c.takeReports) }, func(t *testing.T, c *channel) {
		pass(5 * time.Second)
		again := queuedLine(1, "again")
		again.Timestamp = 20
		c.put(again)
		pass(5 * time.Second)
		c.expect(t, "sent", &c.sent, "once", "again")
	}, queuedLine(1, "once"))
}

// TestLinesThatFailDoNotBlockTheOthers checks this with more failing lines than one request asks for, and a service
// that takes no failures and so hands them out again at every poll.
func TestLinesThatFailDoNotBlockTheOthers(t *testing.T) {
	const failing = 20
	inChannel(t, func(t *testing.T, c *channel) {
		c.behave(func(text string) {
			if !strings.HasPrefix(text, "/") { // the server drops commands that the bot's rank does not allow
				c.echo(text)
			}
		}, c.takeSent)
		for id := range int64(failing) {
			c.put(bus.OutboundMessage{ID: id, Timestamp: 1, Message: "/say only moderators may"})
		}
		c.put(bus.OutboundMessage{ID: failing, Timestamp: 2, Message: "behind them"})
		pass(failing*echoTimeout + 30*time.Second)
		c.expectMarked(t, failing)
		pass(time.Hour)
		if sent := c.countSent(); sent != failing+1 {
			t.Errorf("%d attempts at %d lines", sent, failing+1)
		}
	})
}

// TestACommandWithoutAnEchoIsAbandoned checks this for a command that the server drops because only moderators may use
// it.
func TestACommandWithoutAnEchoIsAbandoned(t *testing.T) {
	inChannelThat(t, func(c *channel) { c.behave(nil, c.takeReports) }, func(t *testing.T, c *channel) {
		pass(8 * time.Second)
		failure := c.onlyFailure(t)
		if *failure.MessageID != 1 || failure.MessageTimestamp != 10 || !failure.Permanent || failure.Error != "unanswered" {
			t.Errorf("failure %+v", failure)
		}
		c.HeardOwn(echo("hello"))
		pass(time.Second)
		c.expectMarked(t, 2)
		c.expect(t, "sent", &c.sent, "/say HEAR ME", "hello")
	}, queuedLine(1, "/say HEAR ME"), queuedLine(2, "hello"))
}

// TestOnlyTheFirstPartOfACommandIsExecuted checks what reaches the server of lines whose parts begin with "/", also
// when a part is sent again.
func TestOnlyTheFirstPartOfACommandIsExecuted(t *testing.T) {
	long := strings.Repeat("x", cytube.MaxLine-1)
	throttled := map[string]bool{}
	inChannelThat(t, func(c *channel) {
		c.behave(func(text string) {
			if !throttled[text] {
				throttled[text] = true
				c.HeardRefusal(cytube.Cooldown{Wait: time.Second})
				return
			}
			c.echo(text)
		}, c.takeReports)
	}, func(t *testing.T, c *channel) {
		pass(2 * time.Minute)
		for _, text := range c.sent {
			if strings.HasPrefix(text, "/") && text != "/me waves" {
				t.Errorf("executed %.20q", text)
			}
		}
		c.expectMarked(t, 1, 2, 3, 4, 5)
		if len(c.sent) != 9+len(throttled) {
			t.Errorf("sent %.20q", c.sent)
		}
	},
		queuedLine(1, "/me waves\n/kick alice"), queuedLine(2, " /kick alice"), queuedLine(3, "hi\n/kick alice"),
		queuedLine(4, long+" /kick alice"), queuedLine(5, long+"/kick alice"))
}

// TestTheRestOfALongCommandIsNotSaid checks this for a command with a reason, and that a long formatted line is said.
func TestTheRestOfALongCommandIsNotSaid(t *testing.T) {
	reason := strings.TrimSpace(strings.Repeat("rude ", 100))
	inChannelThat(t, func(c *channel) { c.behave(c.echo, c.takeReports) }, func(t *testing.T, c *channel) {
		pass(30 * time.Second)
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.sent) != 3 || !strings.HasPrefix(c.sent[0], "/kick alice rude") || len(c.sent[0]) >= cytube.MaxLine {
			t.Errorf("sent %.30q", c.sent)
		}
	}, queuedLine(1, "/kick alice "+reason), queuedLine(2, "/me "+reason))
}

// TestLinesCannotBeFetched checks what happens when requests for lines fail for a while, twice.
func TestLinesCannotBeFetched(t *testing.T) {
	setOutage := func(c *channel, err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.outage = err
	}
	inChannelThat(t, func(c *channel) { c.behave(c.echo, c.takeReports) }, func(t *testing.T, c *channel) {
		for id := range int64(2) {
			setOutage(c, errors.New("no reply"))
			c.put(queuedLine(id, "after the outage"))
			pass(time.Minute)
			setOutage(c, nil)
			pass(3 * time.Second)
		}
		c.expect(t, "sent", &c.sent, "after the outage", "after the outage")
	})
}

func TestThrottledLinesOfTheQueueAreSentAgain(t *testing.T) {
	inChannelThat(t, func(c *channel) {
		c.behave(func(text string) {
			if c.countSent() == 2 {
				c.HeardRefusal(cytube.Cooldown{Wait: time.Second})
				return
			}
			c.echo(text)
		}, c.takeReports)
	}, func(t *testing.T, c *channel) {
		pass(10 * time.Second)
		c.expect(t, "sent", &c.sent, "one", "two", "two")
		c.expectMarked(t, 1, 2)
	}, queuedLine(1, "one"), queuedLine(2, "two"))
}

func TestALineIsAbandonedWithoutPermission(t *testing.T) {
	for permission, outcome := range map[Permission]Outcome{PermissionMuted: Muted, PermissionRankTooLow: Forbidden} {
		t.Run(string(outcome), func(t *testing.T) {
			inChannelThat(t, func(c *channel) { c.behave(nil, c.takeReports) }, func(t *testing.T, c *channel) {
				c.SetPermission(permission)
				pass(9 * time.Second)
				c.expect(t, "reports before the refusal has lasted", &c.reports)
				pass(5 * time.Second)
				if failure := c.onlyFailure(t); !failure.Permanent || !strings.HasPrefix(failure.Error, string(outcome)) {
					t.Errorf("failure %+v", failure)
				}
				c.expect(t, "sent", &c.sent)
			}, queuedLine(1, "hello?"))
		})
	}
}

// TestALineWaitsForAPermission checks that a line waits when the bot's rank in the channel arrives after the join.
func TestALineWaitsForAPermission(t *testing.T) {
	inChannelThat(t, func(c *channel) { c.behave(c.echo, c.takeReports) }, func(t *testing.T, c *channel) {
		c.SetPermission(PermissionRankTooLow)
		pass(8 * time.Second)
		c.SetPermission(PermissionGranted)
		pass(3 * time.Second)
		c.expect(t, "reports", &c.reports, "mark_sent")
	}, queuedLine(1, "hello"))
}

func TestASpamFilterIsNotPermanent(t *testing.T) {
	line := queuedLine(1, "hello?")
	line.RetryCount = 2
	inChannelThat(t, func(c *channel) {
		c.behave(func(string) { c.HeardRefusal(cytube.SpamFiltered{Reason: "NEW_USER_CHAT"}) }, c.takeReports)
	}, func(t *testing.T, c *channel) {
		pass(3 * time.Second)
		failure := c.onlyFailure(t)
		if failure.Permanent || failure.Error != "filtered: spam filter: NEW_USER_CHAT" || *failure.RetryCount != 2 {
			t.Errorf("failure %+v", failure)
		}
	}, line)
}

// TestTheHistoryShowsWhatAnotherBotSaid checks that, after a bot died that had claimed lines, the next one finds out
// what was said from the chat that the server repeats.
func TestTheHistoryShowsWhatAnotherBotSaid(t *testing.T) {
	part := strings.TrimSpace(strings.Repeat("popcorn ", 40))
	rest := strings.TrimSpace(strings.Repeat("popcorn ", 20))
	const (
		others  = ""             // a line of another user
		earlier = "how is life?" // another user's line from before the claim
	)
	before := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	talk := slices.Repeat([]string{others}, 15)
	doubtful := "mark_failed doubtful: a bot that claimed the line may have said it, " +
		"and the chat history does not go back that far"
	tests := map[string]struct {
		lines   func() []bus.OutboundMessage
		history []string
		sent    []string
		reports []string
	}{
		"said": {
			lines: func() []bus.OutboundMessage {
				return []bus.OutboundMessage{claimedLine("said", before(time.Minute))}
			},
			history: []string{"said"}, reports: []string{"mark_sent"},
		},
		"not said": {
			lines:   func() []bus.OutboundMessage { return []bus.OutboundMessage{claimedLine("new", before(time.Minute))} },
			history: []string{earlier, "said"}, sent: []string{"new"}, reports: []string{"mark_sent"},
		},
		"said in part": {
			lines: func() []bus.OutboundMessage {
				return []bus.OutboundMessage{claimedLine(part+" "+rest, before(time.Minute))}
			},
			history: []string{earlier, part}, sent: []string{rest}, reports: []string{"mark_sent"},
		},
		"same text, never claimed": {
			lines:   func() []bus.OutboundMessage { return []bus.OutboundMessage{queuedLine(1, "said")} },
			history: []string{"said"}, sent: []string{"said"}, reports: []string{"mark_sent"},
		},
		"too short to tell": {
			lines: func() []bus.OutboundMessage {
				return []bus.OutboundMessage{claimedLine("said", before(time.Minute)), queuedLine(2, "new")}
			},
			history: talk, sent: []string{"new"}, reports: []string{doubtful, "mark_sent"},
		},
		"the chat was cleared, then somebody spoke": {
			lines:   func() []bus.OutboundMessage { return []bus.OutboundMessage{claimedLine("said", before(time.Minute))} },
			history: []string{others}, reports: []string{doubtful},
		},
		"the chat was cleared, or nobody ever spoke": {
			lines:   func() []bus.OutboundMessage { return []bus.OutboundMessage{claimedLine("said", before(time.Minute))} },
			reports: []string{doubtful},
		},
		"claimed after the join": { // the reply with the line was lost
			lines:   func() []bus.OutboundMessage { return []bus.OutboundMessage{claimedLine("hello", time.Now())} },
			history: talk, sent: []string{"hello"}, reports: []string{"mark_sent"},
		},
		"a service that does not know claims": {
			lines: func() []bus.OutboundMessage {
				return []bus.OutboundMessage{
					{ID: 1, Timestamp: before(time.Hour).Unix(), Message: "said"},
					{ID: 2, Timestamp: time.Now().Add(time.Hour).Unix(), Message: "said"},
				}
			},
			history: []string{"said", "said"}, sent: []string{"said"}, reports: []string{"mark_sent", "mark_sent"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			joining(t, func(t *testing.T, c *channel) {
				c.behave(c.echo, c.takeReports)
				for i, text := range test.history {
					line := cytube.ChatMessage{HTML: text, Time: before(time.Duration(len(test.history)-i) * time.Second)}
					if text == earlier {
						line.Time = before(time.Hour)
					}
					c.Replayed(line, text != others && text != earlier)
				}
				c.Joined(before(time.Millisecond))
				c.SetPermission(PermissionGranted)
				c.put(test.lines()...)
				pass(5 * time.Second)
				c.expect(t, "sent", &c.sent, test.sent...)
				c.expect(t, "reports", &c.reports, test.reports...)
			})
		})
	}
}
