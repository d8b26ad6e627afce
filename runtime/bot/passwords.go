package bot

import (
	"errors"
	"fmt"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// passwords are read anew for every try, so that a Secret made or changed later is taken up.
type passwords struct{ account, channel string }

// readPasswords reads the files that the configuration names. The error is a *cytube.Error that names the file.
func (b *Bot) readPasswords() (passwords, error) {
	var read passwords
	var err error
	if account := b.config.Account; account != nil && account.PasswordFile != "" {
		read.account, err = config.ReadSecret(account.PasswordFile)
		if err != nil {
			return passwords{}, unreadable(status.ReasonAccountPasswordAbsent, "account", account.PasswordFile, err)
		}
	}
	if file := b.config.Channel.PasswordFile; file != "" {
		read.channel, err = config.ReadSecret(file)
		if err != nil {
			return passwords{}, unreadable(status.ReasonChannelPasswordAbsent, "channel", file, err)
		}
	}
	return read, nil
}

func unreadable(reason status.Reason, whose, file string, err error) *cytube.Error {
	state := "unreadable"
	if errors.Is(err, config.ErrSecretAbsent) {
		state = config.ErrSecretAbsent.Error()
	}
	return &cytube.Error{
		Reason:  reason,
		Message: fmt.Sprintf("the %s password's file %s is %s", whose, file, state),
		Err:     err,
	}
}

// isAbsent is true when the server was not even asked.
func isAbsent(reason status.Reason) bool {
	return reason == status.ReasonAccountPasswordAbsent || reason == status.ReasonChannelPasswordAbsent
}
