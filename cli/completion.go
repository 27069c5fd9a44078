package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/edgewright/edgewright/client"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash, zsh, fish" help:"Your shell: ${enum}."`
}

func (completionCommand) Help() string {
	return "Commands, flags, their values and names of domains, edges and the like are completed.\n\n" + examples(
		"edgewright completion bash > ~/.local/share/bash-completion/completions/edgewright",
		"edgewright completion zsh > \"${fpath[1]}/_edgewright\"",
		"edgewright completion fish > ~/.config/fish/completions/edgewright.fish")
}

const bashCompletion = `# bash completion for edgewright
_edgewright() {
    local IFS=$'\n'
    read -r -d '' -a COMPREPLY < <(edgewright __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1; printf '\0')
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == :files ]]; then
        COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        compopt -o filenames 2>/dev/null
    elif [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _edgewright edgewright
`

const zshCompletion = `#compdef edgewright
_edgewright() {
    local -a lines
    local line value text
    lines=("${(@f)$(edgewright __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ ${#lines} -eq 1 && ${lines[1]} == :files ]]; then
        _files
        return
    fi
    local -a described
    for line in $lines; do
        [[ -z $line ]] && continue
        value=${line%%$'\t'*}
        text=${line#*$'\t'}
        described+=("${value//:/\\:}:${text}")
    done
    _describe edgewright described
}
compdef _edgewright edgewright
`

const fishCompletion = `# fish completion for edgewright
function __edgewright_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (edgewright __complete -- $words[2..-1] 2>/dev/null)
    if test (count $lines) -eq 1; and test "$lines[1]" = ":files"
        __fish_complete_path (commandline -ct)
        return
    end
    printf '%s\n' $lines
end
complete -c edgewright -f -a '(__edgewright_complete)'
`

func (c *completionCommand) Run(a *app) error {
	_, err := io.WriteString(a.out, map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell])
	return err
}

// completeCommand prints one candidate per line, with a description after a
// tab; the scripts above call it. ":files" asks for names of files.
type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:"" help:"Words up to and with the one to complete."`
}

func (completeCommand) Help() string { return examples("edgewright __complete -- domains s") }

func (c *completeCommand) Run(a *app) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for _, s := range a.complete(words) {
		line := s.value
		if s.text != "" {
			line += "\t" + s.text
		}
		fmt.Fprintln(a.out, line)
	}
	return nil
}

type candidate struct{ value, text string }

// complete finds the candidates for the last word.
func (a *app) complete(words []string) []candidate {
	node := a.model.Node
	done, last := words[:len(words)-1], words[len(words)-1]
	position := 0
	var pending *kong.Flag // a flag whose value comes next
	for _, w := range done {
		switch {
		case pending != nil:
			pending = nil
		case strings.HasPrefix(w, "-") && w != "-":
			name, _, hasValue := strings.Cut(w, "=")
			if f := findFlag(node, name); f != nil && !hasValue && !f.IsBool() {
				pending = f
			}
		default:
			if child := findChild(node, w); child != nil {
				node, position = child, 0
				continue
			}
			position++
		}
	}
	var found []candidate
	switch {
	case pending != nil:
		found = a.values(pending.Value, "")
	case strings.HasPrefix(last, "-"):
		if name, _, ok := strings.Cut(last, "="); ok {
			if f := findFlag(node, name); f != nil {
				found = a.values(f.Value, name+"=")
			}
			break
		}
		for _, level := range node.AllFlags(true) {
			for _, f := range level {
				if f.Name == "help" || !node.Leaf() && f.Name != "output" {
					continue
				}
				found = append(found, candidate{"--" + f.Name, firstSentence(f.Help)})
			}
		}
		found = append(found, candidate{"--help", "Show help and examples"})
	case len(node.Children) > 0:
		for _, child := range node.Children {
			if !child.Hidden {
				found = append(found, candidate{child.Name, child.Help})
			}
		}
	case len(node.Positional) > 0:
		p := node.Positional[min(position, len(node.Positional)-1)]
		if position < len(node.Positional) || p.IsCumulative() {
			found = a.values(p, "")
		}
	}
	matching := found[:0]
	for _, s := range found {
		if strings.HasPrefix(s.value, last) || s.value == ":files" {
			matching = append(matching, s)
		}
	}
	return matching
}

func findChild(node *kong.Node, word string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == word {
			return child
		}
		for _, alias := range child.Aliases {
			if alias == word {
				return child
			}
		}
	}
	return nil
}

func findFlag(node *kong.Node, word string) *kong.Flag {
	for _, level := range node.AllFlags(false) {
		for _, f := range level {
			if word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) {
				return f
			}
		}
	}
	return nil
}

func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, ". ")
	return strings.TrimSuffix(s, ".")
}

// values lists what a flag or argument may be.
func (a *app) values(v *kong.Value, prefix string) []candidate {
	var found []candidate
	switch {
	case v.Enum != "":
		for _, word := range v.EnumSlice() {
			found = append(found, candidate{prefix + word, ""})
		}
	case v.Tag != nil && v.Tag.Get("complete") != "":
		for _, s := range a.names(v.Tag.Get("complete")) {
			found = append(found, candidate{prefix + s.value, s.text})
		}
	case v.Flag != nil && strings.Contains(v.Flag.PlaceHolder, "FILE"), v.Flag != nil && v.Flag.PlaceHolder == "DIR", v.Flag == nil && v.Name == "file":
		found = append(found, candidate{":files", ""})
	}
	return found
}

// completionTime bounds what pressing a key may take.
const completionTime = 2 * time.Second

// names asks the control plane for names. Where it cannot be asked there are
// none: completion never complains.
func (a *app) names(what string) []candidate {
	c, err := a.client()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(a.ctx, completionTime)
	defer cancel()
	var found []candidate
	switch what {
	case "domains":
		for d, err := range c.Domains(ctx) {
			if err != nil {
				return found
			}
			found = append(found, candidate{d.Domain, d.Status})
		}
	case "cdns":
		for d, err := range c.CDNs(ctx) {
			if err != nil {
				return found
			}
			found = append(found, candidate{d.Name, strings.Join(d.Domains, " ")})
		}
	case "edges":
		for e, err := range c.Edges(ctx) {
			if err != nil {
				return found
			}
			found = append(found, candidate{e.Name, e.Region + " " + e.State})
		}
	case "projects":
		for p, err := range c.Projects(ctx) {
			if err != nil {
				return found
			}
			found = append(found, candidate{p.Name, p.Title})
		}
	case "tokens":
		list, err := client.Collect(c.Tokens(ctx))
		if err != nil {
			return nil
		}
		for _, t := range list {
			found = append(found, candidate{t.ID, t.Name})
		}
	}
	for i := range found {
		found[i].value, found[i].text = clean(found[i].value), clean(found[i].text)
	}
	return found
}
