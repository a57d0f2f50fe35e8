// Package recipes contains the code of docs/recipes.md and docs/coming-from.md. Each Go block of the two
// pages is in one of these files, and the tests run the blocks against real servers. The package is in a
// separate module, so that no other go.mod requires the clients of these servers. The servers are in another
// module, whose program the tests build.
package recipes
