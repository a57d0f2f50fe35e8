// Package page tests the status page in a real browser, on a service whose Redis is killed and started.
package page
