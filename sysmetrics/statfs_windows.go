package sysmetrics

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// statfs calls the Windows API directly. gopsutil's package disk enables performance counters in the registry
// when it is imported, and its free space ignores a user's quota.
func statfs(path string) (space, error) {
	name, err := windows.UTF16PtrFromString(path)
	var available, total, free uint64
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(name, &available, &total, &free)
	}
	if err != nil {
		return space{}, &fs.PathError{Op: "GetDiskFreeSpaceEx", Path: path, Err: err}
	}
	return space{total: total, free: available, used: total - min(free, total), depth: unknownDepth}, nil
}
