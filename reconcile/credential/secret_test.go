package credential_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/credential"
)

const password = "hunter2-f00b4r"

// TestSecretIsNotPrinted prints a secret, alone and inside of other things, in
// every way that the standard library has.
func TestSecretIsNotPrinted(t *testing.T) {
	secret := credential.Secret(password)
	login := credential.Login{Username: "root", Password: secret}
	values := map[string]any{
		"secret": secret, "pointer": &secret, "login": login, "login pointer": &login,
		"slice": []credential.Secret{secret}, "map": map[string]credential.Secret{"a": secret},
		"nested": struct{ L *credential.Login }{&login},
		"any":    []any{login, &secret},
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v", "%10.3s", "%U"} {
				args := []any{value}
				if strings.Count(verb, "%") == 2 {
					args = append(args, value)
				}
				refuse(t, verb, fmt.Sprintf(verb, args...))
			}
			refuse(t, "Sprint", fmt.Sprint(value))
			refuse(t, "Errorf", fmt.Errorf("logging in: %w: %v", errors.ErrUnsupported, value).Error())
			if data, err := json.Marshal(value); err == nil {
				refuse(t, "json", string(data))
			}
			if data, err := xml.Marshal(value); err == nil {
				refuse(t, "xml", string(data))
			}
			var text, object bytes.Buffer
			slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", value)
			slog.New(slog.NewJSONHandler(&object, nil)).Info("m", "v", value)
			refuse(t, "slog text", text.String())
			refuse(t, "slog json", object.String())
		})
	}
	if got := secret.Reveal(); got != password {
		t.Errorf("Reveal() = %q, want %q", got, password)
	}
	if got := fmt.Sprint(login); got != "{root [secret]}" {
		t.Errorf("a login prints as %q", got)
	}
}

func refuse(t *testing.T, how, got string) {
	t.Helper()
	for _, form := range []string{password, fmt.Sprintf("%x", password), fmt.Sprintf("%X", password), password[:3]} {
		if strings.Contains(got, form) {
			t.Errorf("%s prints the secret: %s", how, got)
		}
	}
}
