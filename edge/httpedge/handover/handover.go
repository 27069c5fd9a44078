// Package handover passes listening sockets from a process to its successor,
// so that a binary can be replaced without a dropped request.
package handover

// Inheritance is what a process got from the one it replaces.
type Inheritance struct{}
