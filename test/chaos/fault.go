package chaos

import (
	"strings"
	"time"
)

// Kind is a kind of fault. Its text is what the report calls it.
type Kind string

// The kinds of faults. "Leader" is the bot that is in the channel, and the only one where there is one.
const (
	KillLeader Kind = "kill leader"
	// LoseLeader is a kill after which nothing starts it again for a while.
	LoseLeader  Kind = "lose leader"
	PauseLeader Kind = "pause leader"
	CutLeader   Kind = "cut leader off the network"
	// The long ones are for where another bot stands by: it comes meanwhile.
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

	StopKubelet   Kind = "stop the leader's kubelet"
	PartitionNode Kind = "partition a node"
)

// Fault is one thing that goes wrong.
type Fault struct {
	Kind Kind
	// Quiet is how long all must have been well before it.
	Quiet time.Duration
	// Lasts is the time until it is mended. Kills and rolling updates mend themselves: 0.
	Lasts time.Duration
	// Pick chooses one of several targets: any number, to be taken modulo their count.
	Pick int
}

// span is how long faults of a kind last.
type span struct{ least, most time.Duration }

// spans hold for what lasts. While the leader is deaf but in the user list, every line that is said counts as said
// in its presence, and CyTube repeats only the last 15: such a fault lasts no longer than they do at Options.Pace,
// unless a standby takes over meanwhile.
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
	StopKubelet:     {5 * time.Second, 25 * time.Second},
	PartitionNode:   {5 * time.Second, 25 * time.Second},
}

// silences are the faults in which the leader is in the user list and hears nothing.
var silences = map[Kind]bool{
	PauseLeader: true, PauseLeaderLong: true, CutLeader: true, CutLeaderLong: true,
}

// interruptions are the faults that can come between a bot's saying an outbound line and its telling so.
var interruptions = map[Kind]bool{
	KillLeader: true, LoseLeader: true, PauseLeader: true, PauseLeaderLong: true, CutLeader: true, CutLeaderLong: true,
	LeaderLosesBus: true, StopKubelet: true, PartitionNode: true,
}

// deaf is true when the leader heard nothing during the fault, though it was in the user list.
func (h Happened) deaf() bool { return silences[h.Kind] || strings.HasSuffix(h.Target, withLeader) }

// withLeader is the end of the name of a node that has the leader's pod.
const withLeader = " with the leader"
