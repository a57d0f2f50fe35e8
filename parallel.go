package echohealth

import (
	"context"
	"errors"
)

// runAll makes n calls at the same time and joins their errors in the order of the calls. When overdue ends,
// runAll stops waiting for the calls that have not returned, and uses late(i) as the error of each such call.
func runAll(overdue context.Context, n int, call, late func(i int) error) error {
	results := make([]chan error, n)
	for i := range results {
		results[i] = make(chan error, 1)
		go func() { results[i] <- call(i) }()
	}
	var errs []error
	for i, result := range results {
		select {
		case err := <-result:
			errs = append(errs, err)
			continue
		case <-overdue.Done():
		}
		select {
		case err := <-result: // the call returned at the same moment
			errs = append(errs, err)
		default:
			errs = append(errs, late(i))
		}
	}
	return errors.Join(errs...)
}
