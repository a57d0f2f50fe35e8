package sysmetrics_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/echo-probes/echohealth/sysmetrics"
)

func Example() {
	sampler, err := sysmetrics.New(sysmetrics.Options{
		Disks: []sysmetrics.DiskPath{{Name: "disk", Path: "/"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	sample := sampler.Sample()

	switch cpu := sample.CPU; {
	case errors.Is(cpu.Err, sysmetrics.ErrPending):
		fmt.Println("cpu: ask again in a second")
	case cpu.Err != nil:
		log.Print(cpu.Err)
	default:
		fmt.Printf("cpu: %.1f %% over %v\n", cpu.Percent, cpu.Window)
	}
	for _, disk := range sample.Disks {
		if disk.Stuck {
			fmt.Printf("%s: hangs, last seen %v ago\n", disk.Name, disk.Age)
		}
	}
}
