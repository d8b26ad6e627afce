package storetest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// TestMain stops the PostgreSQL server of the tests.
func TestMain(m *testing.M) { os.Exit(pgtest.Run(m.Run)) }

func TestSQLite(t *testing.T) {
	run(t, func(t *testing.T) (store.Store, error) {
		return sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rosey.db"))
	})
}

func TestPostgreSQL(t *testing.T) {
	server := pgtest.Use(t)
	run(t, func(t *testing.T) (store.Store, error) { return postgres.Open(t.Context(), server.URLFile(t)) })
}

// oddSettings are defaults that administrators set for a role or a database, and which must not matter.
const oddSettings = `
ALTER DATABASE %[1]s SET default_transaction_isolation = 'serializable';
ALTER DATABASE %[1]s SET default_transaction_read_only = on;
ALTER DATABASE %[1]s SET statement_timeout = '20s';
ALTER DATABASE %[1]s SET idle_in_transaction_session_timeout = '20s';
ALTER DATABASE %[1]s SET timezone = 'Asia/Kolkata';
ALTER DATABASE %[1]s SET datestyle = 'German';
ALTER DATABASE %[1]s SET search_path = 'elsewhere', 'public';
ALTER DATABASE %[1]s SET plan_cache_mode = 'force_generic_plan'`

// A pooler of transactions gives each of them another connection, and one process may have few.
func TestPostgreSQLBehindAPooler(t *testing.T) {
	server := pgtest.Use(t)
	pooler := server.StartPooler(t, 4)
	run(t, func(t *testing.T) (store.Store, error) {
		parsed, err := url.Parse(server.Database(t))
		if err != nil {
			return nil, err
		}
		database := parsed.User.Username()
		for statement := range strings.SplitSeq(fmt.Sprintf(oddSettings, database), ";") {
			server.Execute(t, statement)
		}
		return postgres.Open(t.Context(), pgtest.WriteURL(t,
			pooler.URL(database)+"&default_query_exec_mode=exec&pool_max_conns=1"))
	}, "outbound reports merge", "events merge") // many transactions about rows alone
}

// run tests the stores that open returns, which are new and empty. It leaves out some tests.
func run(t *testing.T, open func(t *testing.T) (store.Store, error), leftOut ...string) {
	t.Helper()
	for name, test := range contract {
		if slices.Contains(leftOut, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := opened.Close(); err != nil {
					t.Error(err)
				}
			})
			test(storeTest{t, opened})
		})
	}
}

// contract are the tests that every store must pass. Each gets an empty store.
var contract = map[string]func(t storeTest){
	"identity":                            identity,
	"empty store":                         emptyStore,
	"stream position":                     streamPosition,
	"emptiness":                           isEmpty,
	"events merge":                        eventsMerge,
	"batch is all or nothing":             allOrNothing,
	"concurrent use":                      concurrentUse,
	"chat lines":                          chatLines,
	"recent chat":                         recentChat,
	"lines of one millisecond":            oneMillisecond,
	"text":                                unsafeText,
	"events without a user":               withoutUser,
	"top chatters":                        topChatters,
	"spellings of a name":                 spellings,
	"users":                               users,
	"one user":                            oneUser,
	"unseen leaves":                       unseenLeaves,
	"high water":                          highWater,
	"user counts":                         userCounts,
	"status":                              status,
	"actions":                             actions,
	"what plugins did":                    pluginActions,
	"channels":                            channels,
	"outbound order":                      outboundOrder,
	"outbound channels":                   outboundChannels,
	"outbound reports of another channel": outboundForeignReports,
	"event IDs of another channel":        sameIDs,
	"outbound client IDs":                 outboundClientIDs,
	"outbound claims":                     outboundClaims,
	"outbound claimed since":              outboundClaimedSince,
	"outbound trace":                      outboundTrace,
	"outbound next due":                   outboundNextDue,
	"outbound back-off":                   outboundBackOff,
	"outbound failures":                   outboundFailures,
	"outbound ID assigned again":          outboundReassignedID,
	"outbound late failure":               outboundLateFailure,
	"outbound reports not applied":        outboundUnappliedReports,
	"outbound restarted claimant":         outboundRestartedClaimant,
	"outbound reports merge":              outboundReportsMerge,
	"outbound offered too often":          outboundMaxOffers,
	"key-value":                           keyValue,
	"key-value expiry":                    keyValueExpiry,
	"key-value list":                      keyValueList,
	"prune chat":                          pruneChat,
	"prune user counts and outbound":      pruneOthers,
	"optimize and size":                   optimize,
	"dead letters":                        deadLetters,
	"plays":                               plays,
	"plays that were paused":              pausedPlays,
	"hours":                               hours,
	"joins":                               joins,
	"steps of user counts":                countSteps,
	"pages of chat":                       chatPages,
	"pages of users":                      userPages,
	"times of users":                      userTimes,
	"pages of outbound messages":          outboundPages,
	"dead letter quota":                   deadLetterQuota,
	"key-value revisions":                 keyValueRevisions,
	"key-value compare and set":           keyValueCompareAndSet,
	"key-value compare and set together":  keyValueCompareAndSetTogether,
	"key-value add":                       keyValueAdd,
	"key-value add together":              keyValueAddTogether,
	"key-value add within quota":          keyValueAddQuota,
	"key-value pages":                     keyValuePages,
	"key-value quota":                     keyValueQuota,
	"key-value quota of a channel":        keyValueChannelQuota,
	"key-value quota is exact":            keyValueQuotaIsExact,
	"outbound quota":                      outboundQuota,
	"outbound within bytes":               outboundWithin,
	"recent chat within bytes":            recentChatWithin,
	"usage":                               usage,
	"known users":                         knownUsers,
	"prune people":                        prunePeople,
	"forgotten users":                     forgottenUsers,
	"one ID twice":                        oneIDTwice,
	"days without lines":                  emptyDays,
	"outbound taken back":                 cancelledMessages,
	"prune people of many events":         pruneManyEvents,
	"pruned people and late events":       lateEventsOfPrunedPeople,
	"expired rows":                        expiredRows,
	"announced removals":                  removals,
	"newest joins and leaves":             newestPresence,
}

func chatLine(n float64, user, text string) store.Event {
	return event(n, store.ChatLine{Username: user, Text: text})
}

func emptyStore(t storeTest) {
	t.apply()
	want := rows{
		Chat: []store.RecentLine{}, Top: []store.Chatter{}, Users: []store.User{}, Counts: []store.CountSample{},
		Status: map[string]json.RawMessage{}, Actions: []store.PastAction{}, Due: []store.OutboundMessage{},
		Plays: []store.Play{}, Hours: map[string][]store.HourCount{"alice": {}, "bob": {}, "carol": {}},
		Lines: []store.OutboundRow{},
	}
	same(t, "an empty store", want, t.read(movies))
	t.reportSent(4711, 0)
	same(t, "after a report on an unknown message", want, t.read(movies))
}
