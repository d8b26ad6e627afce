//go:build linux

package natsserver

import (
	_ "unsafe" // for go:linkname

	_ "github.com/nats-io/nats-server/v2/server/pse" // it is initialized before this package
)

// statFile is what package pse of the NATS server reads every second, in every process that links the server: that is
// each bot and database service too, which then wake up more often for it than for lines of chat. Without a name the
// file cannot be read, and pse stops. Nothing but the server's own monitoring, which Start does not enable, needs it.
//
//go:linkname statFile github.com/nats-io/nats-server/v2/server/pse.procStatFile
var statFile string

func init() { stopSampling() }

// stopSampling keeps the address of the text, so that pse never reads half of a change. The race detector is not told,
// because a lock that pse does not take would not help.
//
//go:norace
func stopSampling() { statFile = statFile[:0] }
