package bmctest

import (
	"fmt"
	"strings"
)

// A GRUB script is a list of statements.
type statement struct {
	words []word      // a simple command; or menuentry, submenu, function with a body
	body  []statement // of menuentry, submenu, function
	arms  []arm       // of if
	loop  string      // the variable of a for, whose values are words
}

// arm is one branch of an if; cond is nil for else.
type arm struct {
	cond []word
	body []statement
}

// word is text of which parts are subject to variable expansion.
type word struct {
	parts  []part
	quoted bool
}

type part struct {
	text   string
	expand bool
}

// plain is the word as it was written, if it has no variables and no quotes.
func (w word) plain() string {
	if len(w.parts) == 1 && !w.quoted {
		return w.parts[0].text
	}
	return ""
}

// grubParser reads the subset of GRUB's shell that installers' menus use.
type grubParser struct {
	text string
	pos  int
	line int
	deep int // blocks within blocks
}

func parseGrub(text string) ([]statement, error) {
	p := &grubParser{text: text, line: 1}
	list, stop, err := p.block()
	if err == nil && stop != nil {
		err = fmt.Errorf("grub: line %d: unexpected %q", p.line, stop[0].plain())
	}
	return list, err
}

// block reads statements until the text ends or a closing word does, whose
// command it returns.
func (p *grubParser) block() (list []statement, stop []word, err error) {
	if p.deep++; p.deep > 64 {
		return nil, nil, fmt.Errorf("grub: line %d: blocks are nested too deep", p.line)
	}
	defer func() { p.deep-- }()
	for {
		words, open, end := p.command()
		if len(words) == 0 {
			if end {
				return list, nil, nil
			}
			continue
		}
		switch first := words[0].plain(); first {
		case "}", "fi", "else", "elif", "then", "do", "done":
			return list, words, nil
		case "if":
			st, err := p.ifStatement(words[1:])
			if err != nil {
				return nil, nil, err
			}
			list = append(list, st)
			continue
		case "for":
			st, err := p.forStatement(words)
			if err != nil {
				return nil, nil, err
			}
			list = append(list, st)
			continue
		case "while", "until":
			return nil, nil, fmt.Errorf("grub: line %d: %s is not understood", p.line, first)
		}
		st := statement{words: words}
		if open {
			if st.body, err = p.body("}"); err != nil {
				return nil, nil, err
			}
		}
		list = append(list, st)
	}
}

// body reads a block that must end in the given word.
func (p *grubParser) body(closing string) ([]statement, error) {
	list, stop, err := p.block()
	if err == nil && (stop == nil || stop[0].plain() != closing) {
		err = fmt.Errorf("grub: line %d: no %s", p.line, closing)
	}
	return list, err
}

// forStatement reads the rest of "for NAME in WORDS".
func (p *grubParser) forStatement(words []word) (st statement, err error) {
	if len(words) < 3 || words[2].plain() != "in" {
		return st, fmt.Errorf("grub: line %d: for without in", p.line)
	}
	st.loop, st.words = words[1].plain(), words[3:]
	if do, _, _ := p.command(); len(do) != 1 || do[0].plain() != "do" {
		return st, fmt.Errorf("grub: line %d: for without do", p.line)
	}
	st.body, err = p.body("done")
	return st, err
}

// ifStatement reads the rest of an if after its first word.
func (p *grubParser) ifStatement(cond []word) (st statement, err error) {
	for {
		if n := len(cond); n > 0 && cond[n-1].plain() == "then" {
			cond = cond[:n-1]
		} else if words, _, _ := p.command(); len(words) != 1 || words[0].plain() != "then" {
			return st, fmt.Errorf("grub: line %d: if without then", p.line)
		}
		body, stop, err := p.block()
		if err != nil {
			return st, err
		}
		if stop == nil {
			return st, fmt.Errorf("grub: line %d: if without fi", p.line)
		}
		st.arms = append(st.arms, arm{cond, body})
		switch stop[0].plain() {
		case "fi":
			return st, nil
		case "else":
			body, err := p.body("fi")
			st.arms = append(st.arms, arm{nil, body})
			return st, err
		case "elif":
			cond = stop[1:]
		default:
			return st, fmt.Errorf("grub: line %d: if without fi", p.line)
		}
	}
}

// command reads the words up to the end of the line or a semicolon. open is
// true if a { ended it, end if the text did.
func (p *grubParser) command() (words []word, open, end bool) {
	for {
		c, ok := p.skipBlanks()
		switch {
		case !ok:
			return words, false, true
		case c == '\n' || c == ';' || c == '&' || c == '|':
			p.next()
			return words, false, false
		case c == '#':
			for p.pos < len(p.text) && p.text[p.pos] != '\n' {
				p.pos++
			}
			continue
		case c == '{':
			p.next()
			return words, true, false
		case c == '}':
			if len(words) > 0 {
				return words, false, false // it is read again as a command of its own
			}
			p.next()
			return []word{{parts: []part{{"}", false}}}}, false, false
		}
		w := p.word()
		words = append(words, w)
		if k := w.plain(); k == "then" || len(words) == 1 && (k == "else" || k == "do") {
			return words, false, false
		}
	}
}

// next consumes one byte.
func (p *grubParser) next() (byte, bool) {
	if p.pos == len(p.text) {
		return 0, false
	}
	c := p.text[p.pos]
	p.pos++
	if c == '\n' {
		p.line++
	}
	return c, true
}

// skipBlanks peeks at the first byte that is no blank.
func (p *grubParser) skipBlanks() (byte, bool) {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
			p.pos++
		case c == '\\' && p.pos+1 < len(p.text) && p.text[p.pos+1] == '\n':
			p.pos += 2
			p.line++
		default:
			return c, true
		}
	}
	return 0, false
}

// word reads one word with its quotes. ${x} keeps its braces.
func (p *grubParser) word() word {
	var w word
	var buf strings.Builder
	flush := func(expand bool) {
		if buf.Len() > 0 {
			w.parts = append(w.parts, part{buf.String(), expand})
			buf.Reset()
		}
	}
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case strings.IndexByte(" \t\r\n;}&|", c) >= 0:
			flush(true)
			return w
		case c == '{':
			flush(true)
			return w
		case c == '$' && p.pos+1 < len(p.text) && p.text[p.pos+1] == '{':
			end := strings.IndexByte(p.text[p.pos:], '}')
			if end < 0 {
				end = len(p.text) - p.pos - 1
			}
			buf.WriteString(p.text[p.pos : p.pos+end+1])
			p.pos += end + 1
		case c == '\\' && p.pos+1 < len(p.text):
			flush(true)
			w.parts = append(w.parts, part{p.text[p.pos+1 : p.pos+2], false})
			p.pos += 2
		case c == '\'' || c == '"':
			flush(true)
			w.quoted = true
			p.pos++
			p.quotation(&buf, c)
			if buf.Len() == 0 {
				w.parts = append(w.parts, part{})
			}
			flush(c == '"')
		default:
			buf.WriteByte(c)
			p.pos++
		}
	}
	flush(true)
	return w
}

// quotation reads up to the closing quote.
func (p *grubParser) quotation(buf *strings.Builder, quote byte) {
	for {
		c, ok := p.next()
		if !ok || c == quote {
			return
		}
		if c == '\\' && quote == '"' && p.pos < len(p.text) && strings.IndexByte("\"\\$", p.text[p.pos]) >= 0 {
			c, _ = p.next()
		}
		buf.WriteByte(c)
	}
}
