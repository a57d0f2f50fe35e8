package sysmetrics

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// zfsCache returns how many bytes of its cache, the ARC, ZFS frees when programs need memory. Neither the
// kernel's MemAvailable nor gopsutil counts them. zfsCache returns 0 if lxcfs provides the container's
// /proc/meminfo, because the ARC is then not part of the container's memory.
func zfsCache() uint64 {
	text, err := os.ReadFile(procFile("spl/kstat/zfs/arcstats"))
	if err != nil || isFUSE(procFile("meminfo")) {
		return 0
	}
	return shrinkable(string(text))
}

// shrinkable returns how far the size of the ARC exceeds its minimum. arcstats consists of lines "NAME TYPE
// VALUE".
func shrinkable(arcstats string) uint64 {
	var size, least uint64
	for line := range strings.Lines(arcstats) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		value, err := strconv.ParseUint(fields[2], 10, 63)
		switch {
		case err != nil:
		case fields[0] == "size":
			size = value
		case fields[0] == "c_min":
			least = value
		}
	}
	return size - min(least, size)
}

func isFUSE(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.FUSE_SUPER_MAGIC
}
