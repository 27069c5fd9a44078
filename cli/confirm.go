package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/edgewright/edgewright/fault"
)

// yesFlag is --yes.
type yesFlag struct {
	Yes bool `short:"y" help:"Do not ask."`
}

// confirm asks a question on a terminal. Where nobody can answer, it refuses
// unless --yes was given.
func (a *app) confirm(yes bool, format string, args ...any) error {
	if yes {
		return nil
	}
	question := fmt.Sprintf(format, args...)
	if !a.inTTY {
		return fault.New(fault.Invalid, "nobody is there to answer %q; pass --yes to go ahead", question)
	}
	fmt.Fprintf(a.err, "%s [y/N] ", clean(question))
	answer, err := bufio.NewReader(io.LimitReader(a.in, 256)).ReadString('\n')
	if err != nil && answer == "" {
		fmt.Fprintln(a.err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	fmt.Fprintln(a.err, "Nothing was changed.")
	return status(exitFailed)
}
