package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// stateColor returns the color of a state that is good, bad or not known.
func stateColor(state metav1.ConditionStatus) string {
	return map[metav1.ConditionStatus]string{
		metav1.ConditionTrue: green, metav1.ConditionFalse: red, metav1.ConditionUnknown: yellow,
	}[state]
}

// whetherColor is stateColor of something that is either good or bad.
func whetherColor(good bool) string {
	if good {
		return green
	}
	return red
}

// writeList writes a line for each RoseyBot.
func writeList(app *app, list []botSummary, namespaces, wide bool) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(app.err, "no RoseyBots found")
		return exit.Failed(err)
	}
	header := []string{"NAME", "READY", "REASON", "CHANNEL", "BOT", "DB", "AGE"}
	if wide {
		header = append(header, "MODE", "LEADER", "LAST BACKUP", "MESSAGE")
	}
	rows := [][]string{header}
	for _, bot := range list {
		row := []string{
			bot.Name, string(bot.Ready), bot.Reason, bot.Channel, orDash(bot.Bot), orDash(bot.Database), age(bot.Created.Time),
		}
		if wide {
			row = append(row, bot.Mode, orDash(bot.Leader), backupAge(bot), status.OneLine(bot.Message, 200))
		}
		rows = append(rows, row)
	}
	shift := 0
	if namespaces {
		shift = 1
		rows[0] = slices.Insert(rows[0], 0, "NAMESPACE")
		for i, bot := range list {
			rows[i+1] = slices.Insert(rows[i+1], 0, bot.Namespace)
		}
	}
	text := page{colors: app.colors}
	text.table("", rows, func(row, column int) string {
		if row > 0 && column == shift+1 {
			return stateColor(list[row-1].Ready)
		}
		return ""
	})
	return text.writeTo(app)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func backupAge(bot botSummary) string {
	if bot.LastBackup == nil {
		return "-"
	}
	return age(bot.LastBackup.Time) + " ago"
}

// writeDetail writes all there is of one RoseyBot.
func writeDetail(app *app, bot botDetail, wide bool) error {
	text := page{colors: app.colors}
	state := map[metav1.ConditionStatus]string{
		metav1.ConditionTrue: "ready", metav1.ConditionFalse: "not ready", metav1.ConditionUnknown: "not known",
	}[bot.Ready]
	if !strings.EqualFold(state, bot.Reason) {
		state += ": " + bot.Reason
	}
	text.writef("%s in namespace %s is %s\n", bot.Name, bot.Namespace, text.paint(stateColor(bot.Ready), state))
	text.writef("  %s\n  channel %s, mode %s\n", bot.Message, bot.Channel, bot.Mode)
	if bot.Leader != "" {
		text.writef("  in the channel is %s\n", bot.Leader)
	}
	if bot.LastBackup != nil {
		text.writef("  the newest backup was made %s\n", backupAge(bot.botSummary))
	}
	writeConditions(&text, bot.Conditions)
	writePods(&text, bot.Pods, wide)
	for _, problem := range bot.Problems {
		text.writef("\n%s\n", text.paint(yellow, problem))
	}
	return text.writeTo(app)
}

// conditionColor returns the color of a condition. Some of them report a problem while they are True.
func conditionColor(condition metav1.Condition) string {
	switch condition.Type {
	case v1alpha1.ConditionStalled:
		return whetherColor(condition.Status != metav1.ConditionTrue)
	case v1alpha1.ConditionReconciling, v1alpha1.ConditionUpdateAvailable:
		if condition.Status == metav1.ConditionTrue {
			return yellow
		}
		return ""
	}
	return stateColor(condition.Status)
}

func writeConditions(text *page, conditions []metav1.Condition) {
	text.writef("\nConditions\n")
	rows := [][]string{{"TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"}}
	for _, condition := range conditions {
		rows = append(rows, []string{
			condition.Type, string(condition.Status), condition.Reason, age(condition.LastTransitionTime.Time),
			condition.Message,
		})
	}
	text.table("  ", rows, func(row, column int) string {
		if row > 0 && column == 1 {
			return conditionColor(conditions[row-1])
		}
		return ""
	})
}

func writePods(text *page, pods []podDetail, wide bool) {
	text.writef("\nPods\n")
	if len(pods) == 0 {
		text.writef("  none\n")
		return
	}
	header := []string{"NAME", "COMPONENT", "READY", "STATUS", "RESTARTS", "AGE", "VERSION"}
	if wide {
		header = append(header, "NODE", "IMAGE")
	}
	rows := [][]string{header}
	for _, pod := range pods {
		version := "-"
		if pod.Report != nil {
			version = orDash(pod.Report.Version)
		}
		row := []string{
			pod.Name, status.Printable(string(pod.Component)), strconv.FormatBool(pod.Ready), string(pod.Phase),
			strconv.Itoa(int(pod.Restarts)), age(pod.Created.Time), version,
		}
		if wide {
			row = append(row, orDash(pod.Node), pod.Image)
		}
		rows = append(rows, row)
	}
	text.table("  ", rows, func(row, column int) string {
		if row > 0 && column == 2 {
			return whetherColor(pods[row-1].Ready)
		}
		return ""
	})
	for _, pod := range pods {
		writeReport(text, pod)
	}
}

// writeReport writes what the process of a pod says.
func writeReport(text *page, pod podDetail) {
	if pod.Problem != "" {
		text.writef("\n%s\n  %s\n", pod.Name, text.paint(yellow, "not asked: "+pod.Problem))
	}
	if pod.Report == nil {
		return
	}
	report := pod.Report
	state := "ready"
	if !report.Ready {
		state = "not ready: " + string(report.Reason)
	}
	text.writef("\n%s: %s\n", pod.Name, text.paint(whetherColor(report.Ready), state))
	var rows [][]string
	for _, check := range report.Checks {
		mark := "ok"
		if !check.OK {
			mark = "FAILED"
		}
		rows = append(rows, []string{mark, string(check.Name), string(check.Reason), age(check.Since), check.Message})
	}
	text.table("  ", rows, func(row, column int) string {
		if column == 0 {
			return whetherColor(report.Checks[row].OK)
		}
		return ""
	})
	writeReportLists(text, report)
}

// writeReportLists writes what only some processes report.
func writeReportLists(text *page, report *status.Report) {
	for _, plugin := range report.Plugins {
		mark, color := "ok", green
		if !plugin.OK {
			mark, color = "FAILED", red
		}
		text.writef("  %s  plugin %s  %s  %s\n", text.paint(color, mark), plugin.Name, plugin.Reason, plugin.Message)
	}
	for _, channel := range report.Channels {
		text.writef("  serves %s\n", channel)
	}
	for _, channel := range slices.Sorted(maps.Keys(report.RefusedChannels)) {
		text.writef("  %s %s: %s\n", text.paint(red, "REFUSES"), channel, report.RefusedChannels[channel])
	}
	if report.StreamWaiting != nil {
		text.writef("  %d events wait in the stream\n", *report.StreamWaiting)
	}
	if !report.LastBackup.IsZero() {
		text.writef("  the newest backup is of %s UTC\n", report.LastBackup.UTC().Format(time.DateTime))
	}
	if report.Telemetry != "" {
		text.writef("  %s: %s\n", text.paint(yellow, "no traces are sent"), report.Telemetry)
	}
}
