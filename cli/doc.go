// Package cli is the command line of Edgewright: the grammar of all commands,
// what they print, and how they end.
//
// # Types
//
// Main runs one command line and returns its exit status. Servers holds the
// functions behind commands that need more than the API (up, control, edge,
// restore ...); cmd/edgewright fills it in, so that this package imports
// nothing of the control plane or the edge. UpOptions, ControlOptions,
// EdgeOptions and StoreOptions are their flags, parsed and checked.
//
// Inside, a command is a struct with kong tags, an Example, and a Run method
// that gets the app: streams, flags, client, styles. One file holds one group
// of commands.
//
// # Rules
//
//   - Exit status 0: done. 1: failed. 2: changes are pending (plan, diff).
//   - What a script reads goes to stdout, in the form -o asks for. Progress,
//     questions, hints and errors go to stderr.
//   - On a terminal there are colours (unless NO_COLOR is set) and progress
//     that redraws itself; elsewhere plain lines.
//   - Text that comes from a server is never printed with control characters.
//   - A token is sent only to the address it was stored for.
package cli
