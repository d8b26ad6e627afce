package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

func newLogger(output io.Writer, level string) (logr.Logger, error) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	minimum, known := levels[level]
	if !known {
		return logr.Logger{}, fmt.Errorf("--log-level is %q, expected debug, info, warn or error", level)
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(output, &slog.HandlerOptions{Level: minimum})), nil
}

// useLogger makes the libraries log as the operator does.
func useLogger(logger logr.Logger) {
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
}
