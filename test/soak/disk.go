package soak

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Disk is a file system of its own, which can be filled.
type Disk struct{ Dir string }

// MountDisk mounts a file system in memory of size bytes. Only root may.
func MountDisk(dir string, size int64) (*Disk, error) {
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%d", size)); err != nil {
		return nil, fmt.Errorf("mounting a file system in memory: %w", err)
	}
	return &Disk{dir}, nil
}

// Unmount removes the file system with its files.
func (d *Disk) Unmount() error {
	if err := syscall.Unmount(d.Dir, 0); err != nil {
		return fmt.Errorf("unmounting %s: %w", d.Dir, err)
	}
	return nil
}

func (d *Disk) filler() string { return filepath.Join(d.Dir, "filler") }

// Fill writes a file until nothing more fits.
func (d *Disk) Fill() error {
	file, err := os.Create(d.filler())
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	for block := make([]byte, 1<<20); len(block) > 0 && err == nil; {
		if _, err = file.Write(block); errors.Is(err, syscall.ENOSPC) {
			block, err = block[:len(block)/2], nil
		}
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	return nil
}

// Free removes the file.
func (d *Disk) Free() error {
	if err := os.Remove(d.filler()); err != nil {
		return fmt.Errorf("freeing the disk: %w", err)
	}
	return nil
}
