package answer

import (
	"regexp"
	"text/template"
)

// patterns are the regular expressions that a template uses, compiled once. It
// is not safe for concurrent use.
type patterns struct {
	compiled map[string]*regexp.Regexp
}

// maxPatterns is how many are kept: those that stand in a template are few, and
// those that are made of a host's facts are of no use to the next.
const maxPatterns = 64

func (p *patterns) compile(pattern string) (*regexp.Regexp, error) {
	if re := p.compiled[pattern]; re != nil {
		return re, nil
	}
	re, err := regexp.Compile(pattern)
	if err == nil && len(p.compiled) < maxPatterns {
		if p.compiled == nil {
			p.compiled = map[string]*regexp.Regexp{}
		}
		p.compiled[pattern] = re
	}
	return re, err
}

// must panics where sprig's functions do; text/template makes an error of it.
func (p *patterns) must(pattern string) *regexp.Regexp {
	if re, err := p.compile(pattern); err == nil {
		return re
	}
	return regexp.MustCompile(pattern)
}

// functions returns sprig's functions of regular expressions.
func (p *patterns) functions() template.FuncMap {
	return template.FuncMap{
		"regexMatch": func(pattern, s string) bool {
			re, err := p.compile(pattern)
			return err == nil && re.MatchString(s)
		},
		"regexFind":              func(pattern, s string) string { return p.must(pattern).FindString(s) },
		"regexFindAll":           func(pattern, s string, n int) []string { return p.must(pattern).FindAllString(s, n) },
		"regexReplaceAll":        func(pattern, s, with string) string { return p.must(pattern).ReplaceAllString(s, with) },
		"regexReplaceAllLiteral": func(pattern, s, with string) string { return p.must(pattern).ReplaceAllLiteralString(s, with) },
		"regexSplit":             func(pattern, s string, n int) []string { return p.must(pattern).Split(s, n) },

		"mustRegexMatch": func(pattern, s string) (bool, error) {
			re, err := p.compile(pattern)
			return err == nil && re.MatchString(s), err
		},
		"mustRegexFind": func(pattern, s string) (string, error) {
			re, err := p.compile(pattern)
			if err != nil {
				return "", err
			}
			return re.FindString(s), nil
		},
		"mustRegexFindAll": func(pattern, s string, n int) ([]string, error) {
			re, err := p.compile(pattern)
			if err != nil {
				return nil, err
			}
			return re.FindAllString(s, n), nil
		},
		"mustRegexReplaceAll": func(pattern, s, with string) (string, error) {
			re, err := p.compile(pattern)
			if err != nil {
				return "", err
			}
			return re.ReplaceAllString(s, with), nil
		},
		"mustRegexReplaceAllLiteral": func(pattern, s, with string) (string, error) {
			re, err := p.compile(pattern)
			if err != nil {
				return "", err
			}
			return re.ReplaceAllLiteralString(s, with), nil
		},
		"mustRegexSplit": func(pattern, s string, n int) ([]string, error) {
			re, err := p.compile(pattern)
			if err != nil {
				return nil, err
			}
			return re.Split(s, n), nil
		},
	}
}
