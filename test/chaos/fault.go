package chaos

import (
	"strings"
	"time"
)

// Kind is a kind of fault, named as in the report.
type Kind string

// The kinds of faults. The leader is the bot that is in the channel.
const (
	KillLeader Kind = "kill leader"
	// LoseLeader kills the leader, which is not restarted for a while.
	LoseLeader  Kind = "lose leader"
	PauseLeader Kind = "pause leader"
	CutLeader   Kind = "cut leader off the network"
	// The long variants need a standby, which takes over meanwhile.
	PauseLeaderLong Kind = "pause leader for long"
	CutLeaderLong   Kind = "cut leader off the network for long"
	LeaderLosesBus  Kind = "cut leader off NATS"
	DropLeader      Kind = "CyTube drops the leader"
	KillStandby     Kind = "kill standby"
	PauseStandby    Kind = "pause standby"
	CutStandby      Kind = "cut standby off the network"
	RollBots        Kind = "roll the bots"

	KillDatabase  Kind = "kill database service"
	PauseDatabase Kind = "pause database service"
	CutDatabase   Kind = "cut database service off the network"
	RollDatabases Kind = "roll the database services"
	RollAll       Kind = "roll both Deployments"

	KillNATS      Kind = "kill NATS"
	RestartNATS   Kind = "restart NATS"
	PauseNATS     Kind = "pause NATS"
	KillPostgres  Kind = "kill PostgreSQL"
	RestartPG     Kind = "restart PostgreSQL"
	PausePostgres Kind = "pause PostgreSQL"
	CutPostgres   Kind = "cut database service off PostgreSQL"
	RestartCyTube Kind = "restart CyTube"

	KillCollector  Kind = "kill the Collector"
	PauseCollector Kind = "pause the Collector"

	StopKubelet   Kind = "stop the leader's kubelet"
	PartitionNode Kind = "partition a node"
)

// Fault is a scheduled fault.
type Fault struct {
	Kind Kind
	// Quiet is the time without faults before it.
	Quiet time.Duration
	// Lasts is the time until it is ended. It is 0 for kills and rolling updates, which end by themselves.
	Lasts time.Duration
	// Pick selects one of several targets, modulo their number.
	Pick int
}

// span is a range of durations.
type span struct{ least, most time.Duration }

// spans are the durations of faults. While the leader is in the user list but receives nothing, every line must be
// stored, but CyTube repeats only the last 15. So without a standby that takes over, such a fault is shorter than 15
// lines take at Options.Pace.
var spans = map[Kind]span{
	LoseLeader:      {5 * time.Second, 12 * time.Second},
	PauseLeader:     {2 * time.Second, 7 * time.Second},
	CutLeader:       {2 * time.Second, 6 * time.Second},
	PauseLeaderLong: {8 * time.Second, 20 * time.Second},
	CutLeaderLong:   {8 * time.Second, 20 * time.Second},
	LeaderLosesBus:  {3 * time.Second, 12 * time.Second},
	PauseStandby:    {3 * time.Second, 12 * time.Second},
	CutStandby:      {3 * time.Second, 12 * time.Second},
	PauseDatabase:   {2 * time.Second, 12 * time.Second},
	CutDatabase:     {2 * time.Second, 12 * time.Second},
	KillNATS:        {0, 5 * time.Second},
	RestartNATS:     {0, 5 * time.Second},
	PauseNATS:       {2 * time.Second, 10 * time.Second},
	KillPostgres:    {0, 5 * time.Second},
	RestartPG:       {0, 5 * time.Second},
	PausePostgres:   {2 * time.Second, 10 * time.Second},
	CutPostgres:     {2 * time.Second, 12 * time.Second},
	RestartCyTube:   {time.Second, 8 * time.Second},
	KillCollector:   {0, 5 * time.Second},
	PauseCollector:  {5 * time.Second, 15 * time.Second},
	StopKubelet:     {5 * time.Second, 25 * time.Second},
	PartitionNode:   {5 * time.Second, 25 * time.Second},
}

// silences are the faults in which the leader is in the user list and receives nothing.
var silences = map[Kind]bool{
	PauseLeader: true, PauseLeaderLong: true, CutLeader: true, CutLeaderLong: true,
}

// interruptions are the faults that can occur after a bot has said an outbound line and before it has reported it.
var interruptions = map[Kind]bool{
	KillLeader: true, LoseLeader: true, PauseLeader: true, PauseLeaderLong: true, CutLeader: true, CutLeaderLong: true,
	LeaderLosesBus: true, StopKubelet: true, PartitionNode: true,
}

// deaf reports whether the leader received nothing during the fault although it was in the user list.
func (h InjectedFault) deaf() bool {
	return silences[h.Kind] || strings.HasSuffix(h.Target, withLeader)
}

// withLeader is appended to the name of a node that runs the leader's pod.
const withLeader = " with the leader"
