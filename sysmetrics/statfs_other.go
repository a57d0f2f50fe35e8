//go:build !linux && !darwin && !freebsd && !dragonfly && !windows

package sysmetrics

import (
	"io/fs"

	"github.com/shirou/gopsutil/v4/disk"
)

func statfs(path string) (space, error) {
	u, err := disk.Usage(path)
	if err != nil {
		return space{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	return space{
		total: u.Total, free: u.Free, used: u.Used,
		inodes: u.InodesTotal, inodesFree: u.InodesFree,
		depth: unknownDepth,
	}, nil
}
