//go:build !linux

package sysmetrics

func affinity() processors { return nil }
