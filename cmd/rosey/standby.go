package main

import (
	"os"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/status"
)

// newLock is what one of several bots has, and nil for a bot that is the only one.
func (c *component) newLock(conn *bus.Conn) *leader.Elector {
	if !c.config.Standby || c.name != status.BotComponent {
		return nil
	}
	return leader.New(leader.Options{
		Conn: conn, Subjects: c.subjects, Log: c.log,
		Pod: podName(), UID: os.Getenv(config.PodUIDVariable),
		Replicas: c.config.NATS.JetStream.Replicas,
	})
}

// podName is what people call this process. Outside a cluster that is its host's name.
func podName() string {
	if name := os.Getenv(config.PodNameVariable); name != "" {
		return name
	}
	host, err := os.Hostname()
	if err != nil {
		return "this host"
	}
	return host
}

// report is what GET /status answers.
func (c *component) report(checks func() status.Report) func() status.Report {
	return func() status.Report {
		report := checks()
		if c.leader != nil {
			report.Leader = c.leader()
		}
		return report
	}
}
