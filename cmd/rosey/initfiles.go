package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/platform"
	"rosey.dev/rosey/runtime/status"
)

// setupFile is a file that init writes, for its owner alone.
type setupFile struct {
	name    string // in the directory, with slashes
	content string
}

// contents returns the files for the answers. The configuration, which names the others, is the last.
func (s *setup) contents() ([]setupFile, error) {
	var files []setupFile
	for _, person := range s.people {
		files = append(files, setupFile{path.Join(setupTokensDir, person), rand.Text() + "\n"})
	}
	if s.accountPassword != "" {
		files = append(files, setupFile{setupPasswordFile, s.accountPassword + "\n"})
	}
	if s.channelPassword != "" {
		files = append(files, setupFile{setupChannelPasswordFile, s.channelPassword + "\n"})
	}
	text := s.configuration()
	if _, err := config.Parse([]byte(text), status.RunComponent); err != nil {
		return nil, fmt.Errorf("the configuration: %w", err)
	}
	return append(files, setupFile{setupConfigFile, text}), nil
}

// configuration returns the content of the configuration file.
func (s *setup) configuration() string {
	var text strings.Builder
	in := func(name string) string { return quoteYAML(filepath.Join(s.dir, name)) }
	value := func(key string) string { return quoteYAML(s.values[key]) }
	text.WriteString("# Written by rosey init. After a change, rosey config check FILE says what is wrong with it.\n" +
		"# A file that a key names is read while the bot runs: a new password or token needs no restart.\n")
	fmt.Fprintf(&text, "channel:\n  server: %s\n  name: %s\n", value("channel.server"), value("channel.name"))
	if s.channelPassword != "" {
		fmt.Fprintf(&text, "  passwordFile: %s\n", in(setupChannelPasswordFile))
	}
	switch name := value("account.username"); {
	case s.values["account.username"] == "":
		text.WriteString("# Without account, the bot watches without a name and cannot chat.\n")
	case s.accountPassword == "":
		fmt.Fprintf(&text, "account:\n  username: %s # a guest: an account has its passwordFile here\n", name)
	default:
		fmt.Fprintf(&text, "account:\n  username: %s\n  passwordFile: %s\n", name, in(setupPasswordFile))
	}
	fmt.Fprintf(&text, "database:\n  sqlite:\n    path: %s\n", quoteYAML(filepath.Join(s.data, config.SQLiteFile)))
	fmt.Fprintf(&text, "  retention:\n    chat: %s # at least 1h, or forever\n", value("database.retention.chat"))
	fmt.Fprintf(&text, "  backup: # in the directory backups beside the database\n    every: %s\n",
		value("database.backup.every"))
	if keep := s.values["database.backup.keep"]; keep != "" {
		fmt.Fprintf(&text, "    keep: %s\n", keep)
	}
	fmt.Fprintf(&text, "http:\n  address: %s # of the page, and of health, status and metrics\n", value("http.address"))
	fmt.Fprintf(&text, "web:\n  public: %s # true: whoever reaches the page reads it without a token\n",
		s.values["web.public"])
	if s.values["web.host"] != "" {
		fmt.Fprintf(&text, "  host: %s # by which a proxy on this machine serves the page\n", value("web.host"))
	}
	fmt.Fprintf(&text, "  tokensDir: %s # a file for each person, named like the person\n", in(setupTokensDir))
	return text.String()
}

// quoteYAML returns a text, which is valid UTF-8, as YAML has it in double quotes: with the escapes of Go.
func quoteYAML(text string) string { return strconv.Quote(text) }

// setupFiles is the directory into which init writes all files or none.
type setupFiles struct {
	dir   string
	root  *os.Root
	force bool
	// staging is a directory in root for files that are not complete.
	staging string
	// made are the directories that were created, the outermost first. They are removed unless all files are written.
	made []string
}

// openSetupFiles creates the directory if it is absent, and finds out whether files can be written there. It has to be
// closed.
func openSetupFiles(dir string, force bool) (f *setupFiles, err error) {
	f = &setupFiles{dir: dir, force: force, staging: ".rosey-init-" + rand.Text()}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if err := f.makeDir(dir); err != nil {
		return f, fmt.Errorf("creating the directory: %w", err)
	}
	if err := checkOwner(dir); err != nil {
		return f, fmt.Errorf("--%s: %w", dirFlag, err)
	}
	if f.root, err = os.OpenRoot(dir); err != nil {
		return f, fmt.Errorf("opening the directory: %w", err)
	}
	if err := f.checkAbsent(setupConfigFile); err != nil {
		return f, err
	}
	if err := f.root.Mkdir(f.staging, 0o700); err != nil {
		return f, fmt.Errorf("writing in %s: %w", dir, err)
	}
	return f, nil
}

// makeDir creates a directory and those around it, and remembers which were absent.
func (f *setupFiles) makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err //nolint:wrapcheck // openSetupFiles says what was attempted
	}
	if err := f.makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		f.made = append(f.made, dir)
	}
	return err //nolint:wrapcheck // openSetupFiles says what was attempted
}

// close removes what is not complete.
func (f *setupFiles) close() {
	if f.root != nil {
		_ = f.root.RemoveAll(f.staging)
		_ = f.root.Close()
	}
	for _, dir := range slices.Backward(f.made) {
		_ = os.Remove(dir) // somebody else may use it by now
	}
}

// errExists is the error for a file that is there and is not to be replaced.
var errExists = fmt.Errorf("exists, and is only replaced with --%s", forceFlag)

func (f *setupFiles) checkAbsent(name string) error {
	info, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && f.force && !info.IsDir():
		return nil
	case err != nil:
		return fmt.Errorf("looking for %s: %w", filepath.Join(f.dir, name), err)
	case info.IsDir():
		return fmt.Errorf("%s is a directory, expected a file or nothing", filepath.Join(f.dir, name))
	}
	return fmt.Errorf("%s %w", filepath.Join(f.dir, name), errExists)
}

// write writes all files, or none if it returns an error. A file that has the content already stays.
func (f *setupFiles) write(ctx context.Context, files []setupFile) error {
	for i, file := range files {
		if err := f.named(file, f.stage(i, file.content)); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing the files: %w", err)
	}
	var undo []func()
	err := f.makeTokensDir(&undo)
	for i, file := range files {
		if err == nil {
			err = f.place(i, file, &undo)
		}
	}
	if err != nil {
		for _, takeBack := range slices.Backward(undo) {
			takeBack()
		}
		return err
	}
	f.made = nil
	return nil
}

// staged returns the name in which file i is complete before it has its own, and replaced that of the one in its place.
func (f *setupFiles) staged(i int) string   { return fmt.Sprintf("%s/new-%d", f.staging, i) }
func (f *setupFiles) replaced(i int) string { return fmt.Sprintf("%s/old-%d", f.staging, i) }

//nolint:wrapcheck // named says what was attempted
func (f *setupFiles) stage(i int, content string) error {
	file, err := f.root.OpenFile(f.staged(i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	return errors.Join(err, file.Sync(), file.Close())
}

func (f *setupFiles) makeTokensDir(undo *[]func()) error {
	err := f.root.Mkdir(setupTokensDir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating the directory for tokens: %w", err)
	}
	*undo = append(*undo, func() { _ = f.root.Remove(setupTokensDir) })
	return nil
}

// place gives a file its name, and adds what takes that back to undo.
func (f *setupFiles) place(i int, file setupFile, undo *[]func()) error {
	if content, err := f.root.ReadFile(file.name); err == nil && string(content) == file.content {
		return f.named(file, f.root.Chmod(file.name, 0o600))
	}
	if err := f.checkAbsent(file.name); err != nil {
		return err
	}
	if f.keep(i, file.name) {
		*undo = append(*undo, func() { _ = f.root.Rename(f.replaced(i), file.name) })
		return f.named(file, f.root.Rename(f.staged(i), file.name))
	}
	// Unlike a rename, a link replaces nothing that somebody else has written in the meantime.
	err := f.root.Link(f.staged(i), file.name)
	if err != nil && !errors.Is(err, fs.ErrExist) { // a file system without links
		err = f.root.Rename(f.staged(i), file.name)
	}
	if err == nil {
		*undo = append(*undo, func() { _ = f.root.Remove(file.name) })
	}
	return f.named(file, err)
}

// keep reports whether there is a file that is to be replaced, of which it keeps a copy.
func (f *setupFiles) keep(i int, name string) bool {
	return f.force && (f.root.Link(name, f.replaced(i)) == nil || f.root.Rename(name, f.replaced(i)) == nil)
}

// named adds the name of a file to an error about writing it.
func (f *setupFiles) named(file setupFile, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("writing %s: %w", filepath.Join(f.dir, file.name), err)
}

// checkOwner reports a directory of another user into which root is about to write files that only root could read.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at the directory: %w", err)
	}
	owner, _, known := platform.Owner(info)
	if !known || os.Geteuid() != 0 || owner == 0 {
		return nil
	}
	name := strconv.Itoa(owner)
	if found, err := user.LookupId(name); err == nil {
		name = found.Username
	}
	return fmt.Errorf("%s belongs to %s, who could not read files of root: use runuser -u %s -- rosey init",
		dir, name, name)
}
