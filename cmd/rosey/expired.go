package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// expiredText says which rows of a database a service with a retention removes. Whoever restores an old copy would lose
// them, and not know why.
func expiredText(ctx context.Context, database location, retention store.Retention) (text string, err error) {
	opened, err := database.openReadOnly(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	now := time.Now()
	var lines strings.Builder
	for _, rule := range retention.Rules(now) {
		rows, err := opened.Expired(ctx, rule)
		if err != nil {
			return "", err
		}
		if rows > 0 {
			fmt.Fprintf(&lines, "  %d %s are older than %s, which is %s\n", rows, rule.Kind.Plural(),
				rule.Kind.RetentionKey(), store.FormatRetention(now.Sub(rule.Before)))
		}
	}
	if lines.Len() == 0 {
		return "", nil
	}
	return "The service will remove these rows one day after it starts, or at once if their retention ended less than\n" +
		"a day ago:\n" + lines.String() +
		"To keep them, set these keys to forever or to a longer time in its configuration before.\n\n", nil
}

// configuredRetention returns the retention of the configuration, or the default one if the command was given no
// configuration and finds none.
func configuredRetention(flags *configFlags, command *cobra.Command) (store.Retention, error) {
	tool, err := loadComponent(status.RunComponent, flags, command.ErrOrStderr())
	switch {
	case err == nil:
		return tool.retention(), nil
	case flags.Given():
		return store.Retention{}, err
	}
	return store.Retention{}, nil
}
