package database

import (
	"context"

	"rosey.dev/rosey/runtime/bus"
)

// reports are taken without an answer too, unless one is asked for.
var reports = []bus.Suffix{bus.OutboundSent, bus.OutboundFailed}

// asked are the subjects that are answered.
var asked = []bus.Suffix{
	bus.OutboundPut, bus.StatsRecentChat, bus.QueryChannelStats, bus.QueryUserStats,
	bus.KVSet, bus.KVGet, bus.KVDelete, bus.KVList, bus.MaintenanceRun,
	bus.OutboundGet, // the last, since by it bots find out whether a service is there
}

// question answers a message, in the client's terms, with an error too.
type question func(w *worker, ctx context.Context, m arrival) (body any, err error)

// answeredLater is the body of an answer that somebody else gives.
type answeredLater struct{}

// questions are all subjects whose messages are worked on by themselves.
var questions = map[bus.Suffix]question{
	bus.OutboundSent:      (*worker).markSent,
	bus.OutboundFailed:    (*worker).markFailed,
	bus.OutboundPut:       (*worker).put,
	bus.OutboundGet:       (*worker).outbound,
	bus.StatsRecentChat:   (*worker).recentChat,
	bus.QueryChannelStats: (*worker).channelStats,
	bus.QueryUserStats:    (*worker).userStats,
	bus.KVSet:             (*worker).kvSet,
	bus.KVGet:             (*worker).kvGet,
	bus.KVDelete:          (*worker).kvDelete,
	bus.KVList:            (*worker).kvList,
	bus.MaintenanceRun:    (*worker).maintain,
}
