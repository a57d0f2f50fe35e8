package sysmetrics

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// zfsCache is how many bytes of its cache, the ARC, ZFS frees when others need memory. Neither the kernel's
// MemAvailable nor gopsutil counts them. If lxcfs provides the container's /proc/meminfo, these bytes are not
// part of the container's memory.
func zfsCache() uint64 {
	text, err := os.ReadFile(procFile("spl/kstat/zfs/arcstats"))
	if err != nil || isFUSE(procFile("meminfo")) {
		return 0
	}
	return shrinkable(string(text))
}

// shrinkable is the size of the ARC beyond its minimum, in the text of arcstats: lines "NAME TYPE VALUE".
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
