// Package page tests the status page in a real browser. The service's Redis is killed and started again.
package page
