// Package recipes has the code of docs/recipes.md and docs/coming-from.md: each Go block of the two pages is
// in one of these files, and the tests run them against real servers. It is a module of its own, so that the
// clients of these servers are in no other go.mod. The servers are in one more, which the tests build.
package recipes
