package main

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"rosey.dev/rosey/runtime/status"
)

func writeText(out io.Writer, content shown) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s, channel %s. Times are UTC.\n", content.Server, content.Channel)
	table(&text, "Last lines", "TIME\tUSER\tTEXT", content.Chat, func(line shownLine) string {
		return fmt.Sprintf("%s\t%s\t%s", showTime(line.Time), status.Printable(line.Username), status.Printable(line.Text))
	})
	table(&text, "Top chatters", "USER\tLINES", content.TopChatters, func(chatter shownChatter) string {
		return fmt.Sprintf("%s\t%d", status.Printable(chatter.Username), chatter.Lines)
	})
	table(&text, "Users", "USER\tLINES\tFIRST SEEN\tLAST SEEN\tCONNECTED\tTHERE SINCE", content.Users,
		func(user shownUser) string {
			connected := time.Duration(user.ConnectedMS) * time.Millisecond
			return fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s", status.Printable(user.Username), user.Lines,
				showTime(user.FirstSeen), showTime(user.LastSeen), connected.Round(time.Second), showTime(user.SessionStart))
		})
	fmt.Fprintf(&text, "\nMost at once: %d in chat (%s), %d connected (%s)\n",
		content.HighWater.Chat, showTime(content.HighWater.ChatTime),
		content.HighWater.Connected, showTime(content.HighWater.ConnectedTime))
	if _, err := out.Write(text.Bytes()); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}

// table writes to memory, so nothing of it can fail.
func table[T any](out *bytes.Buffer, title, heads string, rows []T, row func(T) string) {
	fmt.Fprintf(out, "\n%s\n", title)
	if len(rows) == 0 {
		fmt.Fprintln(out, "  none")
		return
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(columns, "  "+heads)
	for _, one := range rows {
		_, _ = fmt.Fprintln(columns, "  "+row(one))
	}
	_ = columns.Flush()
}

func showTime(milliseconds int64) string {
	if milliseconds == 0 {
		return "-"
	}
	return time.UnixMilli(milliseconds).UTC().Format("2006-01-02 15:04:05")
}
