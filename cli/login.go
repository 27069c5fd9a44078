package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

type loginCommand struct {
	Link   bool `help:"Print a one-time link that signs a browser in; needs the data directory of the control plane."`
	Browse bool `name:"open" help:"With --link, open it in the browser."`
	StoreOptions
}

func (loginCommand) Help() string {
	return "Checks address and token, and keeps them for later commands in ~/.config/edgewright/client.json, which only you can read. " +
		"With \"--token -\" the token is read from standard input or asked for. " +
		"On the machine of the control plane, without an address, it prints a one-time browser link.\n\n" + examples(
		"edgewright login --url https://control.example.com:7070 --token -",
		"edgewright login --link",
		"edgewright login --url https://control.internal:7070 --root-ca root.pem --token - --project shop")
}

func (c *loginCommand) Run(a *app) error {
	// A bare "login" next to a control plane's data is someone who wants in.
	if c.Link || a.flags.URL == "" && a.flags.Token == "" {
		return c.link(a)
	}
	conn, err := a.connection()
	if err != nil {
		return err
	}
	if a.flags.Token == "-" || conn.Token == "" {
		if conn.Token, err = a.askToken(conn.URL); err != nil {
			return err
		}
	}
	cl, err := a.dial(conn)
	if err != nil {
		return err
	}
	session, err := cl.Session(a.ctx)
	if err != nil {
		return err
	}
	// Who may see one project only means that one.
	if conn.Project == "" && len(session.Projects) == 1 {
		conn.Project = projectLabel(session.Projects[0])
	}
	path, err := configPath()
	if err != nil {
		return err
	}
	if err := writeStored(path, conn.stored); err != nil {
		return err
	}
	return a.show(session, func() {
		fmt.Fprintf(a.out, "Signed in at %s. Kept in %s.\n", conn.URL, path)
		printProjects(a, session)
	})
}

func printProjects(a *app, s *client.Session) {
	if len(s.Projects) == 0 {
		return
	}
	t := a.table("PROJECT", "ROLE", "ENVIRONMENTS")
	for _, p := range s.Projects {
		t.row(projectLabel(p), p.Role, strings.Join(p.Environments, ", "))
	}
	t.print(a.out)
}

func projectLabel(p client.ProjectAccess) string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}

type loginLink struct {
	Link string `json:"link"`
}

func (c *loginCommand) link(a *app) error {
	if a.servers.LoginLink == nil {
		return absent("login --link")
	}
	c.Data = a.data("edgewright")
	if c.Database == "" {
		if _, err := os.Stat(c.Data); err != nil {
			return fault.New(fault.NotFound, "there is no control plane's data in %s; name it with --data, or sign in elsewhere with \"edgewright login --url URL --token -\"", c.Data)
		}
	}
	conn, err := a.connection()
	if err != nil {
		return err
	}
	c.URL = conn.URL
	link, err := a.servers.LoginLink(a.ctx, c.StoreOptions)
	if err != nil {
		return err
	}
	if err := a.show(loginLink{link}, func() { fmt.Fprintln(a.out, clean(link)) }); err != nil {
		return err
	}
	a.hint("Open this link in a browser. It works once.")
	if c.Browse {
		return OpenBrowser(link)
	}
	return nil
}

// maxTokenBytes bounds what is read as a token.
const maxTokenBytes = 4096

// askToken reads a token from standard input, without echo on a terminal.
func (a *app) askToken(url string) (string, error) {
	var token string
	if f, ok := a.in.(*os.File); ok && a.inTTY {
		fmt.Fprintf(a.err, "API token for %s: ", url)
		raw, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fault.New(fault.Invalid, "the token could not be read: %w", err)
		}
		token = string(raw)
	} else {
		line, err := bufio.NewReader(io.LimitReader(a.in, maxTokenBytes)).ReadString('\n')
		if err != nil && err != io.EOF {
			return "", fault.New(fault.Invalid, "the token could not be read: %w", err)
		}
		token = line
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return "", fault.New(fault.Unauthenticated, "no token was given; make one in the dashboard or with \"edgewright tokens create\", and pass it with --token - on standard input")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fault.New(fault.Invalid, "what was read is not a token: it has characters that no token has")
	}
	return token, nil
}

// OpenBrowser opens a URL in the user's browser.
func OpenBrowser(url string) error {
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return fault.New(fault.Unavailable, "no browser can be opened from here (%s is not installed); open the link yourself", name)
	}
	cmd := exec.Command(path, url)
	if err := cmd.Start(); err != nil {
		return fault.New(fault.Unavailable, "the browser could not be opened; open the link yourself: %w", err)
	}
	go func() { _ = cmd.Wait() }() // its end is nobody's business
	return nil
}

type logoutCommand struct{}

func (logoutCommand) Help() string {
	return "The token itself stays valid; revoke it with \"edgewright tokens revoke\".\n\n" + examples("edgewright logout")
}

func (logoutCommand) Run(a *app) error {
	path, err := configPath()
	if err != nil {
		return err
	}
	err = os.Remove(path)
	if os.IsNotExist(err) {
		fmt.Fprintln(a.err, "Nothing is kept.")
		return nil
	}
	if err != nil {
		return fault.New(fault.Unavailable, "%s could not be removed: %w", path, err)
	}
	fmt.Fprintf(a.err, "Removed %s.\n", path)
	return nil
}
