//go:build !unix

package main

// checkOwner reports nothing where files have no owner in the sense of Unix.
func checkOwner(string) error { return nil }
