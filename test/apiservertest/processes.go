package apiservertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// processLimit is how long etcd and kube-apiserver may take to start and to stop on a busy machine.
const processLimit = 2 * time.Minute

// servers are the processes of etcd and kube-apiserver. They end with this process, however it ends: otherwise a test
// that is killed, or runs into its time limit, would leave them running.
type servers struct {
	envtest.Environment

	// scripts is the directory of those that start the programs. Empty: the programs do not end with this process.
	scripts string
	stopped chan struct{}
}

// start starts the processes in a thread that lives as long as they do: the kernel ends them when it does.
func (s *servers) start() (admin *rest.Config, err error) {
	if err := s.wrapPrograms(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.scripts))
	}
	s.ControlPlaneStartTimeout, s.ControlPlaneStopTimeout = processLimit, processLimit
	s.stopped = make(chan struct{})
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		admin, err = s.Start()
		close(started)
		<-s.stopped
	}()
	<-started
	if err != nil {
		return nil, fmt.Errorf("starting the API server: %w", errors.Join(err, s.stop()))
	}
	return admin, nil
}

// wrapPrograms has etcd and kube-apiserver started by scripts, so that they are killed when the thread that has started
// them ends.
func (s *servers) wrapPrograms() error {
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		return nil //nolint:nilerr // it is a program of Linux
	}
	if s.scripts, err = os.MkdirTemp("", "rosey-apiserver-"); err != nil {
		return fmt.Errorf("creating a directory for scripts: %w", err)
	}
	s.ControlPlane.Etcd = &envtest.Etcd{}
	for name, path := range map[string]*string{
		"etcd": &s.ControlPlane.Etcd.Path, "kube-apiserver": &s.ControlPlane.GetAPIServer().Path,
	} {
		*path = filepath.Join(s.scripts, name)
		script := fmt.Sprintf("#!/bin/sh\nexec '%s' --pdeathsig KILL -- '%s' \"$@\"\n", setpriv,
			filepath.Join(os.Getenv(AssetsVariable), name))
		if err := os.WriteFile(*path, []byte(script), 0o700); err != nil {
			return fmt.Errorf("writing the script that starts %s: %w", name, err)
		}
	}
	return nil
}

func (s *servers) stop() error {
	err := errors.Join(s.Stop(), os.RemoveAll(s.scripts))
	close(s.stopped)
	if err != nil {
		return fmt.Errorf("stopping the API server: %w", err)
	}
	return nil
}
