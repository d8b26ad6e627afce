package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// terminal is where a person answers questions.
type terminal struct {
	in  *os.File
	out io.Writer
}

// openTerminal returns the terminal of an input. It is nil if the input is none.
func openTerminal(in io.Reader, out io.Writer) *terminal {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return &terminal{in: file, out: out}
}

// maxAnswer is the longest answer in bytes. Terminals take lines of up to 4095.
const maxAnswer = 4095

// read returns the line that a person writes after a prompt. What is secret is not shown. A terminal on which nobody
// answers any more, or a context that ends, is an error.
func (t *terminal) read(ctx context.Context, prompt string, secret bool) (string, error) {
	before, err := term.GetState(int(t.in.Fd()))
	if err != nil {
		return "", fmt.Errorf("reading the state of the terminal: %w", err)
	}
	if err := printf(t.out, "%s", prompt); err != nil {
		return "", err
	}
	type line struct {
		text string
		err  error
	}
	lines := make(chan line, 1)
	go func() { // nothing interrupts the read: after ctx has ended, it ends with the process
		text, err := t.readLine(secret)
		lines <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(int(t.in.Fd()), before) // a secret was not shown
		_, _ = fmt.Fprintln(t.out)
		return "", fmt.Errorf("waiting for an answer: %w", ctx.Err())
	case read := <-lines:
		if secret {
			_, _ = fmt.Fprintln(t.out) // the Enter was not shown either
		}
		return read.text, read.err
	}
}

func (t *terminal) readLine(secret bool) (string, error) {
	if secret {
		text, err := term.ReadPassword(int(t.in.Fd()))
		if err != nil {
			return "", fmt.Errorf("reading an answer: %w", err)
		}
		return string(text), nil
	}
	var text strings.Builder
	one := make([]byte, 1) // more would take the answers to later questions, which may be secrets
	for text.Len() <= maxAnswer {
		n, err := t.in.Read(one)
		if err != nil {
			return "", fmt.Errorf("reading an answer: %w", err)
		}
		if n == 0 || one[0] == '\n' {
			return strings.TrimSpace(text.String()), nil
		}
		text.WriteByte(one[0])
	}
	return "", errors.New("reading an answer: it is too long")
}
